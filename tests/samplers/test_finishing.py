"""Keeping to known endings near the greatest length: nothing missed, and fewer draws lost."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch

import ergotext.samplers.finishing
from ergotext.errors import InputError
from ergotext.lm.automata import Pieces, regex
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.lm.protocols import Ending
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.search.stochastic_beam import stochastic_beam
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.proposals import finishing, masked
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.tables import END, Ints, Row, Table, check_unbiased, target
from ergotext.testing.toy import ToyFluency, ToyScorer
from tests.faulty import modules, modules_with_fault

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


class Hoping(Table):
    """A table that finds some endings and has no bound (``Ending``); wrong about nothing it says.

    From state 2 it finds none, though there is one: that is allowed.
    """

    def ending(self, state: int) -> Row | None:
        ways: dict[int, Row] = {state: ()}
        while state not in (2, -1) and ways:
            ended = [way for at, way in ways.items() if END in self.ways[at] or not self.ways[at]]
            if ended:
                return min(ended)
            if len(next(iter(ways.values()))) > len(self.ways):
                return None
            ways = {
                after: (*way, token)
                for at, way in ways.items()
                for token, after in self.ways[at].items()
            }
        return None

    def kinds(self) -> Ints:
        return np.zeros(5, np.int64)


DETOUR = Hoping(({1: 1, 3: 2, 4: 3}, {END: 4, 2: 0}, {END: 4, 1: 2, 2: 0}, {1: 3, 2: 3}, {}))
"""3 leads where no ending is found, 4 where there is none at all."""

SMALL = Hoping(({1: 1, 3: 2}, {END: 3, 2: 0}, {END: 3, 1: 2}, {}))


def check_worlds(m: Any) -> None:
    for longest in (1, 2, 3):
        check_unbiased(
            m.importance.importance, target(DETOUR, longest), 1, proposal=m.proposals.finishing
        )
    for scheme in ("systematic", "distinct"):
        how = {"threshold": 1.0, "proposal": m.proposals.finishing, "resampling": scheme}
        check_unbiased(m.smc.smc, target(SMALL, 3), 2, **how)


def test_every_sequence_has_its_mass() -> None:
    assert isinstance(DETOUR, Ending) and not DETOUR.least(np.arange(5)).any()
    check_worlds(modules(NAMES))


def test_fewer_draws_are_lost() -> None:
    of = target(DETOUR, 3)
    kept = {proposal: len(importance(of, SeededDraws(0), 200, proposal=proposal))
            for proposal in (masked, finishing)}  # fmt: skip
    assert kept[finishing] >= 195 and kept[masked] < 150
    assert len(smc(of, SeededDraws(0), 60, proposal=finishing)) >= 55


LED_ON = Hoping(({1: 1, 2: 2, 3: 2}, {END: 4}, {1: 3}, {1: 1}, {}))
"""1 ends a sequence soon; 2 and 3, of the same kind, lead on for longer."""


def test_the_token_of_the_ending_does_not_stand_for_its_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of many tokens one of a kind is looked at, and that one is near the end as no other is."""
    monkeypatch.setattr(ergotext.samplers.finishing, "LOOKS", 1)
    assert len(importance(target(LED_ON, 2), SeededDraws(0), 200, proposal=finishing)) >= 195


class Letters:
    """Tokens of one to five letters a to f, each text as likely as its letters."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        sizes = generator.integers(1, 6, 80)
        words = {"".join(generator.choice(list("abcdef"), size)) for size in sizes}
        self.words = sorted(words | set("abcdef"))
        self.alphabet = Alphabet(len(self.words) + 2, len(self.words) + 1, len(self.words))
        self.pieces = Pieces(self.alphabet, [word.encode() for word in self.words])
        self.allowed = torch.ones(self.alphabet.size, dtype=torch.bool)
        law = generator.dirichlet(np.ones(len(self.words) + 1))
        self.log_prob = torch.tensor([*np.log(law[:-1]), np.log(law[-1]), -np.inf])

    def next_log_prob(self, batch: TokenBatch, _: Any) -> torch.Tensor:
        return self.log_prob.expand(len(batch), -1).double()

    def target(self, letters: int, longest: int) -> Target:
        automaton = regex(f"[a-f]{{{letters}}}", self.pieces)
        return Target(cast(Any, self), automaton, longest)

    def log_z(self, letters: int, longest: int) -> float:
        """By the numbers of letters and tokens so far."""
        of_size = np.zeros(6)
        for word, log_p in zip(self.words, self.log_prob.tolist(), strict=False):
            of_size[len(word)] += np.exp(log_p)
        reached, whole = np.eye(1, letters + 1)[0], 0.0
        for _ in range(longest):
            after = np.zeros(letters + 1)
            for size in range(1, 6):
                after[size:] += reached[:-size] * of_size[size]
            reached, whole = after, whole + after[letters]
        return float(np.log(whole) + self.log_prob[-2])


class Digits(Letters):
    """Zeros, which are likely, and the letter x, which is not."""

    def __init__(self) -> None:
        self.alphabet = Alphabet(4, 3, 2)
        self.pieces = Pieces(self.alphabet, [b"0", b"x"])
        self.allowed = torch.ones(4, dtype=torch.bool)
        self.log_prob = torch.tensor([np.log(0.9), np.log(0.001), np.log(0.099), -np.inf])


def test_rows_that_are_lost_do_not_outweigh_those_that_must_write_what_is_unlikely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve letters cost 83 nats, and zeros beyond the last place for them next to nothing."""
    monkeypatch.setattr(ergotext.samplers.finishing, "SHARE", 0.2)
    world = Digits()
    of = Target(cast(Any, world), regex("0+x{12}", world.pieces), 16)
    assert len(smc(of, SeededDraws(0), 16, proposal=finishing, islands=1)) > 0


