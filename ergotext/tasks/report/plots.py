"""Plots of a run as SVG that takes the colours of its page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from hashlib import blake2b
from importlib import import_module
from typing import Any

import numpy as np

from ergotext.samplers.progress import Growth
from ergotext.samplers.result import Result
from ergotext.support.arrays import Floats
from ergotext.tasks.plot import draw_ranks, draw_traces
from ergotext.tasks.report.growth import counts

INK = "#010203"
"""Stands for the colour of the page's text, which a plot cannot know."""
POINTS = 4000
"""Of all lines of a plot together."""
_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ergotext",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(_INKED, INK),
}


def trace_plot(result: Result) -> str:
    """Energy of every chain by step."""
    every = max(1, -(-result.energy.numel() // POINTS))
    return _drawn(lambda axes: draw_traces(result, axes, every), 2.6)


def rank_plot(result: Result) -> str:
    """Ranks of the energies of each chain among those of all."""
    return _drawn(lambda axes: draw_ranks(result, axes), 2.2)


def weight_plot(weights: Floats) -> str:
    """The share of the weight that the heaviest draws hold together."""
    share = np.concatenate([[0.0], np.cumsum(np.sort(weights)[::-1])])
    at = np.unique(np.linspace(0, len(weights), min(len(share), 400)).astype(int))

    def draw(axes: Any) -> None:
        axes.plot([0, len(weights)], [0, 1], color="grey", linestyle=":", linewidth=0.9)
        axes.plot(at, share[at], linewidth=1.4)
        axes.set(xlabel="draws, the heaviest first", ylabel="share of the weight", ylim=(0, 1.03))
        axes.xaxis.get_major_locator().set_params(integer=True)

    return _drawn(draw, 2.2)


def particle_plot(growth: Sequence[Growth]) -> str:
    """How many particles are being written, ended and dead after each token."""
    rows = [counts(one) for one in growth]
    tokens = np.arange(1, len(rows) + 1)
    stacked = [[getattr(one, name) for one in rows] for name in ("open", "ended", "dead")]

    def draw(axes: Any) -> None:
        names, colours = ["being written", "ended", "dead"], ["#4c86d9", "#4aa564", "#9a9a9a"]
        axes.stackplot(tokens, stacked, labels=names, colors=colours, alpha=0.8, step="mid")
        axes.plot(
            tokens, [one.beginnings for one in rows], color=INK, linewidth=1.2, label="different"
        )
        axes.set(xlabel="token", ylabel="particles")
        axes.xaxis.get_major_locator().set_params(integer=True)
        where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 4, "frameon": False}
        axes.legend(**where, fontsize=9, columnspacing=1, handlelength=1.2)

    return _drawn(draw, 2.4)


def _drawn(draw: Any, height: float) -> str:
    """An SVG element; the same every time."""
    matplotlib = import_module("matplotlib")
    with matplotlib.rc_context(_STYLE):
        figure = import_module("matplotlib.figure").Figure((5.0, height), layout="constrained")
        draw(figure.subplots())
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Sized by the page; and names of the XML around an SVG file are no part of HTML.
    text = re.sub(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', text, count=1)
    text = re.sub(r"\s*\n\s*", "\n", text).replace("xlink:href", "href")
    return _own_names(text)


def _own_names(svg: str) -> str:
    """The same with only those ids that something refers to, which no other plot of a page has."""
    used = dict.fromkeys(re.findall(r'(?:url\(|href=")#([\w-]+)', svg))
    mark = blake2b(svg.encode(), digest_size=4).hexdigest()
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    for number, name in enumerate(used):
        svg = re.sub(rf'(id="|#){name}\b', rf"\g<1>p{mark}-{number}", svg)
    return svg
