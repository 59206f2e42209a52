"""Choose the paraphrases of a run that are shown, and show them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ergotext.lm.energies.term import Sum
from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.support.plain_words import words_of
from ergotext.tasks.selection import alike, per_token
from ergotext.tasks.texts import as_json as records

NOTHING_ELSE = (
    "no other wording was found: all texts of the run have the words of the one given; use more "
    "particles (or steps), or another seed"
)


def similarity_of(one: Sample, result: Result | WeightedResult) -> float:
    """The similarity of a text that was found, 0 to 1."""
    problem = result.problem
    assert isinstance(problem, Sum)
    name = next(name for name in ("similarity", "kept_words") if name in one.terms)
    weight = problem.parts[problem.names.index(name)][0]
    return math.exp(-one.terms[name] / weight)


def others(result: Result | WeightedResult, text: str, count: int) -> list[Sample]:
    """The ``count`` best texts of a run whose words are not the text's own.

    Those that differ in more than a word from the text and from those before them go first, by
    their energy; with too few of these, others follow.
    """
    own = words_of(text)
    wide = 4 * count if isinstance(result, Result) else len(result.samples)
    every = [s for s in result.best(wide) if words_of(s.text) != own]
    found: list[Sample] = []
    for strict in (True, False):
        for one in every:
            near = any(alike(one.text, other) for other in [text, *(f.text for f in found)])
            if len(found) < count and one not in found and not (strict and near):
                found.append(one)
    return found


def notes(found: Sequence[Sample], result: Result | WeightedResult) -> list[str]:
    """What a reader is told of each text: similarity, nats a token, energy."""
    return [
        f"similarity {similarity_of(one, result):.2f}, log p {one.log_prob:.1f}, "
        f"{per_token(one):.2f} a token, energy {one.energy:.1f}"
        for one in found
    ]


def as_json(
    found: Sequence[Sample],
    text: str,
    result: Result | WeightedResult,
    ascii_only: bool = False,
) -> str:
    """One JSON object per paraphrase and line."""
    beside = [{"paraphrase_of": text, "similarity": similarity_of(one, result)} for one in found]
    return records(found, beside, ascii_only)
