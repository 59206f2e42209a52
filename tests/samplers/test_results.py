"""Results of chains and of weighted samplers: one way to read both, and their warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers import Result, State, WeightedResult, sample, stop_rule
from ergotext.samplers.datatree import datatree
from ergotext.samplers.diagnostics import Diagnosis
from ergotext.samplers.target import EnergyError
from ergotext.samplers.weighted.samples import HeavyWeightsWarning
from ergotext.testing.exhaust import stationary
from ergotext.testing.toy import ToyFluency, ToyScorer, flat_energy, space
from tests.faulty import load_with_fault

RUN = {"chains": 4, "steps": 40, "max_length": 4, "progress": False}


@pytest.fixture(scope="module")
def chains() -> Result:
    result = sample(flat_energy(), "mh", **RUN)
    assert isinstance(result, Result)
    return result


@pytest.fixture(scope="module")
def weighted() -> WeightedResult:
    result = sample(flat_energy(), "importance", n=400, max_length=4, seed=3)
    assert isinstance(result, WeightedResult)
    return result


def test_draws_come_from_the_second_half(chains: Result) -> None:
    drawn = chains.draws(20)
    assert len(drawn) == 20 and {one.chain for one in drawn} == {0, 1, 2, 3}
    assert min(one.step for one in drawn) >= 20 and max(one.step for one in drawn) == 40
    assert len({(one.chain, one.step) for one in drawn}) == 20
    for one in drawn:
        assert chains.trace.states[one.step].rows()[one.chain] == one.tokens
        assert float(chains.energy[one.step, one.chain]) == one.energy
    everything = chains.draws(21 * 4)
    assert {(one.chain, one.step) for one in everything} == {
        (chain, step) for chain in range(4) for step in range(20, 41)
    }
    for count in (0, 85):
        with pytest.raises(InputError, match="only 84 states"):
            chains.draws(count)


def test_what_an_optimiser_visits_is_no_sample() -> None:
    result = sample(flat_energy(), "annealing", **RUN)
    assert isinstance(result, Result) and result.warnings == []
    with pytest.raises(InputError, match=r"annealing is an optimiser.*best\(3\)"):
        result.draws(3)


def test_features_are_of_every_state(chains: Result) -> None:
    asked: list[str] = []

    def letters(texts: list[str]) -> list[int]:
        asked.extend(texts)
        return [len(text.split()) for text in texts]

    values = chains.feature(letters)
    lengths = torch.stack([batch.length for batch in chains.trace.states])
    np.testing.assert_array_equal(values, lengths.numpy())
    assert len(asked) == len({row for batch in chains.trace.states for row in batch.rows()})
    told = chains.diagnose(letters, "words")
    assert told == Diagnosis.of("words", values[20:]) and told.draws == 21
    assert chains.diagnose().name == "energy"
    assert chains.autocorrelation(letters, 5)[0] == 1.0 and len(chains.autocorrelation()) == 21
    for bad in (lambda texts: [1.0], lambda texts: [np.nan] * len(texts)):
        with pytest.raises(InputError, match="one finite number for each"):
            chains.feature(bad)


def test_short_chains_are_warned_of(chains: Result) -> None:
    assert any("worth" in said and "run longer" in said for said in chains.warnings)


@dataclass(frozen=True, eq=False, kw_only=True)
class Ladder(State):
    swap_rate: torch.Tensor


def test_swap_rates_are_those_of_the_last_state(chains: Result) -> None:
    assert chains.swap_rates == [] and chains.state is not None
    assert chains.state.batch.rows() == chains.trace.states[-1].rows()
    rates = torch.tensor([0.5, 0.0, 0.25])
    last = Ladder(batch=chains.state.batch, energy=chains.state.energy, swap_rate=rates)
    tempered = replace(chains, state=last)
    assert tempered.swap_rates == [0.5, 0.0, 0.25]
    assert "exchanges 50%, 0%, 25%" in tempered.text() and "exchanges" not in chains.text()
    assert tempered.warnings[-1] == "rungs 2 and 3 never exchanged; add rungs between them"


class Wrong(ToyFluency):
    """An energy of its own that is right where chains begin, and nowhere else."""

    def __init__(self, wrong) -> None:
        super().__init__(ToyScorer())
        self.wrong = wrong

    def __call__(self, batch: TokenBatch) -> torch.Tensor:
        value = super().__call__(batch)
        return self.wrong(value) if int(batch.length.sum()) else value  # chains begin empty


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda value: value * torch.nan, "is NaN or −inf"),
        (lambda value: value - torch.inf, "is NaN or −inf"),
        (lambda value: value.float(), "must be float64"),
        (lambda value: value[:, None], "must be float64"),
    ],
)
def test_an_energy_that_is_none_ends_the_run(wrong, message: str, tmp_path: Path) -> None:
    """Chains would sit still on NaN for good, and say nothing."""
    file = tmp_path / "run"
    with pytest.raises(EnergyError, match=message):
        sample(Wrong(wrong), "mh", checkpoint=file, **RUN)
    assert file.exists()


def test_a_run_ends_when_its_chains_agree() -> None:
    asked = {"chains": 4, "max_length": 3, "every": 50, "progress": False}
    result = sample(flat_energy(), "mh", steps=5000, r_hat=1.05, **asked)
    assert isinstance(result, Result)
    assert result.stopped == "r_hat" and result.steps % 50 == 0 and result.steps < 5000
    told = result.diagnose()
    assert told.r_hat <= 1.05 and told.ess_bulk >= 40
    assert "stopped as the chains agree" in result.text()
    short = sample(flat_energy(), "mh", steps=result.steps - 50, r_hat=1.05, **asked)
    assert isinstance(short, Result) and short.stopped == "steps"


def check_worth(module: Any) -> None:
    """Chains that agree end a run when they are worth ten draws each, not ten together."""
    random = np.random.default_rng(0)
    for chains, kept, ends in ((4, 3, None), (4, 40, "r_hat"), (1 + 1, 12, "r_hat")):
        # Blocks of one value, the same in all chains but for their order: R-hat is near 1.
        blocks = np.stack([random.permutation(kept) for _ in range(chains)], axis=1)
        energy = torch.from_numpy(np.repeat(blocks, 40, axis=0).astype(float))
        run = SimpleNamespace(
            trace=SimpleNamespace(energy=energy.repeat(2, 1)), steps=len(energy) * 2
        )
        worth = module.ess_bulk(energy.numpy())
        assert (worth >= 10 * chains) == (ends is not None) and worth > 10
        assert module.StopRule(10**6, None, 9.0, chains).reached(run) == ends


def test_chains_are_worth_ten_draws_each_before_they_end_a_run() -> None:
    check_worth(stop_rule)


@pytest.mark.parametrize(("old", "new"), [(" * self.chains", ""), (">= WORTH", "<= WORTH")])
def test_a_run_that_ends_too_early_is_seen(old: str, new: str) -> None:
    whole = "ess_bulk(energy) >= WORTH * self.chains"
    with pytest.raises(AssertionError):
        check_worth(load_with_fault("samplers.stop_rule", (whole, whole.replace(old, new))))


@pytest.mark.parametrize(("r_hat", "chains"), [(1.0, 4), (0.5, 4), (1.01, 1)])
def test_what_r_hat_takes(r_hat: float, chains: int) -> None:
    with pytest.raises(InputError, match="R-hat needs"):
        sample(flat_energy(), r_hat=r_hat, chains=chains)


def test_settings_tell_what_was_asked_for(chains: Result, weighted: WeightedResult) -> None:
    told = json.loads(json.dumps(chains.settings))
    assert told["sampler"] == "mh" and told["steps"] == 40 and told["chains"] == 4
    assert told["options"] == {} and told["seed"] == 0 and told["max_length"] == 4
    assert json.loads(json.dumps(weighted.settings))["n"] == 400
    other = sample(flat_energy(), "mh", temperature=0.7, settings={"model": "toy"}, **RUN)
    assert other.settings["options"] == {"temperature": 0.7} and other.settings["model"] == "toy"


def test_weighted_draws_and_their_weights(weighted: WeightedResult) -> None:
    everything = weighted.all()
    assert len(everything) == len(weighted.samples)
    for one, weight in zip(everything, weighted.samples.log_weight.tolist(), strict=True):
        assert one.log_weight == weight and one.chain is None and one.step is None
        assert sum(one.terms.values()) == pytest.approx(one.energy)
        assert list(one.record()) == ["text", "log_prob", "energy", "terms", "log_weight"]
    best = weighted.best(5)
    assert [one.energy for one in best] == sorted(one.energy for one in best)
    assert len({one.text for one in best}) == 5
    assert best[0].energy == min(one.energy for one in everything)
    energy = flat_energy()
    exact = float((-energy(space(energy, 4))).logsumexp(0))
    assert abs(weighted.log_z - exact) < 5 * weighted.log_z_stderr
    assert "log Z" in weighted.text() and "k-hat" in weighted.text()


def test_draws_of_a_weighted_result_follow_the_weights(weighted: WeightedResult) -> None:
    count = 4000
    drawn = [one.tokens for one in weighted.draws(count)]
    rows = weighted.samples.batch.rows()
    for row in set(rows):
        at = [k for k, other in enumerate(rows) if other == row]
        share = float(weighted.samples.weights[at].sum())
        error = (share * (1 - share) / count) ** 0.5
        assert abs(drawn.count(row) / count - share) < 5 * error + 1e-12
    assert [one.tokens for one in weighted.draws(9)] == [one.tokens for one in weighted.draws(9)]
    with pytest.raises(InputError, match="at least 1"):
        weighted.draws(0)


def test_draws_of_both_kinds_have_one_law() -> None:
    """Chains of 4,000 states and weighted draws: every text within 5 standard errors of π."""
    energy = flat_energy()
    states = space(energy, 2)
    pi = dict(zip(states.rows(), stationary(energy(states)).tolist(), strict=True))
    weighted = sample(energy, "importance", n=4000, max_length=2)
    for row, share in pi.items():
        error = (share * (1 - share) / weighted.ess) ** 0.5
        got = sum(
            w for r, w in zip(weighted.samples.batch.rows(), weighted.samples.weights.tolist(),
                              strict=True) if r == row
        )  # fmt: skip
        assert abs(got - share) < 5 * error


def test_too_few_particles_are_warned_of() -> None:
    with pytest.warns(HeavyWeightsWarning):
        few = sample(flat_energy(), "importance", n=6, max_length=4)
    assert isinstance(few, WeightedResult) and "k-hat is unknown" in few.warnings[0]


def test_a_labelled_tree(chains: Result) -> None:
    tree = datatree(chains, {"words": lambda texts: [len(text.split()) for text in texts]})
    assert dict(tree["posterior"].sizes) == {"chain": 4, "draw": 21}
    assert dict(tree["warmup_posterior"].sizes) == {"chain": 4, "draw": 20}
    np.testing.assert_array_equal(
        tree["sample_stats"]["energy"].transpose("draw", "chain"), chains.energy[20:]
    )
    np.testing.assert_array_equal(tree["sample_stats"]["lp"], -tree["sample_stats"]["energy"])
    np.testing.assert_array_equal(tree["posterior"]["words"], tree["posterior"]["length"])
    assert tree.attrs["sampler"] == "mh" and tree.attrs["seed"] == 0
    assert float(arviz_rhat(tree["sample_stats"]["energy"].values)) == pytest.approx(
        chains.diagnose().r_hat
    )


def arviz_rhat(values: np.ndarray) -> float:
    from arviz_stats.base.array import array_stats

    return array_stats.rhat(values)
