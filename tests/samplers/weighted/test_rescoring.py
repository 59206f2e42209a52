"""Particles that one model proposed and another weighs: every path, and the faults of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.samplers import SAMPLERS, sample
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.proposals import TokenProposal, masked
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.rollout import GrownRows
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import EVERYTHING, FEW, LOOP, check_unbiased, target
from ergotext.testing.toy import ToyFluency, ToyScorer
from tests.faulty import modules, modules_with_fault
from tests.samplers.astray import Astray, Reducible
from tests.samplers.weighted.test_exactness import GIVES_UP, TWIST, Hopes
from tests.samplers.weighted.test_twisted import check

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
NAMES = (
    "weighted.resampling",
    "weighted.choices",
    "weighted.proposals",
    "weighted.rollout",
    "weighted.rescoring",
    "weighted.particles",
    "weighted.smc",
)
SOFT = target(FEW, 3, seed=2)
POWER = replace(target(LOOP, 2), power=2.5, ramp=1)
OF_FEW, OF_LOOP = Twisted(Hopes(FEW, *TWIST)), Twisted(Hopes(LOOP, *GIVES_UP))
WORLDS: dict[str, tuple[Target, TokenProposal, int, dict[str, Any]]] = {
    "every step": (SOFT, masked, 2, {"threshold": 1.0}),
    "multinomial, twisted": (SOFT, OF_FEW, 2, {"threshold": 1.0, "resampling": "multinomial"}),
    "dead ends": (target(LOOP, 3), OF_LOOP, 2, {"threshold": 0.9}),
    "power": (POWER, OF_LOOP, 2, {"threshold": 1.0}),
    "islands": (target(FEW, 2), masked, 3, {"threshold": 1.0, "islands": 2}),
    "thinned, power": (POWER, masked, 3, {"threshold": 0.0, "finals": 2}),
}  # fmt: skip


@pytest.mark.parametrize("size", [0.1, 2.0])
@pytest.mark.parametrize("name", WORLDS)
def test_weights_make_up_for_the_proposer(name: str, size: float) -> None:
    """Σ p·w·1[x] = p̃(x) to 1e-9 under numbers that are wrong, batch by batch."""
    of, proposal, n, how = WORLDS[name]
    check(modules(NAMES).smc.smc, of, n, proposal=proposal, proposer=Astray(5, size), **how)


def check_thinned(thinned: Any, scheme: str) -> None:
    """The weight of each text is on average what it was, on each island; texts are few."""
    texts = [(1,), (2,), (1,), (3, 1), (2, 2), (4,), (3,), (1, 1), (1,), (2, 1), (4, 4)]
    weights = [0.3, 2.0, 0.1, 1.0, 0.0, 0.7, 0.4, 0.9, 0.2, 0.5, 0.8]
    log_prob = torch.tensor([-3.0, -1.0, -3.0, -2.0, -0.1, -4.0, -2.0, -6.0, -3.0, -2.5, -9.0])
    island = torch.tensor([0] * 7 + [1] * 4)
    few = GrownRows.start(target(FEW, 2), len(texts))
    weight = torch.tensor(weights, dtype=torch.float64)
    rows = replace(
        few,
        batch=TokenBatch.of(texts),
        log_weight=weight.log(),
        log_prob=log_prob.double(),
        open=few.open & False,
    )

    def outcome(draws: Any) -> dict[tuple[int, tuple[int, ...]], float]:
        found, chosen = thinned(draws, rows, island, 3, scheme)
        assert found.batch.rows() == [texts[k] for k in chosen.tolist()]
        assert found.log_prob.tolist() == rows.log_prob[chosen].tolist()
        total: dict[tuple[int, tuple[int, ...]], float] = {}
        for place, (text, w) in enumerate(
            zip(found.batch.rows(), found.log_weight.exp().tolist(), strict=True)
        ):
            assert island[place] == island[chosen[place]]
            key = (int(island[place]), text)
            total[key] = total.get(key, 0.0) + w
        assert sum(w > 0 for (place, _), w in total.items() if place == 0) <= 3
        assert total[0, (2,)] == 2.0 and total[1, (2, 1)] == 0.5  # the likeliest a token
        return total

    mean: dict[tuple[int, tuple[int, ...]], float] = {}
    for p, total in every_run(outcome):
        for key, w in total.items():
            mean[key] = mean.get(key, 0.0) + p * w
    for key in {(int(n), text) for n, text in zip(island, texts, strict=True)}:
        meant = sum(
            w for n, x, w in zip(island.tolist(), texts, weights, strict=True) if (n, x) == key
        )
        assert abs(mean.get(key, 0.0) - meant) < 1e-9, key


@pytest.mark.parametrize("scheme", ["multinomial", "stratified", "systematic"])
def test_few_texts_stand_for_all(scheme: str) -> None:
    check_thinned(modules(NAMES).rescoring.thinned, scheme)


FAULTS = {
    "the correction is left out": (
        "weighted.rescoring", "log_weight[met] += target.power * (own - log_prob[met])", "pass",
    ),
    "the correction is made twice": (
        "weighted.rescoring", "log_weight[met] += target", "log_weight[met] += 2 * target",
    ),
    "the correction has the wrong sign": (
        "weighted.rescoring", "(own - log_prob[met])", "(log_prob[met] - own)",
    ),
    "the correction is not to the power of the target": (
        "weighted.rescoring", "target.power * (own", "(own",
    ),
    "what was used is asked for again": (
        "weighted.rescoring", "(own - log_prob[met])",
        "(own - target.scorer.log_prob(rows.batch.select(met)))",
    ),
    "a text gets the score of another": (
        "weighted.rescoring", "place[row] for row in each", "0 for _ in each",
    ),
    "the proposer scores the texts": (
        "weighted.smc", "rescored(target, rows)", "rescored(grown_by, rows)",
    ),
    "the end token's is left out": (
        "weighted.rollout", "ahead.log_prob[place, step.token]",
        "ahead.log_prob[place, step.token].where(step.token > 0, 0.0)",
    ),
    "only the end token's counts": (
        "weighted.rollout", "ahead.log_prob[place, step.token]",
        "ahead.log_prob[place, step.token].where(step.token == 0, 0.0)",
    ),
    "that of another row after resampling": (
        "weighted.rollout", "ahead.log_prob[place, step.token]",
        "ahead.log_prob[ahead.place[at].clamp(min=0), step.token]",
    ),
    "it stays where it was when rows are resampled": (
        "weighted.rollout", "            self.log_prob[index],", "            self.log_prob,",
    ),
    "what is thinned loses mass": (
        "weighted.rescoring", "count=len(drawn))", "count=len(others))",
    ),
    "thinned rows are drawn evenly": (
        "weighted.rescoring", "law = of_others.softmax(0)", "law = (0 * of_others).softmax(0)",
    ),
    "what is not drawn keeps its weight": (
        "weighted.rescoring", "log_weight[left] = -torch.inf", "pass",
    ),
    "kept texts are drawn as well": (
        "weighted.rescoring", " if written[k] not in kept]", "]",
    ),
    "the unlikeliest are kept": ("weighted.rescoring", "descending=True", "descending=False"),
    "more are drawn than asked for": (
        "weighted.rescoring", "drawn, left = others[: texts - len(kept)]",
        "drawn, left = others[:texts]",
    ),
    "roots stay where they were": ("weighted.smc", "root = root[stands]\n        rows", "rows"),
    "texts do not move with their weights": (
        "weighted.rescoring", "rows.select(chosen), log_weight", "rows, log_weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    m = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises(AssertionError):
        check_all(m)


def check_all(m: Any) -> None:
    check_thinned(m.rescoring.thinned, "systematic")
    check_few_texts(m.smc.smc)
    for of, proposal, n, how in WORLDS.values():
        check(m.smc.smc, of, n, proposal=proposal, proposer=Astray(5, 1.0), **how)


def check_few_texts(smc: Any) -> None:
    """As many of each island as were asked for, each once, and the likeliest among them."""
    asked: list[int] = []

    class Counting(ToyScorer):
        def log_prob(self, batch: TokenBatch) -> torch.Tensor:
            asked.append(len(batch))
            return super().log_prob(batch)

    of = Target(Counting(1), EVERYTHING, 4)
    everything = smc(of, SeededDraws(0), 60, proposer=Astray(1, 1e-9), islands=3)
    few = smc(of, SeededDraws(0), 60, proposer=Astray(1, 1e-9), islands=3, finals=11)
    assert asked == [len(set(run.batch.rows())) for run in (everything, few)]
    assert asked[0] > 20 and asked[1] <= 12 and few.tries == 60
    for island in range(3):
        there = few.batch.select(few.island == island).rows()
        assert 2 <= len(set(there)) <= 4
        own = everything.batch.select(everything.island == island)
        rate = of.scorer.log_prob(own) / (own.length + 1)
        assert own.rows()[int(rate.argmax())] in there
        rows, roots = everything.batch.rows(), everything.root.tolist()
        known = set(zip(rows, roots, strict=True))
        assert known.issuperset(zip(few.batch.rows(), few.root.tolist(), strict=True))


def test_few_texts_are_scored() -> None:
    check_few_texts(modules(NAMES).smc.smc)


def test_the_precision_is_chosen_and_told() -> None:
    energy = Sum([(1.0, ToyFluency(Reducible())), (1.0, matches(FEW))])
    found = sample(energy, "smc", n=64, proposal_dtype="int8", progress=False)
    assert isinstance(found, WeightedResult) and isinstance(found.samples, Particles)
    assert found.samples.proposed_in == "int8" and "proposed in int8" in found.text()
    plain = sample(energy, "smc", n=64, progress=False)
    assert "proposed" not in plain.text()
    torch.testing.assert_close(plain.energy, energy(plain.samples.batch))
    alone = Sum([(1.0, ToyFluency(ToyScorer())), (1.0, matches(FEW))])
    assert sample(alone, "smc", n=64, proposal_dtype="auto", progress=False).best(1)
    with pytest.raises(InputError, match="no precision 'int8' to propose in"):
        SAMPLERS["smc"](alone, proposal_dtype="int8")
    with pytest.raises(InputError, match="at least 2"):
        SAMPLERS["smc"](energy, proposal_dtype="int8", finals=1)
    check_unbiased(modules(NAMES).smc.smc, SOFT, 2, proposer=SOFT.scorer, finals=2)