LETTERS = Letters()


@pytest.mark.parametrize("sample", [importance, partial(smc, islands=8)])
def test_log_z_of_the_default_proposal_near_the_greatest_length(sample: Any) -> None:
    exact, held, known = LETTERS.log_z(8, 3), 0, 0
    for seed in range(12):
        found = sample(LETTERS.target(8, 3), SeededDraws(seed), 300)
        held += abs(found.log_z - exact) <= 3 * found.log_z_stderr
        known += found.error_known
    assert held >= 11 and known >= 6


@pytest.mark.parametrize("sample", [importance, smc])
def test_where_tokens_were_doubted_no_error_is_told(sample: Any) -> None:
    """Endings are short in bytes, not in tokens, so much of Z is doubted here."""
    found = sample(LETTERS.target(8, 3), SeededDraws(0), 300, proposal=finishing)
    assert found.doubted and not found.error_known
    assert any("endings that were found" in one for one in found.complaints())
    loose = sample(LETTERS.target(2, 60), SeededDraws(0), 60, proposal=finishing)
    assert not loose.doubted


@pytest.mark.parametrize("proposal", [masked, finishing])
def test_what_was_looked_at_before_changes_nothing(proposal: Any) -> None:
    """One seed, one result, however often the automaton has been walked."""
    fresh = [importance(LETTERS.target(8, 3), SeededDraws(s), 60, proposal=proposal).log_z
             for s in (0, 1)]  # fmt: skip
    warm = LETTERS.target(8, 3)
    again = [importance(warm, SeededDraws(s), 60, proposal=proposal).log_z for s in (1, 0, 1, 0)]
    assert again == [fresh[1], fresh[0], fresh[1], fresh[0]]
    beams = [stochastic_beam(warm, SeededDraws(2), 20).log_z for _ in range(2)]
    assert beams[0] == beams[1]


def test_rejection_has_no_bound_for_it() -> None:
    energy = Sum([(1.0, ToyFluency(ToyScorer())), (1.0, matches(DETOUR))])
    with pytest.raises(InputError, match="does not have"):
        SAMPLERS["rejection"](energy, 3, proposal="finishing")


NAMES = (
    "finishing",
    "feasible",
    "weighted.choices",
    "weighted.proposals",
    "weighted.rollout",
    "weighted.importance",
    "weighted.resampling",
    "weighted.children",
    "weighted.smc",
)
FAULTS = {
    "what is not known has no share": (
        "finishing", "np.log(SHARE / (1 - SHARE)) +", "-np.inf +"
    ),
    "the factor is left in the weight": ("weighted.rollout", "- rows.owed[at]", ""),
    "it is given back twice": ("weighted.rollout", "owed[at] = new.where(going, 0.0)",
                               "owed[at] = 2 * new.where(going, 0.0)"),
    "of rows that cannot end none is resampled": ("weighted.resampling", "math.log(LEAST)",
                                                      "-math.inf"),
    "nor is what they go on with": ("weighted.children", "scale, lift = share.max(), lifted(share)",
                                    "scale, lift = share.max(), torch.zeros_like(share)"),
    "of them each weighs as others": ("weighted.smc", " - self.lift", ""),
    "copies take the choices of others": ("weighted.rollout", "place = ahead.place[row[at]]",
                                          "place = ahead.place[at].clamp(min=0)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        check_worlds(faulty)
