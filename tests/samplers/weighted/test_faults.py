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
    check_few_questions,
    check_genealogy,
    check_given,
    check_islands,
    check_power,
    check_step,
    check_unlikely,
)
from tests.samplers.weighted.test_smc import check_soft_decides_nothing

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = (
    "weighted.resampling",
    "weighted.trust",
    "weighted.samples",
    "target",
    "weighted.choices",
    "weighted.proposals",
    "weighted.adaptive",
    "weighted.rollout",
    "weighted.importance",
    "weighted.rejection",
    "weighted.particles",
    "weighted.smc",
    "weighted.twisted",
)

FAULTS = {
    "9: a correction step left out": (
        "weighted.rejection",
        "(batch.log_weight - bound).clamp(max=0.0).exp()",
        "(batch.log_weight > -torch.inf).double()",
    ),
    "10: the allowed mass is no weight": (
        "weighted.choices",
        "return self.score.logsumexp(1)",
        "return (self.score > -torch.inf).any(1).double().log()",
    ),
    "10: adaptive rejection takes the mass it knows for that of all": (
        "weighted.adaptive",
        "weight = score.logsumexp(1) - self.log_mass[rows]",
        "weight = torch.zeros(len(rows), dtype=torch.float64)",
    ),
    "10: adaptive rejection counts what it has seen among what is left": (
        "weighted.adaptive",
        "mass.scatter_(1, token, 0.0)",
        "mass.scatter_(1, token[:, :1], 0.0)",
    ),
    "10: what is listed after questions is estimated once more": (
        "weighted.adaptive",
        "mass[rows] = 0.0  # nothing is left to ask",
        "pass",
    ),
    "10: rounding leaves nothing to ask about": (
        "weighted.adaptive",
        "1.0 - chance[rows, :end].sum(1), ROUNDING)",
        "1.0 - chance[rows, :end].sum(1), 0.0)",
    ),
    "10: one of the others stands for itself only": (
        "weighted.adaptive",
        "found = (left.log() + self.scale[rows])",
        "found = (rest[torch.arange(len(rows)), other].log() + self.scale[rows])",
    ),
    "10: a token of the others is allowed unasked": (
        "weighted.adaptive",
        "possible = (left > 0) & torch.from_numpy(after >= 0)",
        "possible = left > 0",
    ),
    "a token that is given leaves the one of the others free": (
        "weighted.adaptive",
        "law = torch.where((here & (rest > 0))",
        "law = torch.where((here & (rest > 1))",
    ),
    "a listed row keeps what it asked": (
        "weighted.adaptive",
        "    scores[rows] = -torch.inf\n",
        "",
    ),
    "11: the end is forced and not weighed": (
        "weighted.rollout",
        "log_prob[:, end].masked_fill",
        "torch.zeros(len(states)).double().masked_fill",
    ),
    "11: sequences one longer than allowed": (
        "weighted.rollout",
        "left = target.max_length - written",
        "left = target.max_length + 1 - written",
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
        "weighted.rollout",
        "open_ = rows.open & (log_weight > -torch.inf)",
        "open_ = rows.open",
    ),
    "14: one row without a way stops all": (
        "weighted.choices",
        "alive = (mass > -torch.inf).nonzero()[:, 0]",
        "alive = torch.arange(len(mass))",
    ),
    "14: roots do not move with their particles": (
        "weighted.smc",
        "root = root[chosen]",
        "root = root",
    ),
    "14: choices do not move with their particles": (
        "weighted.rollout",
        "place = ahead.place[row[at]]",
        "place = ahead.place[at].clamp(min=0)",
    ),
    "14: resampling forgets the mean weight": (
        "weighted.smc",
        "log_weight[self.places] = log_mean_exp(self.log_weight)",
        "log_weight[self.places] = 0.0",
    ),
    "weights in single precision": (
        "weighted.smc",
        "log_weight[self.places] = log_mean_exp(self.log_weight)",
        "log_weight[self.places] = log_mean_exp(self.log_weight).float().double()",
    ),
    "14: texts do not move with their rows": (
        "weighted.rollout",
        "self.batch.select(index),",
        "self.batch,",
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
        "weighted.rollout",
        "choice.log_mass - rows.owed[at]",
        "choice.log_mass",
    ),
    "26: closed rows are resampled with open ones": (
        "weighted.smc",
        "open_ = rows.open | (rows.log_weight == -torch.inf)",
        "open_ = rows.open | (rows.log_weight < torch.inf)",
    ),
    "28: resampling by the weights from before the draw": (
        "weighted.smc",
        "weight, count = self.log_weight.softmax(0), ",
        "weight, count = (self.log_weight > -torch.inf).double().log().softmax(0), ",
    ),
    "28: the last token's twist is never taken out": (
        "weighted.rollout",
        "step.log_weight - new.where(ended, 0.0)",
        "step.log_weight",
    ),
    "28: the last token's twist is taken out twice": (
        "weighted.rollout",
        "step.log_weight - new.where(ended, 0.0)",
        "step.log_weight - 2 * new.where(ended, 0.0)",
    ),
    "28: the power of rows that end on the ramp": (
        "weighted.rollout",
        "late = target.power - target.exponent(written)",
        "late = 0.0",
    ),
    "28: the ramp is not weighed": (
        "weighted.rollout",
        "(power - before) * rows.log_prob[at]",
        "0.0",
    ),
    "5: the power is of each token's law, normalised": (
        "weighted.rollout",
        "chance = log_prob if power == 1 else power * log_prob",
        "chance = (power * log_prob).log_softmax(1)",
    ),
    "27: no token of the twist's weight is drawn by it": (
        "weighted.choices",
        "self._weight[0][rows].div_(self._total[rows, None])",
        "(self.log_prob + self.psi.sign().log())[rows].softmax(1)",
    ),
    "the mass of the choice forgets its scale": (
        "weighted.choices",
        "return self._total.log() + self._weight[1]",
        "return self._total.log()",
    ),
    "islands resample from one another": (
        "weighted.smc",
        "chosen.clone().split(members)",
        "[chosen.clone()] * len(members)",
    ),
    "an island that died is left out of the mean": (
        "weighted.particles",
        "else -math.inf",
        "else float(log_mean_exp(rows.log_weight[met]))",
    ),
    "the spread of the islands is that of one": (
        "weighted.particles",
        "(share.mean() * math.sqrt(self.islands))",
        "(share.mean() * self.islands)",
    ),
}  # fmt: skip


