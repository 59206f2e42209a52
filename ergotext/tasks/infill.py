"""Fill the blanks of a text and keep what is given word for word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ergotext.lm.automata.template_chain import Blank
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.sentence import one_sentence
from ergotext.lm.energies.template import TemplateTerm, template
from ergotext.lm.energies.template_parts import Parts
from ergotext.lm.energies.terms import End, Fluency, custom, fluency
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.options import check_window
from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.support.words import check_text
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import default_context
from ergotext.tasks.given import check_blanks
from ergotext.tasks.request import Request, text_filled
from ergotext.tasks.searching import answers, chained, found_or_not, only
from ergotext.tasks.texts import as_json as records

ROOM, GROWN = 12, 6
"""Tokens by which each blank may grow beyond its first filling, by edits or from left to right."""
STEPS = 150
"""Of chains: fewer than for a whole sentence, most of which is given here."""
MOVES = (3.0, 2.0, 4.0, 0.0)
"""Weights of insert, delete and replace; no swaps: given texts have their places."""

ONLY_BLANKS = "filled every blank: the texts hold ___ themselves; use more particles"


def infill(
    text: str,
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    context: str | None = None,
    progress: bool = True,
) -> Result | WeightedResult:
    """Fill the blanks of a text: ``The ___ sat on the ___{1,3}.``

    The energy is −log p of the whole text, so that a filling fits what is after it as well as what
    is before. Particles (smc) grow the text from left to right and know what is given further on;
    they end with the sentence if the template is one, else at the model's end token. They are drawn
    as the model's answers to a request to fill the blanks (``request``), and their energy has
    −log p after that request as well.

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
    WeightedResult or Result
        Of particles or of chains; ``selection.chosen`` gives the n best;
        ``template_parts.Parts.of(text).fillings`` tells what stands in the blanks of one.

    Raises
    ------
    InputError
        There is no blank, or the model cannot write what is given.
    ZeroWeightError
        No particle filled all blanks.
    """
    check_text(text, "what is filled in")
    return only(infill_all([text], lm, budget, context=context, progress=progress))


def infill_all(
    texts: Sequence[str],
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    context: str | None = None,
    progress: bool = True,
) -> Iterator[Result | WeightedResult | ZeroWeightError]:
    """``infill`` for several texts; all are checked before time is spent on the first.

    Where no particle filled all blanks of a text, the error stands for its result, and the others
    go on.
    """
    check_blanks(texts)
    b = budget or Budget()
    made = [_problem(text, lm, context, b) for text in texts]
    return found_or_not(lambda problem: _found(problem, b, progress), made)


class _Problem(NamedTuple):
    """A text with blanks to fill."""

    fluent: Fluency
    demanded: TemplateTerm
    max_length: int
    request: Callable[[], Request] | None
    """of what is grown; made when it is needed, as reading it takes a while"""


def _problem(text: str, lm: CausalLM, context: str | None, budget: Budget) -> _Problem:
    """The terms for a text with blanks, and the most tokens that it may take."""
    parts = Parts.of(text)
    before = default_context(parts.texts) if context is None else context
    end: End = "sentence" if budget.grows and is_sentence(parts) else "token"
    fluent = fluency(lm, before or None, end)
    demanded = template(text).bind(fluent.lm)
    room = [_grown(blank) if budget.grows else ROOM for blank in parts.blanks]
    max_length = demanded.initial(1).longest + sum(room)
    check_window(fluent, max_length)
    if not budget.grows:
        return _Problem(fluent, demanded, max_length, None)
    asked = "___".join(parts.given)
    request = partial(text_filled, asked, lm, max_length, context=context or "", end=end)
    return _Problem(fluent, demanded, max_length, request)


def _grown(blank: Blank) -> int:
    """Tokens by which a blank may grow beyond the least that it may have."""
    return GROWN if blank.most is None else min(GROWN, 1 + 2 * (blank.most - blank.least))


def _found(problem: _Problem, budget: Budget, progress: bool) -> Result | WeightedResult:
    fluent, demanded, most, request = problem
    if request is not None:
        # What is asked for shows the blanks, and a model may copy one.
        beside = [custom(_filled, "filled", of="text")]
        asked = request()
        return answers(
            asked, fluent, demanded, budget, most,
            beside=beside, nothing=ONLY_BLANKS, progress=progress,
        )  # fmt: skip
    moves = EditMoves(most, MOVES)
    steps = STEPS if budget.steps is None else budget.steps
    return chained(
        fluent + demanded, replace(budget, steps=steps), most, moves=moves, progress=progress
    )


def _filled(texts: list[str]) -> list[float]:
    """0 for each text, +inf for one in which a blank stands."""
    return [math.inf if "___" in text else 0.0 for text in texts]


def is_sentence(parts: Parts) -> bool:
    """Whether a template is one sentence, with its end, as far as what is given tells."""
    return one_sentence("x".join(parts.given))


def as_json(best: Sequence[Sample], text: str, ascii_only: bool = False) -> str:
    """One JSON object per text and line."""
    parts = Parts.of(text)
    beside = [{"blanks": parts.fillings(one.text) or ()} for one in best]
    return records(best, beside, ascii_only)
