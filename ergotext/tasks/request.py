"""Ask a model for a sentence with given words, so that it knows from the start what must come."""

from __future__ import annotations

from collections.abc import Sequence

from ergotext.lm.energies.terms import End, Fluency, fluency
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.words import Keyword, alternatives, find_word, is_unspaced
from ergotext.tasks.prompting import prompted

ASKED, ANSWERED = "Words: ", "\nSentence:"
ASKED_UNSPACED, ANSWERED_UNSPACED = "词语：", "\n句子："
EXAMPLES = (
    ("dog, park, run", "The dog ran off its lead and began to run across the park."),
    ("letter, table, write", "She sat down at the kitchen table to write a long letter."),
    (
        "boat, lake, row, sun",
        "As the sun went down, two boys began to row their boat over the lake.",
    ),
    ("chair, paint, wall", "After lunch we moved the chair and began to paint the wall."),
    ("girl, laugh, rain, wet", "The girl was wet from the rain, but she could only laugh."),
    ("clean, kitchen, pan", "They had to clean the pan that you left in the kitchen."),
    ("baby, hold, mother", "The mother asked her son to hold the baby while she was out."),
    ("bread, knife", "He cut the bread with a sharp knife."),
    ("car, drive, road, snow", "I had to drive my car slowly, because the road was under snow."),
    ("book, class, teacher", "The teacher opened a book and read its first page to the class."),
)
EXAMPLES_UNSPACED = (
    ("公园、狗、跑", "小狗挣脱了绳子，在公园里跑了起来。"),
    ("写、信、桌子", "她坐在桌子前，给母亲写了一封长长的信。"),
    ("船、湖、太阳", "太阳下山的时候，两个男孩划着船回到了湖边。"),
    ("墙、椅子", "吃过午饭，我们搬开椅子，开始刷墙。"),
    ("笑、女孩、雨", "女孩被雨淋湿了，却一直在笑。"),
    ("厨房、锅、洗", "他们还得把你留在厨房里的锅洗干净。"),
    ("抱、孩子、母亲", "母亲出门的时候，让哥哥抱着孩子。"),
    ("刀、面包", "他用一把锋利的刀切开了面包。"),
    ("车、路、雪", "路上积满了雪，我只好慢慢地开车。"),
    ("老师、书、学生", "老师打开书，给学生们读了第一页。"),
)


class Request(Fluency):
    """E(x) = −log p(x, end | the words, asked for in a sentence), in nats.

    A model after a plain context does not know which words must come; after the request it does,
    and says of each beginning of a sentence how well the words may follow. Of two sentences that
    are equally likely by themselves, the one in which the words belong together is likelier here.
    """

    name = "request"


def requested(
    words: Sequence[Keyword],
    lm: TextScorer,
    room: int,
    *,
    context: str = "",
    end: End = "sentence",
    in_order: bool = False,
) -> Request:
    """The term for some keywords.

    Parameters
    ----------
    words : sequence of (str or sequence of str)
        Of alternatives, the first is asked for.
    lm : CausalLM
    room : int
        Tokens that the context window must leave; examples are left out where it is short.
    context : str
        Text that the sentence follows.
    end : "sentence", "token" or a sequence of tokens
    in_order : bool
        Whether the examples have their words in the order asked for.
    """
    named = [alternatives(word)[0].strip() for word in words]
    unspaced = any(is_unspaced(word[0]) for word in named)
    comma, space = ("、", "") if unspaced else (", ", " ")
    ask, answer = (ASKED_UNSPACED, ANSWERED_UNSPACED) if unspaced else (ASKED, ANSWERED)

    def filled(words: Sequence[str], text: str) -> str:
        return f"{ask}{comma.join(words)}{answer}{space + text if text else ''}"

    shown = [
        filled(_ordered(asked.split(comma), said, in_order), said)
        for asked, said in (EXAMPLES_UNSPACED if unspaced else EXAMPLES)
    ]
    after = prompted(shown, filled(named, context.strip()), lm, room)
    return Request(fluency(after, end=end).lm)


def _ordered(words: list[str], said: str, in_order: bool) -> list[str]:
    return sorted(words, key=lambda word: find_word(said, word)) if in_order else words
