"""Generated texts with their objects and probabilities, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic_core import to_jsonable_python

from ergotext.samplers.weighted.result import WeightedResult
from ergotext.support.reprs import safe
from ergotext.support.words import as_line
from ergotext.tasks.generation.alternatives import Bounds

LINES = 10
"""Lines of a result in a Python session."""
CLOSE = 0.005
"""Distance of bounds that are shown as one number."""


@dataclass(frozen=True)
class Generation:
    """One text that satisfies the constraint.

    Parameters
    ----------
    text : str
    tokens : tuple of int
        Its likeliest spelling of those that were found.
    log_prob : float
        log p(text, its end | prompt) in nats, summed over the spellings that were found: all of
        them where the bounds are equal, else a lower bound.
    probability : float
        Under the constraint: ``log_prob`` as a share of all texts that satisfy it. Of a search the
        lower bound, which is certain; of draws an estimate, exact where the bounds are equal.
    bounds : (float, float)
        The least and the most that this probability can be. They are certain, and equal where
        every text was examined in every spelling.
    fields : mapping of str to mapping
        Of JSON, by path (``pets/0/kind``): bounds for the probability of each value that the schema
        lists, if ``alternatives`` were asked for (``alternatives.of_field``).
    """

    text: str
    tokens: tuple[int, ...]
    log_prob: float
    probability: float
    bounds: Bounds
    fields: Mapping[str, Mapping[str, Bounds]]
    _read: Callable[[], Any] = field(repr=False, compare=False)

    @cached_property
    def value(self) -> Any:
        """The object: of a schema what JSON holds, of a type an instance, of an index its objects.

        Raises
        ------
        ErgotextError
            A type refuses what its schema allows, or JSON is nested deeper, or a number of it
            longer, than Python reads.
        """
        return self._read()


@dataclass(frozen=True)
class Generations(Sequence[Generation]):
    """What was generated for one prompt.

    Parameters
    ----------
    found : tuple of Generation
        A search has the most probable first, draws are in their order.
    alternatives : mapping of str to (float, float)
        Bounds for the probability of every choice, summed over spellings; of another constraint
        those of all texts that were found, where that is nearly everything. The greatest first.
    log_z : (float, float)
        Bounds for log of the probability that an unconstrained text satisfies the constraint.
    estimate : (float, float), optional
        log Z as it was estimated from draws, and its standard error in nats, +inf if unknown.
    proven : bool
        Whether no other text can be more probable than these; of draws, whether they are
        independent draws of the exact law.
    how : str
        One line on the search or the draws.
    warnings : tuple of str
        What limits the trust in draws.
    drawn : WeightedResult, optional
        The particles that the draws or the estimate came from.
    """

    found: tuple[Generation, ...]
    alternatives: Mapping[str, Bounds]
    log_z: tuple[float, float]
    estimate: tuple[float, float] | None
    proven: bool
    how: str
    warnings: tuple[str, ...] = ()
    drawn: WeightedResult | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, at: Any) -> Any:
        return self.found[at]

    def __iter__(self) -> Iterator[Generation]:
        return iter(self.found)

    @property
    def value(self) -> Any:
        """The object of the first."""
        return self.found[0].value

    @property
    def probability(self) -> float:
        """That of the first, under the constraint."""
        return self.found[0].probability

    @property
    def values(self) -> list[Any]:
        """The objects of all."""
        return [one.value for one in self.found]

    @safe
    def __repr__(self) -> str:
        """As ``shown``, in at most ten lines."""
        lines = self.shown().splitlines()
        return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"])

    def shown(self) -> str:
        """A line for each text, its fields and the other choices below it, and one on all."""
        lines = []
        for one in self.found:
            told = f"{self._certain(one)}log p {one.log_prob:.1f}"
            lines.append(f"{as_line(one.text)}  [{told}]")
            for path, values in one.fields.items():
                lines.append(f"  {as_line(path)}: {_listed(values)}")
        if len(self.alternatives) > 1:
            lines.append(f"  all: {_listed(self.alternatives)}")
        return "\n".join([*lines, f"({self.how})"])

    def _certain(self, one: Generation) -> str:
        low, high = one.bounds
        if self.estimate is not None and high - low > CLOSE:
            return f"p about {one.probability:.2g}, "
        # Bounds that say nothing are not shown.
        return "" if low < CLOSE and high > 1 - CLOSE else f"p {_number(one.bounds)}, "

    def json(self, prompt: Any, ascii_only: bool = False) -> str:
        """One JSON object for each text and line."""
        return "\n".join(
            json.dumps(
                {
                    "value": plain(one.value),
                    "text": one.text,
                    "log_prob": one.log_prob,
                    "probability": one.probability,
                    "bounds": one.bounds,
                    "fields": one.fields,
                    "alternatives": self.alternatives,
                    "proven": self.proven,
                    "prompt": prompt,
                },
                ensure_ascii=ascii_only,
            )
            for one in self.found
        )


def plain(value: Any) -> Any:
    """An object as what JSON can hold; null for a number beyond those of floating point."""
    return to_jsonable_python(value, inf_nan_mode="null")


def _number(bounds: Bounds) -> str:
    low, high = bounds
    if high - low <= CLOSE:
        return f"{(low + high) / 2:.3f}"
    return f"{low:.3f} to {high:.3f}" if low >= 0.0005 else f"{low:.0e} to {high:.3f}"


def _listed(values: Mapping[str, Bounds], most: int = 10) -> str:
    order = sorted(values.items(), key=lambda pair: -sum(pair[1]))
    shown = [f"{as_line(name)} {_number(bounds)}" for name, bounds in order[:most]]
    more = [f"and {len(order) - most} more"] if len(order) > most else []
    return ", ".join([*shown, *more])
