"""The section of a report on texts that were generated under a constraint."""

from __future__ import annotations

from ergotext.tasks.generation.results import Generations
from ergotext.tasks.report import runs
from ergotext.tasks.report.page import rendered

MOST = 20
"""Texts, and alternatives, that are listed at most."""


def section(prompt: str, found: Generations) -> str:
    """HTML of what was generated for one prompt; with the particles, where these were drawn."""
    order = sorted(found.alternatives.items(), key=lambda pair: -sum(pair[1]))
    told = [] if found.drawn is None else found.drawn.warnings
    values = {
        "prompt": prompt,
        "texts": found.found[:MOST],
        "count": len(found.found),
        "how": found.how,
        "warnings": [one for one in found.warnings if one not in told],
        "estimated": found.estimate is not None,
        "alternatives": order[:MOST] if len(order) > 1 else [],
        "others": max(0, len(order) - MOST),
    }
    html = rendered("generations.html", values)
    if found.drawn is None:
        return html
    draws = found.drawn.draws(len(found.found))
    return html + runs.section("The particles", found.drawn, draws)
