"""Rejection that remembers: every path of its draws, and what its memory does to laws and rates."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted import dead_prefixes
from ergotext.samplers.weighted.accepted import Accepted, log_z_of
from ergotext.samplers.weighted.dead_prefixes import DeadPrefixes
from ergotext.samplers.weighted.proposals import masked
from ergotext.samplers.weighted.rejection import rejection
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import (
    END,
    EVERYTHING,
    FEW,
    LOOP,
    Table,
    check_unbiased,
    mass,
    soft,
    target,
)
from ergotext.testing.toy import TOKENS, ToyScorer

TRAP = Table(({1: 1, 2: 2}, {3: 3, 4: 3}, {END: 4, 3: 3}, {1: 3}, {}))
"""Only (2): what begins with 1 cannot end, which takes two refused texts to know."""


class Few(ToyScorer):
    """The toy model with two of its tokens, so that every path of some tries can be listed."""

    def __init__(self) -> None:
        super().__init__(2)
        self.table = self.table.index_fill(-1, torch.tensor([3, 4]), -torch.inf).log_softmax(-1)


ENDLESS = Table(({1: 1, 2: 2}, {END: 3}, {1: 2}, {}))
"""Only (1): what begins with 2 goes on for ever."""
ONES = Table(({1: 0, END: 1}, {}))
TWO = Table(({2: 1}, {1: 2, END: 3}, {END: 3}, {}))


def few(table: Table, longest: int, tilted: bool = False) -> Target:
    return Target(Few(), table, longest, soft if tilted else None)


WORLDS = (
    (few(ENDLESS, 2), {"n": 1, "max_tries": 3, "at_once": 2}),
    (few(ENDLESS, 1), {"n": 1, "max_tries": 4, "at_once": 1}),
    (few(ONES, 1), {"n": 2, "max_tries": 4, "at_once": 1}),
    (few(TWO, 2), {"n": 1, "max_tries": 3, "at_once": 3}),
    (few(ONES, 1, tilted=True), {"n": 2, "max_tries": 3, "at_once": 3, "log_bound": 0.8}),
)


def check_worlds(rejection: Any) -> None:
    """The mean of what comes back is the target, whatever ends the count, to 1e-9."""
    for of, options in WORLDS:
        check_unbiased(rejection, of, **options)


def test_every_sequence_has_its_mass() -> None:
    check_worlds(rejection)


def check_independence(rejection: Any, of: Target, log_bound: float, most: int) -> None:
    """Whatever the count and log Z that come with them, accepted draws are independent, p̃/Z."""
    joint: dict[tuple[int, float], dict[Any, float]] = {}

    def outcome(draws: Any) -> Any:
        try:
            found = rejection(of, draws, 2, log_bound=log_bound, max_tries=most, at_once=2)
        except ZeroWeightError:
            return None
        return (len(found), round(found.log_z, 9)), tuple(found.batch.rows())

    for p, found in every_run(outcome):
        if found is not None:
            law = joint.setdefault(found[0], {})
            law[found[1]] = law.get(found[1], 0.0) + p
    wanted, kinds = mass(of), {kept for kept, _ in joint}
    z = sum(wanted.values())
    assert kinds == {1, 2} and len(joint) > 3, "with a log Z of several values"
    for (kept, _), law in joint.items():
        total = sum(law.values())
        for rows in itertools.product(wanted, repeat=kept):
            chance = math.prod(wanted[row] / z for row in rows)
            assert law.get(rows, 0.0) / total == pytest.approx(chance, abs=1e-9)


def test_what_is_accepted_depends_on_nothing_else() -> None:
    check_independence(rejection, few(TWO, 2), 0.0, 4)


def all_texts(longest: int) -> list[tuple[int, ...]]:
    return [
        row for n in range(longest + 1) for row in itertools.product(range(1, TOKENS), repeat=n)
    ]


class Following:
    """Draws that write one text and its end, and note how likely that is."""

    def __init__(self, row: tuple[int, ...]) -> None:
        self.left, self.chance = [*row, END], 1.0

    def categorical(self, probability: Tensor) -> Tensor:
        token = self.left.pop(0)
        self.chance *= float(probability[0, token])
        return torch.tensor([token])


def chance(memory: DeadPrefixes, of: Target, row: tuple[int, ...]) -> tuple[float, int | None]:
    """Probability that the row is written, and before which token it ends if refused or 0."""
    draws, state = Following(row), of.automaton.start(1)
    for length in range(of.max_length + 1):
        prefix = TokenBatch.of([row[:length]])
        log_prob = of.scorer.next_log_prob(prefix, prefix.length)
        mask = torch.from_numpy(of.automaton.mask(state, TOKENS))
        if length == of.max_length:
            mask &= torch.arange(TOKENS) == END
        token, alive = memory.draw(draws, [row[:length]], log_prob, mask)
        if not alive[0] or not draws.chance:
            return draws.chance, length
        if token[0] == END:
            return draws.chance, None
        state = of.automaton.advance(state, token.numpy())
    raise AssertionError("what is as long as it may be has gone on")


def check_law(memory_class: Any, of: Target, seed: int) -> None:
    """After each text that is learned, q(x) = p(x)/left for what is accepted, and Σ q = 1."""
    memory, before = memory_class(), 0.0
    z = sum(mass(of).values())
    order = np.random.default_rng(seed).permutation(np.array(all_texts(of.max_length), object))
    for row in map(tuple, order[:40]):
        likely, refused_at = chance(memory, of, row)
        if refused_at is not None and likely > 0:
            assert not memory.knows(row[:refused_at])
            memory.learn(row[:refused_at])
            assert memory.knows(row[:refused_at]), "it is not proposed again"
            assert chance(memory, of, row)[0] == 0
        elif refused_at is not None:
            assert memory.knows(row[:refused_at]) and likely == 0
        left = math.exp(memory.log_left)
        assert z - 1e-12 <= left <= math.exp(before) + 1e-12
        before = memory.log_left
        for text, p in mass(of).items():
            found = chance(memory, of, text)
            assert found == (pytest.approx(p / left, abs=1e-12), None)
    everything = sum(
        {
            (text, at) if at is None else text[: at + 1]: q
            for text in all_texts(of.max_length + 1)
            for q, at in [chance(memory, of, text)]
        }.values()
    )
    assert everything == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("table", [FEW, LOOP, TRAP])
@pytest.mark.parametrize("seed", range(3))
def test_the_law_under_a_memory(table: Table, seed: int) -> None:
    check_law(DeadPrefixes, target(table, 2, tilted=False), seed)


def check_all_is_learned(rejection: Any) -> None:
    """In the end only what is accepted is proposed: log Z has hardly an error left."""
    for table in (FEW, LOOP, TRAP):
        of = target(table, 2, tilted=False)
        found = rejection(of, SeededDraws(0), 100)
        log_z = math.log(sum(mass(of).values()))
        assert found.log_left[-1] == pytest.approx(log_z, abs=1e-9)
        assert len(found) == 100 and found.tries < 140
        assert abs(found.log_z - log_z) < 4 * found.log_z_stderr < 0.2
        plain = rejection(of, SeededDraws(0), 100, proposal=masked)
        assert plain.tries > 1.5 * found.tries and not plain.log_left.any()


def test_all_is_learned() -> None:
    check_all_is_learned(rejection)


def test_that_nothing_is_accepted_is_found_out() -> None:
    """Both of two ways are dead ends, the second known only from what follows it."""
    none = Table(({1: 1, 2: 2}, {}, {1: 1, 3: 1}, {}))
    with pytest.raises(ZeroWeightError, match=r"none can be: . tries"):
        rejection(target(none, 4, tilted=False), SeededDraws(0), 5)


class Stated(ToyScorer):
    """The same law of the next token everywhere, in nats; it need not be one that floats hold."""

    def __init__(self, *log_prob: float) -> None:
        super().__init__()
        self.table = torch.tensor(log_prob, dtype=torch.float64).expand(TOKENS, 2, -1)


def check_far(memory_class: Any, tiny: float) -> None:
    """Beside 1, and up to three deep: (1, 2) is left when all else is known to be dead."""
    of = Target(Stated(tiny, tiny, tiny, 0.0, -math.inf), Table(({1: 1}, {2: 2}, {0: 3}, {})), 2)
    memory = memory_class()
    for row in ((3,), (1, 3), (1, 2, 3)):
        assert chance(memory, of, row)[1] == len(row) - 1
        memory.learn(row[:-1])
        assert memory.log_left == pytest.approx(tiny * len(row), rel=1e-12)
    assert chance(memory, of, (1, 2)) == (pytest.approx(1.0), None)


@pytest.mark.parametrize("tiny", [-1.0, -40.0, -math.log(1e300), -5000.0])
def test_no_mass_is_too_small_to_be_kept(tiny: float) -> None:
    check_far(DeadPrefixes, tiny)


def test_masses_next_to_one() -> None:
    """A refusal of 1e-17 leaves a mass that is 1 in float64, and is not proposed again."""
    law = [math.log(0.5), math.log(0.5), math.log(1e-17), -math.inf, -math.inf]
    of = Target(Stated(*law), Table(({0: 1, 1: 0}, {})), 3)
    memory = DeadPrefixes()
    chance(memory, of, (2,))
    memory.learn(())
    assert memory.log_left == 0.0 and chance(memory, of, (2,)) == (0.0, 0)


def check_limits(memory_class: Any) -> None:
    memory, of = memory_class(1), target(LOOP, 3, tilted=False)
    for _ in range(2):
        assert chance(memory, of, (1, 1))[0] > 0
        memory.learn((1,))
        assert memory.knows(()) and not memory.knows((1,))


def test_one_prefix_may_be_all_that_is_learned() -> None:
    check_limits(DeadPrefixes)


def test_it_learns_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    of = target(LOOP, 4, tilted=False)
    log_z = math.log(sum(mass(of).values()))
    for limit in (0, 1, 3):
        monkeypatch.setattr(dead_prefixes.DeadPrefixes.__init__, "__defaults__", (limit,))
        found = rejection(of, SeededDraws(1), 100)
        assert len(found) == 100 and abs(found.log_z - log_z) < 4 * found.log_z_stderr
        assert len(found.log_left.unique()) <= limit + 1
        check_unbiased(rejection, few(TWO, 2), 1, max_tries=3, at_once=2)


def polynomial(y: list[float], k: int) -> float:
    return sum(math.prod(some) for some in itertools.combinations_with_replacement(y, k))


def test_the_estimate_is_the_ratio_of_two_polynomials() -> None:
    for left in ([1.0, 0.7, 0.2], [1.0, 1.0, 0.3, 0.3, 0.3], [0.5], [1.0, 1.0]):
        for met in (1, 2, 5):
            y = [1 / one for one in left]
            wanted = polynomial(y, met - 1) / polynomial(y, met)
            found = log_z_of(torch.tensor(left, dtype=torch.float64).log(), met)
            assert math.exp(found) == pytest.approx(wanted, rel=1e-12)
    far = torch.tensor([0.0, -800.0, -2000.0], dtype=torch.float64)
    assert log_z_of(far, 50) == pytest.approx(-2000.0)
    plain = torch.zeros(101, dtype=torch.float64)
    bent = plain - 1e-15 * torch.arange(101)
    assert log_z_of(bent, 60) == pytest.approx(log_z_of(plain, 60), abs=1e-11)


def test_errors_are_covered() -> None:
    """Two stated errors hold log Z in nine runs of ten, three in nearly all."""
    for table, n in ((FEW, 3), (FEW, 20), (LOOP, 8), (EVERYTHING, 8)):
        of = target(table, 4, tilted=table is EVERYTHING)
        log_z = math.log(sum(mass(of).values()))
        bound = {"log_bound": 1.6} if table is EVERYTHING else {}
        runs = [rejection(of, SeededDraws(s), n, **bound) for s in range(60)]
        off = np.array([abs(r.log_z - log_z) / r.log_z_stderr for r in runs])
        assert (off <= 2).mean() >= 0.9 and (off <= 3).mean() >= 0.97
        mean = np.mean([math.exp(r.log_z - log_z) for r in runs])
        spread = np.std([math.exp(r.log_z - log_z) for r in runs]) / math.sqrt(60)
        assert abs(mean - 1) < 4 * spread + 1e-3, "rare runs make up for most of them"


def test_the_error_of_a_rate_that_changes() -> None:
    """Against its definition, on a fine grid."""
    left = torch.tensor([0.0, 0.0, -0.5, -1.0, -1.0], dtype=torch.float64)
    rows = TokenBatch.of([(1,)] * 3)
    found = Accepted(rows, torch.zeros(3).double(), 7, torch.arange(3), log_left=left)
    x = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    density = x**3 * torch.stack([1 - x * math.exp(-1 - a) for a in left[:-1]]).prod(0)
    about = x.log() - (log_z_of(left, 3) + 1)
    wanted = float(((density * about.square()).sum() / density.sum()).sqrt())
    assert found.log_z_stderr == pytest.approx(wanted, rel=1e-6)
