"""Twists that are learned from texts: samples stay exact, and faults in them are seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata.combine import union
from ergotext.lm.automata.grammars import regex
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.lm.protocols import Automaton, Twist
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie.builder import build
from ergotext.lm.twist import automata, is_listed, learn_twist, listed, places, walks
from ergotext.samplers import SAMPLERS
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.smc import smc
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.support.arrays import Floats, Ints
from ergotext.testing.tables import FEW, LOOP, check_unbiased, expected, mass, require_mass, soft
from ergotext.testing.toy import ToyFluency
from tests.faulty import load_with_fault
from tests.lm.twist.worlds import Spelled

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
PIECES = Spelled.vocabulary.pieces
WORLDS: dict[str, Automaton] = {
    "dead ends": LOOP,
    "an expression": regex(r"( a| b{1,2}){1,3}\.?", PIECES),
    "what must follow": regex(" a b b", PIECES),
    "a union of expressions": union(regex(" a b+", PIECES), regex(r"( b)*\.", PIECES)),
    "a trie": build([(1,), (1, 2), (1, 2, 3), (2, 2), (3, 1, 2, 4), (4,)], Alphabet(6, 5, 0)),
}
MOST = 3


def by_length(lengths: Ints) -> Floats:
    energy: Floats = 0.9 * (lengths - 2.0) ** 2
    return energy


def target(name: str, max_length: int = MOST, power: float = 1.0) -> Target:
    return Target(Spelled(1), WORLDS[name], max_length, soft, power)


def twist(of: Target, rows: int = 2) -> Any:
    """Learned from few texts, so that not all is known."""
    log_length = -by_length(np.arange(of.max_length + 1))
    draws = SeededDraws(5).categorical
    return walks.learned(
        of.automaton, of.scorer, log_length, draws, power=of.power, rows=rows, rounds=2
    )


def all_known(of: Target) -> Any:
    log_length = -by_length(np.arange(of.max_length + 1))
    texts = listed.listed(of.automaton, of.max_length)
    assert texts is not None
    return listed.ListedTwist(of.automaton, texts, of.scorer, log_length, of.power)


def check_samples(of: Target, made: Twist) -> None:
    """Σ p·w·1[x] = p̃(x) to 1e-9."""
    wanted = mass(of)
    if of.power != 1:
        log_p = of.scorer.log_prob
        of_rows = {row: float(log_p(_batch(row))[0]) * (of.power - 1) for row in wanted}
        wanted = {row: m * np.exp(of_rows[row]) for row, m in wanted.items()}
    require_mass(expected(importance, of, 1, proposal=Twisted(made))[0], wanted)


def _batch(row: tuple[int, ...]) -> Any:
    from ergotext.lm.batch import TokenBatch

    return TokenBatch.of([row])


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_samples_are_exact(name: str, power: float) -> None:
    of = target(name, power=power)
    check_samples(of, twist(of))
    check_samples(of, all_known(of))


@pytest.mark.parametrize("name", WORLDS)
def test_so_they_are_with_resampling(name: str) -> None:
    of = target(name, {"an expression": 1, "what must follow": 3}.get(name, 2))
    check_unbiased(smc, of, 2, proposal=Twisted(twist(of)), threshold=1.0)
    check_unbiased(smc, of, 2, proposal=Twisted(all_known(of)), threshold=1.0)


def check_zeros(of: Target, made: Any) -> None:
    """ψ is above 0 just where the tokens left may do, as ``least`` knows; and one for every row."""
    automaton, states = of.automaton, of.automaton.start(1)
    for left in range(of.max_length - 1, -1, -1):
        row, token, after = automaton.candidates(states)
        wanted = np.zeros((len(states), 5))
        wanted[row, token] = automaton.least(after) <= left
        psi = made.psi(states, left, 5)
        assert np.isfinite(psi).all() and ((psi > 0) == (wanted > 0)).all()
        for at in range(len(states)):
            assert (made.psi(states[at : at + 1], left, 5) == psi[at]).all()
        if token.max() >= 3:
            with pytest.raises(InputError, match=r"allows token \d, but the model has only 3"):
                made.psi(states, left, 3)
        states = np.unique(after[token != automaton.end])


def check_learned(module: Any) -> None:
    for name in WORLDS:
        of = target(name)
        for rows in (2, 9):
            made = twist(of, rows)
            check_zeros(of, made)
            check_samples(of, made)
    with pytest.MonkeyPatch.context() as patch:
        # Wide places go by kinds: " a" and " b" are of one here, though they lead elsewhere.
        patch.setattr(module, "NARROW", 1)
        patch.setattr(places, "NARROW", 1)
        for looks in (48, 1):
            patch.setattr(places, "LOOKS", looks)
            for name in ("an expression", "a union of expressions"):
                of = target(name)
                check_samples(of, twist(of))


def test_where_it_is_zero() -> None:
    check_learned(automata)


def test_it_is_a_function_of_the_model() -> None:
    """Not of what was drawn before with it, nor of what else was asked."""
    of = target("an expression")
    one, other = twist(of), twist(of)
    smc(of, SeededDraws(3), 20, proposal=Twisted(other))
    states = of.automaton.start(1)
    for left in (2, 1, 0):
        assert (one.psi(states, left, 5) == other.psi(states, left, 5)).all()
        states = of.automaton.candidates(states)[2]
        states = states[states > 0]


def check_equal_weights(module: Any) -> None:
    """Where all texts are known, and every state has one beginning, log Z has no spread."""
    lengths = np.arange(MOST + 1)
    for name in ("a trie", "dead ends"):
        of = Target(Spelled(1), WORLDS[name], MOST, by_length=by_length,
                    soft=lambda b: _lengths(b))  # fmt: skip
        texts = module.listed(of.automaton, MOST)
        assert sorted(texts) == sorted(mass(of))
        assert module.listed(of.automaton, MOST, len(texts) - 1) is None
        made = module.ListedTwist(of.automaton, texts, of.scorer, -by_length(lengths))
        check_samples(of, made)
        if name == "a trie":
            found = importance(of, SeededDraws(0), 20, proposal=Twisted(made))
            log_z = np.log(sum(mass(of).values()))
            assert np.abs(found.log_weight.numpy() - log_z).max() < 1e-9


def _lengths(batch: Any) -> Any:
    import torch

    return torch.from_numpy(by_length(batch.length.numpy()))


def test_few_texts_are_known_exactly() -> None:
    check_equal_weights(listed)


def check_impossible(module: Any) -> None:
    """Texts of probability 0, and of tokens that the model lacks."""
    scorer, automaton = Spelled(1), WORLDS["a trie"]
    scorer.table = scorer.table.clone()
    scorer.table[1, :, 2] = scorer.table[0, :, 3] = -np.inf
    of = Target(scorer, automaton, MOST, by_length=by_length, soft=_lengths)
    texts = module.listed(automaton, MOST)
    with np.errstate(all="raise"):
        made = module.ListedTwist(automaton, texts, scorer, -by_length(np.arange(MOST + 1)))
    found = importance(of, SeededDraws(0), 20, proposal=Twisted(made))
    log_z = np.log(sum(mass(of).values()))
    assert np.abs(found.log_weight.numpy() - log_z).max() < 1e-9
    foreign = build([(1,), (2, 7)], Alphabet(12, 11, 0))
    texts = module.listed(foreign, MOST)
    with pytest.raises(InputError, match="allows token 7, but the model has only 5 tokens"):
        module.ListedTwist(foreign, texts, scorer, np.zeros(MOST + 1))


def test_texts_that_the_model_cannot_write() -> None:
    check_impossible(listed)


def check_listed(module: Any) -> None:
    with np.errstate(all="ignore"):
        check_equal_weights(module)
    check_impossible(module)


def test_which_is_made() -> None:
    scorer, draws = Spelled(1), SeededDraws(0).categorical
    assert isinstance(learn_twist(WORLDS["a trie"], scorer, 3, draws), listed.ListedTwist)
    many = regex("( a| b|b)*", PIECES)
    assert isinstance(learn_twist(many, scorer, 9, draws), automata.AutomatonTwist)
    few = learn_twist(FEW, scorer, 3, draws, by_length=by_length)
    assert isinstance(few, listed.ListedTwist)
    nothing = learn_twist(WORLDS["a trie"], scorer, 0, draws)
    assert nothing.psi(np.zeros(0, dtype=np.int64), 0, 5).shape == (0, 5)


def test_a_trie_of_few_keys_is_followed_by_default() -> None:
    for automaton, followed in ((WORLDS["a trie"], True), (WORLDS["an expression"], False)):
        energy = Sum([(1.0, ToyFluency(Spelled(1))), (1.0, matches(automaton))])
        assert isinstance(SAMPLERS["smc"](energy, 3).proposal, Twisted) == followed
    assert is_listed(WORLDS["a trie"]) and not is_listed(build([], Alphabet(6, 5, 0)))


FAULTS = {
    "a floor where the tokens left will not do": (
        "(place.least <= left).astype(np.float64)",
        "np.ones(len(place.least))",
    ),
    "a floor where nobody has stood": ("least(after) <= left\n", "least(after) <= 99\n"),
    "zero where a text may follow": ("np.clip(log_value, -bound, bound)", "log_value"),
    "the least of the state before": (
        "self.automaton.least(after) <= left).astype",
        "self.automaton.least(np.full(len(tokens), state)) <= left).astype",
    ),
    "an end that may not follow": ("            if ends:", "            if True:"),
    "a row's values for another": ("rows = np.flatnonzero(which == at)",
                                   "rows = np.flatnonzero(which <= at)"),
}  # fmt: skip
LISTED = {
    "the end left out": ("log_begun[len(ids) + 1]", "log_begun[len(ids)]"),
    "a length that does not count": ("+ self._log_length[len(ids)]\n", "\n"),
    "what is before counts too": ("total - float(", "total - 0 * float("),
    "the end of another length": ("_length) - 2 - left", "_length) - 1 - left"),
    "states that no text comes to": ("            if total > -np.inf\n", ""),
    "texts of the greatest length left out": ("range(max_length + 1)", "range(max_length)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.twist.automata", FAULTS[fault])
    monkeypatch.setattr(walks, "AutomatonTwist", faulty.AutomatonTwist)
    with pytest.raises((AssertionError, ErgotextError)), np.errstate(all="ignore"):
        check_learned(faulty)


@pytest.mark.parametrize("fault", LISTED)
def test_fault_in_a_list_is_caught(fault: str) -> None:
    faulty = load_with_fault("lm.twist.listed", LISTED[fault])
    with pytest.raises((AssertionError, ErgotextError, IndexError, ArithmeticError)):
        check_listed(faulty)