def check(m: Any) -> None:
    """The checks of the other modules in short, over these functions."""
    masked, model = m.proposals.masked, m.proposals.model
    check_what_is_told(m)
    check_genealogy(m.smc.smc)
    check_soft_decides_nothing(m.smc.smc)
    check_step(masked)
    for asked, doubt in ((2, 0.0), (1, 1e9), (2, 1e9)):
        check_step(m.adaptive.AdaptiveRejection(asked, doubt))
    check_few_questions(m.adaptive.AdaptiveRejection())
    check_given(m.adaptive.AdaptiveRejection(2, 1e9))
    check_unlikely(m.adaptive.AdaptiveRejection())
    check_errors_of_log_z(m)
    check_unbiased(m.importance.importance, target(LOOP, 3), 1, proposal=masked)
    check_unbiased(m.importance.importance, target(LOOP, 1), 1, proposal=model)
    plain = target(FEW, 3, seed=2)
    few = m.target.Target(plain.scorer, plain.automaton, plain.max_length, plain.soft)
    check_unbiased(
        m.rejection.rejection, few, 1, proposal=masked, log_bound=0.4, max_tries=2, at_once=1
    )
    for scheme in ("multinomial", "systematic"):
        twisted = m.twisted.Twisted(Hopes(FEW, *TWIST))
        how = {"threshold": 1.0, "resampling": scheme, "proposal": twisted}
        check_unbiased(m.smc.smc, few, 2, **how)
    far = m.twisted.Twisted(Hopes(FEW, *(np.array(TWIST) + 200)))
    check_unbiased(m.smc.smc, few, 2, threshold=1.0, proposal=far)
    for proposal in (masked, m.twisted.Twisted(Hopes(LOOP, *GIVES_UP))):
        how = {"threshold": 1.0, "proposal": proposal}
        check_unbiased(m.smc.smc, target(LOOP, 3), 2, **how)
    check_power(m.smc.smc, m.target.Target, [masked, m.twisted.Twisted(Hopes(FEW, *TWIST))])
    check_islands(m.smc.smc)


def check_what_is_told(m: Any) -> None:
    hard = target(NOTHING, 3)
    assert told(lambda: m.importance.importance(hard, SeededDraws(0), 9)) == "ZeroWeightError"
    nothing = torch.full((9,), -torch.inf, dtype=torch.float64)
    of = m.samples.WeightedSamples.of
    assert told(lambda: of(TokenBatch.of([()] * 9), nothing)) == "ZeroWeightError"
    assert of(TokenBatch.of([()] * 10), torch.cat([nothing, torch.zeros(1).double()])).tries == 10
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
