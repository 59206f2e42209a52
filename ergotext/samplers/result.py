"""Result of a chain run, with its diagnostics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.datatree import datatree
from ergotext.samplers.diagnostics import Diagnosis, autocorrelation
from ergotext.samplers.run import Trace
from ergotext.samplers.tables import LOOKED_AT, energy_table, texts_of
from ergotext.samplers.texts import Feature, Sample, described, distinct, featured
from ergotext.support.arrays import Floats
from ergotext.support.extras import frame
from ergotext.support.reprs import Listing, safe


@dataclass(frozen=True, repr=False)
class Result:
    """Result of a run of chains.

    ``len(result)`` is the number of states that averages are taken over, ``result[k]`` one of
    them, step by step, and ``for one in result`` gives all.

    Averages and warnings leave the first half of the steps out: there a chain still comes from
    where it was put.
    """

    problem: Energy = field(repr=False)
    trace: Trace = field(repr=False)
    sampler: str
    kind: Kind
    seed: int | None
    seconds: float
    stopped: str
    """Why the run ended: steps, time, r_hat or interrupt."""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What ``sample`` was asked for, defaults filled in."""
    state: State | None = field(default=None, repr=False)
    """The last one, with whatever the sampler keeps in it."""

    @safe
    def __repr__(self) -> str:
        return self._table().text()

    @safe
    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Listing:
        order = self.energy.flatten().argsort(stable=True)[:LOOKED_AT].tolist()
        at = (divmod(index, self.chains) for index in order)
        rows = ((self._row(*place).rows()[0], float(self.energy[place])) for place in at)
        return energy_table(f"Result: {self.text()}", self.problem, rows)

    def __len__(self) -> int:
        return (self.steps + 1 - self.warm_up) * self.chains

    def __iter__(self) -> Iterator[Sample]:
        return (self[k] for k in range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> list[Sample]: ...
    def __getitem__(self, at: int | slice) -> Sample | list[Sample]:
        if isinstance(at, slice):
            return [self[k] for k in range(len(self))[at]]
        step, chain = divmod(range(len(self))[at], self.chains)
        self.problem.forget()
        return self._sample((self.warm_up + step, chain))

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each state: chain, step, warm_up, energy, text.

        Averages leave out the rows whose ``warm_up`` is true.

        Raises
        ------
        InputError
            pandas is not installed.
        """
        each = [(step, chain) for step in range(self.steps + 1) for chain in range(self.chains)]
        rows = [row for batch in self.trace.states for row in batch.rows()]
        return frame(
            {
                "chain": [chain for _, chain in each],
                "step": [step for step, _ in each],
                "warm_up": [step < self.warm_up for step, _ in each],
                "energy": self.energy.flatten().numpy(),
                "text": texts_of(self.problem, rows),
            }
        )

    def to_arviz(self, features: Mapping[str, Feature] | None = None) -> Any:
        """The chains as a labelled DataTree for ArviZ: ``samplers.datatree.datatree``.

        Raises
        ------
        InputError
            arviz-base is not installed, or a feature is no number.
        """
        return datatree(self, features)

    @property
    def chains(self) -> int:
        return len(self.trace.states[0])

    @property
    def steps(self) -> int:
        """Steps that every chain took."""
        return len(self.trace.states) - 1

    @property
    def energy(self) -> Tensor:
        """float64 [steps + 1, chains]: the energy of each state, the initial one first."""
        return self.trace.energy

    @property
    def acceptance(self) -> dict[str, float]:
        """Acceptance rate by kind of move, and over all of them."""
        proposed, accepted = self.trace.proposed, self.trace.accepted
        rates = {name: accepted[name] / n for name, n in proposed.items() if n}
        return {**rates, "all": sum(accepted.values()) / max(1, sum(proposed.values()))}

    @property
    def swap_rates(self) -> list[float]:
        """Of tempered chains: how often neighbouring temperatures exchange, the coldest first."""
        rates: Tensor | None = getattr(self.state, "swap_rate", None)
        return [] if rates is None else rates.tolist()

    @property
    def warm_up(self) -> int:
        """States at the beginning that averages leave out."""
        return (self.steps + 1) // 2

    def feature(self, of: Feature) -> Floats:
        """float64 [steps + 1, chains]: a number for the text of every state.

        Raises
        ------
        InputError
            The function gives other than one finite number a text.
        """
        rows = [row for batch in self.trace.states for row in batch.rows()]
        return featured(self.problem, rows, of).reshape(-1, self.chains)

    def diagnose(self, of: Feature | None = None, name: str = "feature") -> Diagnosis:
        """Convergence diagnostics of the energy, or of a feature."""
        values = self.energy.numpy() if of is None else self.feature(of)
        return Diagnosis.of("energy" if of is None else name, values[self.warm_up :])

    def autocorrelation(self, of: Feature | None = None, lags: int = 50) -> Floats:
        """float64 [lags + 1]: of the energy, or of a feature (``diagnostics.autocorrelation``)."""
        values = self.energy.numpy() if of is None else self.feature(of)
        return autocorrelation(values[self.warm_up :], lags)

    @property
    def warnings(self) -> list[str]:
        """Warnings about the result, in plain words; an optimiser's states are not samples."""
        if self.kind == "optimiser":
            return self.unmoved
        apart = [rung for rung, rate in enumerate(self.swap_rates, 1) if rate == 0]
        return [
            *self.diagnose().warnings(),
            *(
                f"rungs {rung} and {rung + 1} never exchanged; add rungs between them"
                for rung in apart
            ),
        ]

    @property
    def unmoved(self) -> list[str]:
        """A warning if no chain ever left its start; else empty."""
        if self.trace.accepted.total():
            return []
        cause = "every proposal was rejected" if self.steps else "there was no time for a step"
        return [f"no chain left its start: {cause}; allow more steps or time, or relax the energy"]

    def best(self, count: int = 1) -> list[Sample]:
        """The ``count`` visited texts of lowest energy, no text twice (white space apart)."""
        order = self.energy.flatten().argsort(stable=True).tolist()
        at = (divmod(index, self.chains) for index in order)
        self.problem.forget()  # the last digits hang on what is cached, and a resumed run has less
        return distinct(((place, self._row(*place)) for place in at), self._sample, count)

    def draws(self, count: int) -> list[Sample]:
        """``count`` states, evenly spaced over the second half of all chains.

        Raises
        ------
        InputError
            The sampler optimises, or fewer states than that were visited.
        """
        if self.kind == "optimiser":
            raise InputError(
                f"{self.sampler} is an optimiser, so its states are not samples; use best({count})"
            )
        there = len(self)
        if not 0 < count <= there:
            raise InputError(f"only {there} states to draw from, got count = {count}; run longer")
        chosen = [(2 * k + 1) * there // (2 * count) for k in range(count)]
        at = (divmod(index, self.chains) for index in chosen)
        self.problem.forget()
        return [self._sample((self.warm_up + step, chain)) for step, chain in at]

    def text(self) -> str:
        """One line on the run."""
        rates = dict(self.acceptance)
        overall = rates.pop("all")
        by_move = ", ".join(f"{name} {rate:.0%}" for name, rate in rates.items())
        if self.swap_rates:
            by_move += f"; exchanges {', '.join(f'{rate:.0%}' for rate in self.swap_rates)}"
        cut = {
            "time": ", stopped by the time limit",
            "interrupt": ", interrupted",
            "r_hat": ", stopped as the chains agree",
        }
        return (
            f"{self.sampler}, {self.chains} chains × {self.steps} steps, {overall:.0%} accepted "
            f"({by_move}), {self.seconds:.1f} s, seed {self.seed}{cut.get(self.stopped, '')}"
        )

    def _row(self, step: int, chain: int) -> TokenBatch:
        return self.trace.states[step].select([chain])

    def _sample(self, at: tuple[int, int]) -> Sample:
        known = described(self.problem, self._row(*at), float(self.trace.energies[at[0]][at[1]]))
        return replace(known, step=at[0], chain=at[1])
