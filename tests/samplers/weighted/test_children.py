"""Resampling among next tokens: unbiased, each text once, exact where all texts have a place."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.weighted.adaptive import AdaptiveRejection
from ergotext.samplers.weighted.proposals import Listed
from ergotext.samplers.weighted.registered import SMC
from ergotext.samplers.weighted.rollout import Ahead
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import EVERYTHING, FEW, LOOP, check_unbiased, mass, target
from tests.faulty import modules, modules_with_fault
from tests.samplers import letters
from tests.samplers.registry_worlds import FREE
from tests.samplers.weighted.test_exactness import GIVES_UP, TWIST, check_power, twisted

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
NAMES = ("weighted.resampling", "weighted.rollout", "weighted.children", "weighted.smc")
WEIGHTS = [
    [[0.5, 0.1, 0.0], [0.05, 0.3, 0.05]],
    [[7.0, 0.2, 0.1, 0.4, 0.1]],
    [[0.3, 0.3, 0.3], [0.3, 0.3, 0.3]],
    [[1e6, 1e-9], [2e-9, 3e-9]],
]


def check_thinned(thinned_out: Any) -> None:
    """On average every weight is what it was; what weighs more than κ stays as it is, once."""
    for numbers in WEIGHTS:
        weight = torch.tensor(numbers, dtype=torch.float64)
        flat = weight.flatten().numpy()
        for count in range(1, len(flat) + 1):
            mean, spread = np.zeros(len(flat)), np.zeros(len(flat))
            level = 0.0 if (flat > 0).sum() <= count else threshold(flat, count)
            for p, (index, new) in every_run(lambda d, w=weight, n=count: thinned_out(d, w, n)):
                assert len(index) <= count and bool((new > 0).all())
                got = np.bincount(index, new, minlength=len(flat))
                mean += p * got
                spread += p * (got - flat) ** 2
                sure = flat > level * (1 + 1e-9)
                assert got[sure] == pytest.approx(flat[sure]) and (got >= 0).all()
            assert mean == pytest.approx(flat, rel=1e-9, abs=1e-15 * level)
            if len(numbers) == len(flat):  # no row has two to draw independently
                assert spread.sum() == pytest.approx((flat * np.maximum(0, level - flat)).sum())


def threshold(flat: np.ndarray, count: int) -> float:
    """κ with Σ min(1, w/κ) = count, by halving."""
    low, high = 0.0, float(flat.sum())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(1, flat / middle).sum() > count else (low, middle)
    return high


def check_exact(smc: Any) -> None:
    """Every path of two or three particles, with soft terms, dead ends, a twist and a power."""
    how = {"resampling": "distinct", "threshold": 1.0}
    for table, hopes in ((FEW, None), (FEW, TWIST), (LOOP, GIVES_UP)):
        check_unbiased(smc, target(table, 3), 2, **how, proposal=twisted(table, hopes))
    check_unbiased(smc, target(FEW, 3), 3, **how)
    check_unbiased(smc, target(LOOP, 3), 3, **how, islands=2)


def check_next_to_nothing_is_kept(m: Any) -> None:
    """Every child has its weight on average, also of rows that rounding would never take."""
    log_weight = torch.tensor([0.0, -60.0, -1e4, -torch.inf], dtype=torch.float64)
    is_open = log_weight > -torch.inf
    rows = m.rollout.GrownRows.start(target(LOOP, 6), 4)
    batch = TokenBatch.of([(1,), (2,), (3,), (4,)])
    rows = replace(rows, batch=batch, log_weight=log_weight, open=is_open)
    law = torch.tensor([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]], dtype=torch.float64)
    ways = np.broadcast_to(np.array([[7, 0], [9, 0]]), (3, 2, 2))
    ahead = Ahead(torch.tensor([0, 1, 2, -1]), law, Listed(ways, law.log(), law * 0))
    wanted = {
        (row, token): float(log_weight[row] + law[row, column].log())
        for row in range(3)
        for column, token in enumerate((7, 9))
    }
    for places in (2, 3, 4):
        mean: dict[tuple[int, int], float] = {}
        pool = [torch.arange(places)]
        for p, step in every_run(lambda d, at=pool: m.children.descend(d, rows, ahead, at)):
            for place in step.rows.open[:places].nonzero()[:, 0].tolist():
                child = int(step.parent[place]), int(step.token[place])
                new = math.log(p) + float(step.rows.log_weight[place])
                mean[child] = float(np.logaddexp(mean.get(child, -np.inf), new))
        there = {child: one for child, one in wanted.items() if child[0] < places}
        assert mean.keys() == there.keys()
        assert list(map(mean.get, there)) == pytest.approx(list(there.values()), abs=1e-6)


def check_listed(smc: Any) -> None:
    """With as many places as there are texts each comes once, weighed by its mass."""
    of = replace(target(EVERYTHING, 3), power=3.0)
    wanted = mass(replace(of, soft=lambda b: of.soft(b) - 2.0 * of.scorer.log_prob(b), power=1.0))
    found = smc(of, SeededDraws(0), 85, resampling="distinct")
    rows = found.batch.rows()
    assert len(rows) == len(set(rows)) == len(wanted) == 85
    assert found.log_z == pytest.approx(math.log(sum(wanted.values())), abs=1e-9)
    each = dict(zip(rows, (found.log_weight.exp() / 85).tolist(), strict=True))
    assert each == pytest.approx(wanted, rel=1e-9)


def check_ancestors(smc: Any) -> None:
    """A first particle has one first token, and none of another island."""
    found = smc(target(EVERYTHING, 6), SeededDraws(1), 80, resampling="distinct", islands=4)
    assert found.resampled > 4 and len(found.root.unique()) < len(found)
    assert (found.root // 20).tolist() == found.island.tolist()
    begun: dict[int, set[int]] = {}
    for root, row in zip(found.root.tolist(), found.batch.rows(), strict=True):
        begun.setdefault(root, set()).add(row[0] if row else 0)
    assert len(begun) > 8 and all(len(tokens) == 1 for tokens in begun.values())


def check(m: Any) -> None:
    check_thinned(m.children.thinned_out)
    check_next_to_nothing_is_kept(m)
    check_listed(m.smc.smc)
    check_ancestors(m.smc.smc)
    check_exact(m.smc.smc)


def test_thinning_keeps_every_weight_on_average() -> None:
    check_thinned(modules(NAMES).children.thinned_out)


def test_what_weighs_next_to_nothing_is_kept() -> None:
    check_next_to_nothing_is_kept(modules(NAMES))


def test_every_path() -> None:
    check_exact(smc)


def test_powers() -> None:
    def distinct(*args: Any, **options: Any) -> Any:
        return smc(*args, resampling="distinct", **options)

    check_power(distinct, type(target(FEW, 3)), [twisted(FEW, None), twisted(FEW, TWIST)])


def test_where_there_is_room_all_texts_are_listed() -> None:
    check_listed(smc)


def test_ancestors_are_shared_out() -> None:
    check_ancestors(smc)


def test_copies_become_few_texts_and_these_do_not() -> None:
    """p⁴ over three letters: log Z spreads far less, and no text comes twice."""
    of, log_z = letters.problem("3 fluency")
    spread = {}
    for scheme in ("systematic", "distinct"):
        how: Any = {"resampling": scheme, "threshold": 0.5}
        runs = [smc(of, SeededDraws(seed), 16, **how) for seed in range(30)]
        z = np.array([run.log_z for run in runs])
        spread[scheme] = z.std(ddof=1)
        assert abs(np.exp(z - log_z).mean() - 1) < 5 * np.exp(z - log_z).std() / math.sqrt(30)
    assert spread["distinct"] < spread["systematic"] / 3


def test_two_errors_of_islands_hold() -> None:
    """Of 50 seeds in at least 90%, as of a normal law with 95%."""
    of, log_z = letters.problem("fluency +20")
    runs = [smc(of, SeededDraws(s), 32, islands=4, resampling="distinct") for s in range(50)]
    held = sum(abs(run.log_z - log_z) <= 2 * run.log_z_stderr for run in runs)
    assert held >= 45


def test_only_proposals_that_list_their_tokens() -> None:
    for proposal in (AdaptiveRejection(), lambda *a: AdaptiveRejection()(*a)):
        with pytest.raises(InputError, match="use the proposal twisted, masked or finishing"):
            smc(target(FEW, 3), SeededDraws(0), 4, resampling="distinct", proposal=proposal)
    with pytest.raises(InputError, match="no resampling 'distinct' of particle chains"):
        SAMPLERS["pimh"](FREE[0], 4, resampling="distinct")


def test_sharp_powers_take_it_by_themselves() -> None:
    energy, longest = FREE[:2]
    assert SMC(energy, longest).resampling == "systematic"
    assert SMC(1.9 * energy, longest).resampling == "systematic"
    assert SMC(2.0 * energy, longest).resampling == "distinct"
    assert SMC(2.0 * energy, longest, resampling="stratified").resampling == "stratified"
    assert SMC(2.0 * energy, longest, proposal="adaptive").resampling == "systematic"


def test_importance_sampling_stays_possible() -> None:
    """Threshold 0 chooses nothing, whatever the scheme."""
    few, none = (
        smc(target(LOOP, 6), SeededDraws(2), 50, resampling=scheme, threshold=0.0)
        for scheme in ("distinct", "systematic")
    )
    assert few.resampled == 0 and few.batch.rows() == none.batch.rows()


FAULTS = {
    "what is kept has the weight of what is drawn": (
        "children", "flat[keep], level]",
        "level.new_full((len(keep),), float(level[0])), level]",
    ),
    "the drawn have the mass of all": (
        "children", "level = (mass.sum() / left)",
        "level = (flat.sum() / left)",
    ),
    "what is kept can be drawn as well": (
        "children", "rest[keep] = 0.0",
        "",
    ),
    "nothing is kept for sure": (
        "children", "min(int(above.long().cumprod(0).sum()), count - 1)",
        "0",
    ),
    "kept from the mean weight on": (
        "children", "torch.arange(count, 0, -1) > below",
        "count > flat.sum()",
    ),
    "copies of a text are compared with one another": (
        "children", "found.setdefault(text, [])",
        "found.setdefault((*text, place), [])",
    ),
    "of copies only one counts": (
        "children", "rows.log_weight[each].logsumexp(0)",
        "rows.log_weight[each[0]]",
    ),
    "weights lose their scale": (
        "children", "kept.log() + scale - lift[row]",
        "kept.log() - lift[row]",
    ),
    "who counts for more weighs more": (
        "children", " - lift[row]",
        "",
    ),
    "who weighs next to nothing is lost": (
        "resampling", "math.log(LEAST)",
        "-math.inf",
    ),
    "empty places keep their weight": (
        "children", "log_weight[empty], open_[empty] = -torch.inf, False",
        "open_[empty] = False",
    ),
    "empty places go on": (
        "children", "log_weight[empty], open_[empty] = -torch.inf, False",
        "",
    ),
    "tokens of another row": (
        "children", "tokens[row, column]",
        "tokens[row.flip(0), column]",
    ),
    "all descend from the first of the copies": (
        "children", "turn[text] % len(members[text])",
        "0",
    ),
    "rows before weights": (
        "children", "replace(rows.select(parent), log_weight=log_weight, open=open_)",
        "replace(rows, log_weight=log_weight, open=open_).select(parent)",
    ),
    "roots stay in their places": (
        "smc", "root = root[chosen]",
        "root = root",
    ),
    "islands share their places": (
        "smc", "chosen.clone().split(members)",
        "[chosen.clone()]",
    ),
    "a forced end is possible for half": (
        "rollout", "torch.ones_like(token, dtype=torch.float64)",
        "torch.ones_like(token, dtype=torch.float64) / 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, old, new = FAULTS[fault]
    faulty = modules_with_fault(NAMES, (f"weighted.{name}", old, new), monkeypatch)
    with pytest.raises((AssertionError, ErgotextError, ValueError, IndexError, RuntimeError)):
        check(faulty)
