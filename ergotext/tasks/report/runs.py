"""The section of a report on a run of a sampler: texts, how they were found, their worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.progress import Growth
from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample, scorer_of
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.tasks.report import growth, plots
from ergotext.tasks.report.page import rendered
from ergotext.tasks.report.remarks import remarks
from ergotext.tasks.report.steps import ChainWay, way
from ergotext.tasks.texts import how

WAYS, LISTED = 5, 20
"""Texts whose way is shown, and texts that are listed at most."""
UNFINISHED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class TextPiece:
    """Some characters of a text, the least that its tokens write at once.

    Parameters
    ----------
    text : str
    log_prob : float
        Of its tokens, in nats.
    held : int, optional
        Particles that began so.
    """

    text: str
    log_prob: float
    held: int | None = None

    @property
    def depth(self) -> float:
        """0 for a sure token to 1 for one that the model did not expect."""
        return round(min(1.0, -self.log_prob / 10), 2)


@dataclass(frozen=True)
class FoundText:
    """A text of a run, with what is shown of it."""

    sample: Sample
    note: str
    pieces: Sequence[TextPiece]
    end: TextPiece | None
    way: ChainWay | None


def section(
    title: str,
    result: Result | WeightedResult,
    texts: Sequence[Sample],
    *,
    searched: bool = False,
    notes: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    record: str = "",
) -> str:
    """HTML of a run.

    Parameters
    ----------
    title : str
        What was asked for.
    result : Result or WeightedResult
        Its way is shown in full if it was recorded (``et.sample``).
    texts : sequence of Sample
        Those that the command prints.
    searched : bool
        Whether they are the best of a search instead of draws.
    notes : sequence of str, optional
        What is said of each besides its energy.
    settings : mapping, optional
        By default the result's own.
    record : str
        The run as a file of settings.
    """
    shown = [*texts] if searched else result.best(WAYS)
    told = [""] * len(shown) if notes is None else notes
    found = [_found(result, one, note) for one, note in zip(shown[:LISTED], told, strict=False)]
    recorded = [] if isinstance(result, Result) else list(result.growth)
    values = {
        "title": title,
        "how": how(result)[1:-1] if searched else result.text(),
        "searched": searched,
        "found": found,
        "draws": [] if searched else texts[:LISTED],
        "drawn": len(texts),
        "weights": None if searched or isinstance(result, Result) else _weights(result),
        "remarks": remarks(result, searched),
        "plots": _plots(result, recorded, searched),
        "moves": _moves(result) if isinstance(result, Result) else [],
        "grown": _grown(recorded, scorer_of(result.problem)),
        "settings": _flat(result.settings if settings is None else settings),
        "record": record,
    }
    return rendered("run.html", values)


def _found(result: Result | WeightedResult, one: Sample, note: str) -> FoundText:
    recorded = [] if isinstance(result, Result) else result.growth
    pieces, end = _pieces(one, scorer_of(result.problem), recorded)
    there = isinstance(result, Result) and one.chain is not None and one.step is not None
    path = None
    if there:
        assert isinstance(result, Result) and one.chain is not None and one.step is not None
        path = way(result, one.chain, one.step)
    return FoundText(one, note, pieces, end, path)


def _pieces(
    one: Sample, scorer: NextTokenScorer, recorded: Sequence[Growth]
) -> tuple[list[TextPiece], TextPiece | None]:
    """A text in the pieces that its tokens write, and its end, if it has a probability."""
    tokens, batch = one.tokens, TokenBatch.of([one.tokens])
    log_prob = scorer.token_log_prob(batch)[0].tolist()
    begun = scorer.decode(TokenBatch.of([tokens[: k + 1] for k in range(len(tokens))]))
    held = growth.sharing(recorded, tokens)
    pieces: list[TextPiece] = []
    written, nats = "", 0.0
    for k, text in enumerate(begun):
        nats += log_prob[k]
        last = k + 1 == len(begun)
        if (text.endswith(UNFINISHED) and not last) or not text.startswith(written):
            continue
        shared = held[k] if k < len(held) else None
        pieces.append(TextPiece(text[len(written) :], nats, shared))
        written, nats = text, 0.0
    end = log_prob[len(tokens)]
    return pieces, TextPiece("end", end) if end else None


def _plots(
    result: Result | WeightedResult, recorded: Sequence[Growth], searched: bool
) -> list[tuple[str, str]]:
    """Captions and SVG."""
    if isinstance(result, Result):
        found = [
            (
                "Energy of each chain by step. From the dotted line on, states count as draws."
                if result.kind != "optimiser"
                else "Energy of each chain by step: the lower, the better.",
                plots.trace_plot(result),
            )
        ]
        if result.kind != "optimiser" and result.chains > 1 and result.steps and not searched:
            said = (
                "Ranks of each chain's energies among those of all. Where chains agree, each line "
                "keeps near the dotted one."
            )
            found.append((said, plots.rank_plot(result)))
        return found
    found = []
    if recorded:
        said = "Particles after each token; the line counts those that differ."
        found.append((said, plots.particle_plot(recorded)))
    if len(result.samples) > 1 and not searched:
        said = "How many draws carry the weight: on the dotted line all weigh alike."
        found.append((said, plots.weight_plot(result.samples.weights.numpy())))
    return found


def _moves(result: Result) -> list[tuple[str, int, int]]:
    """Of each kind of move: its name, how often it was proposed, and accepted."""
    trace = result.trace
    return [(name, count, trace.accepted[name]) for name, count in trace.proposed.items()]


def _weights(result: WeightedResult) -> dict[tuple[int, ...], float]:
    """The share of the weight of each text that was drawn, all its draws together."""
    found: dict[tuple[int, ...], float] = {}
    weights = result.samples.weights.tolist()
    for row, weight in zip(result.samples.batch.rows(), weights, strict=True):
        found[row] = found.get(row, 0.0) + weight
    return found


def _grown(
    recorded: Sequence[Growth], scorer: NextTokenScorer
) -> list[tuple[growth.GrowthCounts, int, str]]:
    """Of each token: counts, ancestors that are left, and the best text so far."""
    each = map(growth.counts, recorded)
    best = growth.best_texts(recorded, scorer)
    return [*zip(each, growth.ancestors_left(recorded), best, strict=True)]


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names and values, those of a table after its own: ``options.threshold``."""
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        elif value is not None:
            found.append((f"{before}{name}", str(value)))
    return found
