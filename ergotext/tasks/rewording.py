"""Condition a model on a text and examples of rewording, so that it proposes paraphrases."""

from __future__ import annotations

from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.closing import line_breaks
from ergotext.lm.energies.terms import End, Fluency, fluency
from ergotext.support.words import is_unspaced
from ergotext.tasks.prompting import prompted

FRAME = "Sentence: {text}\nIn other words:{said}"
FRAME_UNSPACED = "句子：{text}\n换句话说：{said}"
EXAMPLES = (
    (
        "She was so tired after the long day that she fell asleep on the sofa.",
        "Worn out by the long day, she dozed off on the couch.",
    ),
    (
        "Heavy snow delayed the bus to Leeds by 20 minutes.",
        "The bus to Leeds was 20 minutes late because of heavy snow.",
    ),
    (
        "We could not find a table, so we took our lunch to the park.",
        "As there was no free table, we ate our lunch in the park.",
    ),
)
EXAMPLES_UNSPACED = (
    ("她忙了一整天，累得在沙发上睡着了。", "忙碌的一天让她疲惫不堪，她在沙发上睡了过去。"),
    ("大雪让开往上海的火车晚点了20分钟。", "因为下大雪，开往上海的火车迟到了20分钟。"),
    ("我们找不到空桌子，所以去公园吃了午饭。", "由于没有空位，我们的午饭是在公园里吃的。"),
)


def rewording(text: str, lm: CausalLM, room: int, *, single: bool) -> Fluency:
    """−log q(x | the text, asked for in other words), in nats.

    The model reads some pairs of a sentence and another wording, and the text as the first of one
    more pair. Pairs are left out, the first ones first, where the context window is too short.

    Parameters
    ----------
    text : str
    lm : CausalLM
    room : int
        Tokens that the window must leave.
    single : bool
        Whether texts end with their first sentence; else before a line break.
    """
    unspaced = any(map(is_unspaced, text))
    frame = FRAME_UNSPACED if unspaced else FRAME
    examples = EXAMPLES_UNSPACED if unspaced else EXAMPLES
    space = "" if unspaced else " "
    shown = [_filled(frame, a, space + b) for a, b in examples]
    asked = prompted(shown, _filled(frame, text, ""), lm, room)
    end: End = "sentence" if single else line_breaks(lm.vocabulary, lm.end_id)
    return fluency(asked, end=end)


def _filled(frame: str, text: str, said: str) -> str:
    return frame.replace("{said}", said).replace("{text}", text)
