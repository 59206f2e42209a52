"""Fill the blanks of a text by annealing or sampling, with the given words locked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.template import Parts, template
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import fluency
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.options import check_window
from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.support.words import check_text
from ergotext.support.words import check_texts as check_all_texts
from ergotext.tasks.budget import Budget, chained
from ergotext.tasks.texts import as_json as records
from ergotext.tasks.write import default_context

ROOM = 12
"""Tokens by which each blank may grow beyond its first filling."""
MOVES = (3.0, 2.0, 4.0, 0.0)
"""Weights of insert, delete and replace; no swaps: given texts have their places."""


def infill(
    text: str,
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    context: str | None = None,
    progress: bool = True,
) -> Result:
    """Fill the blanks of a text: ``The ___ sat on the ___{1,3}.``

    The energy is −log p of the whole text, so that a filling fits what is after it as well as what
    is before.

    Parameters
    ----------
    text : str
        ``___`` is a blank of one or more words, ``___{2}`` of two, ``___{1,3}`` of one to three; of
        characters, in scripts without spaces.
    lm : CausalLM
    budget : Budget, optional
    context : str, optional
        Text to condition on; by default a plain sentence, "" for none.

    Returns
    -------
    Result
        ``.best(n)`` are the n best distinct texts; ``lm.template.Parts.of(text).fillings`` tells
        what stands in the blanks of one.

    Raises
    ------
    InputError
        There is no blank, or the model cannot write what is given.
    """
    check_text(text, "what is filled in")
    (result,) = infill_all([text], lm, budget, context=context, progress=progress)
    return result


def infill_all(
    texts: Sequence[str],
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    context: str | None = None,
    progress: bool = True,
) -> Iterator[Result]:
    """``infill`` for several texts; all are checked before time is spent on the first."""
    check_texts(texts)
    b = budget or Budget("annealing")
    made = [_problem(text, lm, context) for text in texts]
    return (
        chained(energy, b, most, moves=EditMoves(most, MOVES), progress=progress)
        for energy, most in made
    )


def check_texts(texts: Sequence[str]) -> None:
    """Raise InputError at a text without a blank; needs no model."""
    check_all_texts(texts, "texts")
    for text in texts:
        Parts.of(text)


def _problem(text: str, lm: CausalLM, context: str | None) -> tuple[Sum, int]:
    """The energy of a text with blanks, and the most tokens that it may take."""
    parts = Parts.of(text)
    before = default_context(parts.texts) if context is None else context
    energy = fluency(lm.given(before) if before else lm) + template(text)
    max_length = energy.initial(1).longest + ROOM * len(parts.blanks)
    check_window(energy, max_length)
    return energy, max_length


def as_json(best: Sequence[Sample], text: str, ascii_only: bool = False) -> str:
    """One JSON object per text and line."""
    parts = Parts.of(text)
    beside = [{"blanks": parts.fillings(one.text) or ()} for one in best]
    return records(best, beside, ascii_only)


def lines(given: str) -> list[str]:
    """The texts of standard input, one a line; blank lines are skipped.

    Raises
    ------
    InputError
        There is none.
    """
    texts = [line for line in given.split("\n") if line.strip()]
    if not texts:
        raise InputError("no text on standard input; give one per line")
    return texts
