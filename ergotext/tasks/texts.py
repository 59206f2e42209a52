"""Show the texts of a run, as lines or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.support.words import as_line, counted
from ergotext.tasks.selection import per_token


def as_text(
    result: Result | WeightedResult,
    best: Sequence[Sample],
    approximate: bool = False,
    notes: Sequence[str] | None = None,
) -> str:
    """The texts with a note on each, and a line on how they were found.

    By default a note tells log p, log p a token, and the energy.

    Line breaks and control characters inside a text are shown as spaces, so that every line is
    one text and nothing in it drives the terminal.
    """
    if notes is None:
        notes = [
            f"log p {one.log_prob:.1f}, {per_token(one):.2f} a token, energy {one.energy:.1f}"
            for one in best
        ]
    lines = [f"{as_line(one.text)}  [{note}]" for one, note in zip(best, notes, strict=True)]
    return "\n".join([*lines, how(result, approximate)])


def as_json(
    best: Sequence[Sample], beside: Sequence[Mapping[str, Any]], ascii_only: bool = False
) -> str:
    """One JSON object per text and line.

    Parameters
    ----------
    best : sequence of Sample
    beside : sequence of mapping
        What each object has besides.
    ascii_only : bool
    """
    return "\n".join(
        json.dumps(
            {
                "text": one.text,
                "log_prob": one.log_prob,
                "log_prob_per_token": per_token(one),
                "energy": one.energy,
                "terms": one.terms,
                **more,
                **({} if one.chain is None else {"chain": one.chain, "step": one.step}),
            },
            ensure_ascii=ascii_only,
        )
        for one, more in zip(best, beside, strict=True)
    )


def how(result: Result | WeightedResult, approximate: bool = False) -> str:
    """One line on how a result was found: sampler, particles or chains, seconds."""
    return f"({_run(result)}{'; bfloat16, approximate' if approximate else ''})"


def _run(result: Result | WeightedResult) -> str:
    if isinstance(result, Result):
        return result.text()
    samples = result.samples
    count = len(set(samples.batch.rows()))
    texts = f"{count} different texts"
    if isinstance(samples, Particles) and samples.in_lower_precision:
        texts = f"proposed in {samples.proposed_in}, {count} texts scored in full,"
    roots = counted(len(samples.root.unique()), "beginning")
    return (
        f"{result.sampler}, {samples.tries} particles, {texts} from {roots}, "
        f"{result.seconds:.1f} s, seed {result.seed}"
    )
