"""Ask a model for a text, so that it knows from the start what must come."""

from __future__ import annotations

from collections.abc import Sequence

from ergotext.lm.endings.closing import line_breaks
from ergotext.lm.energies.terms import End, Fluency, fluency
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.words import Keyword, alternatives, find_word, is_unspaced
from ergotext.tasks.prompting import prompted
from ergotext.tasks.request_examples import FILLED, FILLED_UNSPACED, WORDS, WORDS_UNSPACED


class Request(Fluency):
    """E(x) = −log p(x, end | what is asked for), in nats.

    A model after a plain context does not know what must come; after the request it does, and says
    of each beginning of a text how well the rest may follow. Of two texts that are equally likely
    by themselves, the one of which the parts belong together is likelier here.
    """

    name = "request"


def sentence_with(
    words: Sequence[Keyword],
    lm: TextScorer,
    room: int,
    *,
    context: str = "",
    end: End = "sentence",
    in_order: bool = False,
) -> Request:
    """A sentence with some keywords.

    Parameters
    ----------
    words : sequence of (str or sequence of str)
        Of alternatives, the first is asked for.
    lm : CausalLM
    room : int
        Tokens that the context window must leave; examples are left out where it is short, and the
        request as well where it is shorter still.
    context : str
        Text that the sentence follows.
    end : "sentence", "token" or a sequence of tokens
        Where a text ends. Examples end with a line, so ``token`` is before a line break here.
    in_order : bool
        Whether the examples have their words in the order asked for.
    """
    named = [alternatives(word)[0].strip() for word in words]
    unspaced = any(is_unspaced(word[0]) for word in named)
    comma = "、" if unspaced else ", "
    shown = [
        (comma.join(_ordered(asked.split(comma), said, in_order)), said)
        for asked, said in (WORDS_UNSPACED if unspaced else WORDS)
    ]
    labels = ("词语：", "句子：") if unspaced else ("Words: ", "Sentence:")
    return _request(labels, shown, comma.join(named), lm, room, context, end)


def text_filled(
    text: str, lm: TextScorer, room: int, *, context: str = "", end: End = "sentence"
) -> Request:
    """A text whose blanks are filled; the other parameters are those of ``sentence_with``.

    Parameters
    ----------
    text : str
        Each blank is ``___``.
    """
    unspaced = any(map(is_unspaced, text))
    labels = ("填空：", "句子：") if unspaced else ("Blanks: ", "Text:")
    shown = FILLED_UNSPACED if unspaced else FILLED
    return _request(labels, shown, text, lm, room, context, end)


def _request(
    labels: tuple[str, str],
    examples: Sequence[tuple[str, str]],
    asked: str,
    lm: TextScorer,
    room: int,
    context: str,
    end: End,
) -> Request:
    """The model after examples and what is asked for, each behind its label."""
    ask, answer = labels
    space = "" if answer.endswith("：") else " "
    shown = [f"{ask}{one}\n{answer}{space}{other}" for one, other in examples]
    before = space + context.strip() if context.strip() else ""
    after = prompted(shown, f"{ask}{asked}\n{answer}{before}", lm, room, context)
    if end == "token":
        end = line_breaks(after.vocabulary, after.end_id)
    return Request(fluency(after, end=end).lm)


def _ordered(words: list[str], said: str, in_order: bool) -> list[str]:
    return sorted(words, key=lambda word: find_word(said, word)) if in_order else words
