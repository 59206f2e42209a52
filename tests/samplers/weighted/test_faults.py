"""Faults of weighted samplers, put into ours one at a time: a check must see each.

The numbers are those of the list of known faults in CONTRIBUTING.md. A changed piece is put in the
place of the real one wherever it is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import ErgotextError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import SeededDraws
from ergotext.testing.tables import FEW, LOOP, NOTHING, check_unbiased, mass, target
from tests.faulty import modules, modules_with_fault
from tests.samplers.weighted.test_exactness import (
    GIVES_UP,
    TWIST,
    Hopes,
    check_genealogy,
    check_step,
)
from tests.samplers.weighted.test_smc import check_soft_decides_nothing

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = (
    "weighted.resampling",
    "weighted.trust",
    "weighted.samples",
    "target",
    "weighted.proposals",
    "weighted.rollout",
    "weighted.importance",
    "weighted.rejection",
    "weighted.smc",
)

FAULTS = {
    "9: a correction step left out": (
        "weighted.rejection",
        "(batch.log_weight - bound).clamp(max=0.0).exp()",
        "(batch.log_weight > -torch.inf).double()",
    ),
    "10: the allowed mass is no weight": (
        "weighted.proposals",
        "np.where(dead.numpy(), -1, state), mass)",
        "np.where(dead.numpy(), -1, state), mass.clamp(min=0.0).masked_fill(dead, -torch.inf))",
    ),
    "10: adaptive rejection takes the mass of the token for that of all": (
        "weighted.proposals",
        "total[rows] += known[rows] + rest[rows] * allowed",
        "total[rows] += known[rows]",
    ),
    "10: adaptive rejection counts what it has seen among what is left": (
        "weighted.proposals",
        "self._mass(draws, left, known,",
        "self._mass(draws, _Left.of(log_prob), known,",
    ),
    "10: what is listed after refusals is estimated once more": (
        "weighted.proposals",
        "left.total[rows] = 0.0  # nothing is left to ask",
        "pass",
    ),
    "10: a token that was taken away stays in the sum of its block": (
        "weighted.proposals",
        "self.total[rows, block] = self.mass[rows, block].sum(1)",
        "self.total[rows, block] += 0.0",
    ),
    "11: the end is forced and not weighed": (
        "weighted.rollout",
        "log_prob[:, end].masked_fill",
        "torch.zeros(len(states)).double().masked_fill",
    ),
    "11: sequences one longer than allowed": (
        "weighted.rollout",
        "left = target.max_length - prefix.longest",
        "left = target.max_length + 1 - prefix.longest",
    ),
    "12: no error where all weights are zero": (
        "weighted.samples",
        "if not len(self.log_weight):",
        "if False:",
    ),
    "12: no warning of heavy weights": (
        "weighted.trust",
        "return self.k_hat > trusted(self.tries)",
        "return False",
    ),
    "12: draws of weight zero are not counted": (
        "weighted.samples",
        "            len(batch),\n            root[met],",
        "            int(met.sum()),\n            root[met],",
    ),
    "13: a broken bound passes": (
        "weighted.rejection",
        "if not float(batch.log_weight[worst]) <= bound + ROUNDING:",
        "if False:",
    ),
    "13: a soft energy without a bound passes": (
        "weighted.rejection",
        "if log_bound is None and target.soft is not None:",
        "if False:",
    ),
    "14: dead particles keep being written": (
        "weighted.smc",
        "open=rows.open & (log_weight > -torch.inf)",
        "open=rows.open",
    ),
    "14: one row without a way stops all": (
        "weighted.proposals",
        "chosen[~dead] = draws.categorical(score[~dead].softmax(1))",
        "chosen[:] = draws.categorical(score.softmax(1))",
    ),
    "14: roots do not move with their particles": ("weighted.smc", "root[chosen]", "root"),
    "14: potentials do not move with their particles": (
        "weighted.smc",
        "potential[chosen]",
        "potential",
    ),
    "14: resampling forgets the mean weight": (
        "weighted.smc",
        "log_weight[self.places] = mean",
        "log_weight[self.places] = 0.0",
    ),
    "weights in single precision": (
        "weighted.smc",
        "log_weight[self.places] = mean",
        "log_weight[self.places] = torch.tensor(mean, dtype=torch.float32).double()",
    ),
    "14: states do not move with their rows": (
        "weighted.rollout",
        "self.state[index.numpy()],",
        "self.state[: len(index)],",
    ),
    "15: draws of one ancestor pass for independent": (
        "weighted.trust",
        "index_add(0, root, log_weight.softmax(0))",
        "index_add(0, torch.arange(len(root)), log_weight.softmax(0))",
    ),
    "systematic resampling from one end of the strata": (
        "weighted.resampling",
        "point = (edges[between] + edges[between + 1]) / 2",
        "point = edges[0]",
    ),
    "the soft energy has the wrong sign": ("target", "return -value", "return value"),
    "the twist stays in the weight": (
        "weighted.smc",
        "rows.log_weight + after - potential",
        "rows.log_weight + after",
    ),
    "26: closed rows are resampled with open ones": (
        "weighted.smc",
        "(rows.open | (rows.log_weight == -torch.inf))",
        "(rows.open | (rows.log_weight < torch.inf))",
    ),
    "28: resampling by the weights from before the draw": (
        "weighted.smc",
        "weight = self.log_weight.softmax(0)",
        "weight = self.log_weight.clamp(min=0.0, max=0.0).where(\n"
        "            self.log_weight > -torch.inf, -torch.inf\n        ).softmax(0)",
    ),
    "28: the last token's potential is never taken out": (
        "weighted.smc",
        "rows.log_weight + after - potential",
        "rows.log_weight + after - potential.where(rows.open, 0.0)",
    ),
    "28: the last token's potential is taken out twice": (
        "weighted.smc",
        "rows.log_weight + after - potential",
        "rows.log_weight + after - potential - potential.where(~rows.open, 0.0)",
    ),
}  # fmt: skip


def check(m: Any) -> None:
    """The checks of the other modules in short, over these functions."""
    masked, model = m.proposals.masked, m.proposals.model
    check_what_is_told(m)
    check_genealogy(m.smc.smc)
    check_soft_decides_nothing(m.smc.smc)
    check_step(m.proposals.AdaptiveRejection(2))
    check_step(m.proposals.AdaptiveRejection(1, 2))
    check_errors_of_log_z(m)
    check_unbiased(m.importance.importance, target(LOOP, 3), 1, proposal=masked)
    check_unbiased(m.importance.importance, target(LOOP, 1), 1, proposal=model)
    plain = target(FEW, 3, seed=2)
    few = m.target.Target(plain.scorer, plain.automaton, plain.max_length, plain.soft)
    check_unbiased(
        m.rejection.rejection, few, 1, proposal=masked, log_bound=0.4, max_tries=2, at_once=1
    )
    for scheme in ("multinomial", "systematic"):
        how = {"threshold": 1.0, "twist": TWIST, "resampling": scheme, "proposal": masked}
        check_unbiased(m.smc.smc, few, 2, **how)
    far = Hopes(*(TWIST.potential + 1e4))
    check_unbiased(m.smc.smc, few, 2, threshold=1.0, twist=far, proposal=masked)
    for twist in (None, GIVES_UP):
        how = {"threshold": 1.0, "twist": twist, "proposal": masked}
        check_unbiased(m.smc.smc, target(LOOP, 3), 2, **how)


def check_what_is_told(m: Any) -> None:
    hard = target(NOTHING, 3)
    assert told(lambda: m.importance.importance(hard, SeededDraws(0), 9)) == "ZeroWeightError"
    few = target(FEW, 3, seed=2)
    reject = m.rejection.rejection
    assert told(lambda: reject(few, SeededDraws(0), 50, log_bound=0.0)) == "BoundError"
    assert told(lambda: reject(few, SeededDraws(0), 50)) == "InputError"
    one = torch.full((100,), -9.0, dtype=torch.float64)
    one[::10] = torch.arange(10)
    heavy = m.samples.WeightedSamples.of(TokenBatch.of([(1,)] * 100), one)
    with pytest.warns(Warning, match="k-hat"):
        heavy.warned()
    copies = m.samples.WeightedSamples.of(
        TokenBatch.of([(1,)] * 100),
        torch.zeros(100, dtype=torch.float64),
        torch.arange(25).repeat(4),
    )
    assert abs(copies.log_z_stderr - (3 / 99) ** 0.5) < 1e-9, "25 roots of four rows each"


def told(call: Any) -> str:
    try:
        call()
    except ErgotextError as error:
        return type(error).__name__
    return "nothing"


def check_errors_of_log_z(m: Any) -> None:
    """Stated errors of log Z against those seen in 40 seeds, where particles share ancestors."""
    of = target(LOOP, 6)
    log_z = np.log(sum(mass(of).values()))
    runs = [m.smc.smc(of, SeededDraws(s), 200, threshold=0.95) for s in range(40)]
    assert np.mean([abs(r.log_z - log_z) <= 3 * r.log_z_stderr for r in runs]) >= 0.97


def test_the_code_as_it_is_passes() -> None:
    check(modules(NAMES))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises(
        (AssertionError, ErgotextError, ValueError, IndexError, pytest.fail.Exception)
    ):
        check(faulty)
