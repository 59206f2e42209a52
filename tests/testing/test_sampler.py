"""``check_sampler`` passes what is registered, and says what is wrong with faulty samplers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ergotext import testing
from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers import SAMPLERS, Info, MetropolisHastings, Sampler, State, WeightedSampler
from ergotext.samplers.chains import metropolis
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.testing.toy import toy_energy

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)

OPTIONS: dict[str, dict[str, Any]] = {
    "rejection": {"max_tries": 2, "n": 1},
    "ais": {"levels": 2, "n": 1, "max_length": 2},
    "smc": {"threshold": 1.0},
    "particle-gibbs": {"particles": 2, "threshold": 1.0, "max_length": 1},
    "rewrite": {"tries": 1, "stretch": 2, "max_length": 2},
}
NOT_LISTED = {
    "tempering": "its state is a Ladder",
    "pimh": "its state is a RunState",
    "stochastic-beam": "uniform numbers",
}
NAMES = sorted({sampler.__name__: name for name, sampler in reversed(SAMPLERS.items())}.values())


@pytest.mark.parametrize("name", NAMES)
def test_registered_samplers_pass(name: str) -> None:
    if name in NOT_LISTED:  # it says that it cannot tell, and does not pass
        with pytest.raises((InputError, AssertionError), match=NOT_LISTED[name]):
            testing.check_sampler(SAMPLERS[name])
        return
    testing.check_sampler(SAMPLERS[name], **OPTIONS.get(name, {}))


def test_an_energy_and_a_temperature_of_ones_own() -> None:
    testing.check_sampler(SAMPLERS["mh"], toy_energy(["a"]), temperature=0.4)


class Ratio(MetropolisHastings):
    """Takes every second thing that Hastings' ratio takes."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        t = metropolis.temperatures(self.temperature, state)
        proposal = self.edits.propose(draws, state.batch, self.scorer, t)
        worse = replace(proposal, log_q_back=proposal.log_q_back - 0.5)
        return metropolis.decide(draws, self.energy, state, worse, t)


class Symmetric(Ratio):
    """Leaves the proposal's probabilities out."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        t = metropolis.temperatures(self.temperature, state)
        proposal = self.edits.propose(draws, state.batch, self.scorer, t)
        back = torch.where(proposal.log_q_back.isinf(), -torch.inf, proposal.log_q_to)
        return metropolis.decide(draws, self.energy, state, replace(proposal, log_q_back=back), t)


class Warmer(MetropolisHastings):
    """Is told a temperature, and takes another."""

    def __init__(self, energy: Any, max_length: int = 40, temperature: float = 1.0) -> None:
        super().__init__(energy, max_length, temperature + 0.5)


class Stands(MetropolisHastings):
    """Never moves."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        _, info = super().step(draws, state)
        info = replace(info, accepted=torch.zeros_like(info.accepted))
        return replace(state, step=state.step + 1), info


class Stale(MetropolisHastings):
    """Keeps the energy of the state before."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        after, info = super().step(draws, state)
        return replace(after, energy=state.energy), info


class Writes(MetropolisHastings):
    """Writes into the state that it was given."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        after, info = super().step(draws, state)
        state.energy.copy_(after.energy)
        return after, info


class Hides(MetropolisHastings):
    """Reports the state after the decision as the proposal."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        after, info = super().step(draws, state)
        return after, replace(info, proposal=state.batch)


class Elsewhere(MetropolisHastings):
    """Begins where it likes."""

    def init(self, draws: Any, chains: int, initial: TokenBatch | None = None) -> State:
        return super().init(draws, chains, None)


class Misreports(MetropolisHastings):
    """Reports another energy of the proposal."""

    def step(self, draws: Any, state: State, temperature: Any = None) -> tuple[State, Info]:
        after, info = super().step(draws, state)
        return after, replace(info, proposal_energy=info.proposal_energy + 1)


class Long(MetropolisHastings):
    """Does not keep to the length."""

    def __init__(self, energy: Any, max_length: int = 40) -> None:
        super().__init__(energy, max_length + 2)


class Unknown(MetropolisHastings):
    kind = "exact"


class Nameless(MetropolisHastings):
    needs = ()


@pytest.mark.parametrize(
    ("sampler", "sentence"),
    [
        (Ratio, "does not keep exp.*has probability .* after one step"),
        (Symmetric, "does not keep exp"),
        (Warmer, "does not keep exp"),
        (Stands, "it reaches 1 texts in all"),
        (Stale, "the state keeps .* as the energy of"),
        (Writes, "changed the state that it was given"),
        (Hides, "must be Info.proposal where accepted"),
        (Elsewhere, r"chains must begin at initial, \[\(4, 4, 4\)\], and begin at \[\(\)"),
        (Misreports, "Info.proposal_energy must be the energy of Info.proposal"),
        (Long, "of 3 at most"),
        (Unknown, "kind must be one of invariant, weighted"),
        (Nameless, "needs must be a frozenset"),
    ],
)
def test_a_faulty_chain_is_told(sampler: type[Sampler], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        testing.check_sampler(sampler)


class Unweighted(SAMPLERS["importance"]):
    """Leaves the weights out."""

    def draw(self, draws: Any, n: int) -> WeightedSamples:
        found = super().draw(draws, n)
        return replace(found, log_weight=torch.zeros_like(found.log_weight))


class Partial(SAMPLERS["importance"]):
    """Never writes the longer texts."""

    def draw(self, draws: Any, n: int) -> WeightedSamples:
        found = super().draw(draws, n)
        weight = found.log_weight.masked_fill(found.batch.length > 1, -torch.inf)
        return WeightedSamples.of(found.batch, weight)


@pytest.mark.parametrize("sampler", [Unweighted, Partial])
def test_faulty_weights_are_told(sampler: type[WeightedSampler]) -> None:
    with pytest.raises(AssertionError, match=r"the weights of \(.*\) are .* and its mass is"):
        testing.check_sampler(sampler)


class Lost(SAMPLERS["annealing"]):
    """Walks about as hot as it begins."""

    def temperature(self, step: int) -> float:
        return 9.0


def test_an_optimiser_that_does_not_find_is_told() -> None:
    with pytest.raises(AssertionError, match="of 50 runs of 8 steps found the lowest energy"):
        testing.check_sampler(Lost, steps=8)


def test_the_start_may_be_given() -> None:
    testing.check_sampler(SAMPLERS["gibbs"], initial=TokenBatch.of([(1, 2)]))
    with pytest.raises(InputError, match="more than 1000 texts"):
        testing.check_sampler(MetropolisHastings, max_length=5)
