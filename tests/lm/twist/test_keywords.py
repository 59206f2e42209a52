"""ψ of keywords: above 0 where an accepted text can follow, 0 where the automaton knows better."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from ergotext.lm.automata.keyword_states import FINISHED
from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.twist import backward, product
from ergotext.lm.twist.keywords import KeywordTwist
from ergotext.support.arrays import Ints
from tests.faulty import load_with_fault
from tests.lm.twist.worlds import Spelled, automaton, hazards, keyword_twist

LONGEST = 5
LENGTHS = np.array([-2.0, -1.0, 0.0, -0.5, -1.5, -4.0])
WORLDS: dict[str, dict[str, Any]] = {
    "one": {"words": ["a"]},
    "two in any order": {"words": ["a", "b"]},
    "two in order": {"words": ["b", "a"], "any_order": False},
    "a word of two tokens": {"words": ["ab"]},
    "a phrase": {"words": ["a b", "b"]},
    "the same twice": {"words": ["a", "a"], "any_order": False},
    "alternatives": {"words": [("ab", "b"), "a"]},
    "without": {"words": ["a"], "without": ["b"]},
    "only without": {"words": [], "without": ["ab"]},
    "a window": {"words": ["b"], "window": (2, 3)},
    "only a window": {"words": [], "window": (1, 2)},
    "all at once": {"words": [("ab", "b"), "a"], "without": ["abb"], "window": (2, 4)},
    "nothing": {"words": []},
}


def reached(cover: KeywordCoverage, most: int) -> Ints:
    """Every state that so many tokens come to."""
    known = states = cover.start(1)
    for _ in range(most):
        _, _, states = cover.candidates(states)
        states = np.unique(states[states > FINISHED])
        known = np.union1d(known, states)
    return known


def can_end(cover: KeywordCoverage, most: int) -> list[set[int]]:
    """By tokens left: the states from which an accepted text is found by following all ways."""
    known = reached(cover, 2 * most)
    good = [set(known[cover.accepting(known)].tolist())]
    row, token, after = cover.candidates(known)
    ways = [(int(known[r]), int(a)) for r, t, a in zip(row, token, after, strict=True)
            if t != cover.end]  # fmt: skip
    for _ in range(most):
        good.append(good[-1] | {before for before, then in ways if then in good[-1]})
    return good


def check_support(make: Any, cover: KeywordCoverage, power: float) -> None:
    twist: KeywordTwist = make(cover, LENGTHS, power)
    states, good = reached(cover, LONGEST), can_end(cover, LONGEST)
    row, token, after = cover.candidates(states)
    for left in range(LONGEST):
        psi = twist.psi(states, left, 5)
        assert psi.shape == (len(states), 5) and np.isfinite(psi).all()
        listed = np.zeros_like(psi, dtype=bool)
        listed[row, token] = cover.least(after) <= left
        assert ((psi > 0) == listed).all()
        for r, t, then in zip(row.tolist(), token.tolist(), after.tolist(), strict=True):
            if t != cover.end and then in good[left]:
                assert psi[r, t] > 0
        ends = psi[:, cover.end] > 0
        assert (ends == cover.accepting(states)).all()
        # The end is worth the length alone, on the scale that all states with it have.
        assert np.ptp(psi[ends, cover.end]) == 0 if ends.any() else True
        if ends.any() and left < LONGEST - 1:
            over = twist._sums.over[left], twist._sums.over[left + 1]
            scale = twist._sums.log_scale[left] - twist._sums.log_scale[left + 1]
            ratio = LENGTHS[LONGEST - 1 - left] - LENGTHS[LONGEST - 2 - left]
            assert np.log(over[0] / over[1]) + scale == pytest.approx(ratio)


def check_each_for_itself(make: Any, cover: KeywordCoverage) -> None:
    """A floor by the largest of the batch once made all particles postpone their keywords."""
    twist = make(cover, LENGTHS)
    states = reached(cover, LONGEST)
    for left in range(LONGEST):
        together = twist.psi(states, left, 5)
        alone = np.concatenate([twist.psi(states[[n]], left, 5) for n in range(len(states))])
        assert (together == alone).all()
        twice = twist.psi(np.concatenate([states, states[::-1]]), left, 5)
        assert (twice == np.concatenate([together, together[::-1]])).all()


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("power", [1.0, 1.5])
def test_where_it_is_zero(name: str, power: float) -> None:
    check_support(keyword_twist, automaton(**WORLDS[name]), power)


@pytest.mark.parametrize("name", WORLDS)
def test_other_states_of_a_batch_do_not_matter(name: str) -> None:
    check_each_for_itself(keyword_twist, automaton(**WORLDS[name]))


def after(cover: KeywordCoverage, *tokens: int) -> Ints:
    state = cover.start(1)
    for token in tokens:
        state = cover.advance(state, np.array([token]))
    return state


def check_values(make: Any) -> None:
    """What is found, what is begun and what is over, by the formula."""
    h = hazards()
    cover = automaton(["ab", "b"])
    twist = make(cover, LENGTHS)
    sums = twist._sums
    ab, b = (h.phrases([s])[0] for s in ((1, 3), (2,)))
    assert ab[0] == pytest.approx(float(h.mass[1]) * ab[1])
    for left in (1, 3, 4):
        psi = twist.psi(cover.start(1), left, 5)[0]
        scale = np.exp(sums.log_scale[left - 1] - sums.log_scale[left])
        # " a" begins "ab": 1 token more, with the chance that b follows.
        wanted = (1 - ab[1]) * sums.inside[left][0, 0, 0]
        wanted += ab[1] * scale * sums.inside[left - 1][1, 0, 0]
        assert psi[1] == pytest.approx(wanted, rel=1e-12)
        assert psi[2] == pytest.approx(sums.inside[left][0, 1, 0], rel=1e-12)
        assert psi[4] == pytest.approx(sums.stopped[left][0, 0, 0], rel=1e-12)
        assert psi[0] == 0
    other = make(automaton(["b", "ab"]), LENGTHS).psi(cover.start(1), 4, 5)[0]
    assert other[[1, 2, 4]] == pytest.approx(twist.psi(cover.start(1), 4, 5)[0][[1, 2, 4]])
    both = after(cover, 1, 3, 2)
    psi = twist.psi(both, 1, 5)[0]
    assert psi[0] == pytest.approx(sums.over[1]) and psi[1] == pytest.approx(
        sums.inside[1][1, 1, 0]
    )
    assert b[0] == pytest.approx(float(h.mass[2]))
    assert twist.psi(both, 1, 7)[0].tolist() == [*psi, 0.0, 0.0]
    # No room for what is begun: only the rest counts.
    tight = twist.psi(after(cover, 2), 1, 5)[0]
    assert tight[1] > 0 and twist.psi(after(cover, 2), 0, 5)[0].tolist() == [0.0] * 5


def check_windows(make: Any) -> None:
    """Words are counted as the automaton counts them."""
    cover = automaton(["b"], window=(2, 3))
    twist = make(cover, LENGTHS)
    state = after(cover, 1, 1)
    psi = twist.psi(state, 2, 5)[0]
    assert psi[2] == pytest.approx(twist._sums.inside[2][1, 3], rel=1e-12)
    assert psi[3] == pytest.approx(twist._sums.inside[2][0, 2], rel=1e-12)
    assert psi[1] == 0
    assert twist._worded(hazards()).sum() == pytest.approx(1)
    share, mass = twist._worded(hazards()), hazards().mass.numpy()
    assert share == pytest.approx(np.array([mass[3], mass[1] + mass[2]]) / mass[1:4].sum())


def check_begun(make: Any) -> None:
    """Of alternatives that are begun, the likeliest counts, wherever it stands in the list."""
    h = hazards()
    chance = {word: h.phrases([ids])[0] for word, ids in (("ab", (1, 3)), ("abb", (1, 3, 3)))}
    assert chance["ab"][1] > chance["abb"][1]
    for words in (("abb", "ab"), ("ab", "abb")):
        (begun,) = make(automaton([words]), LENGTHS)._begun
        assert begun.chance.max() == pytest.approx(chance["ab"][1])
        assert begun.tokens[begun.chance.argmax()] == 1


def check_given_up(make: Any) -> None:
    """Where the sums are 0, as of many keywords to a high power, what can be accepted is not."""
    twist = make(automaton(["ab b", "a b", "b b"]), np.zeros(26), 40.0)
    psi = twist.psi(twist.automaton.start(1), 24, 5)[0]
    assert (psi[1:] > 0).all() and psi[0] == 0


def check_all(make: Any) -> None:
    check_values(make)
    check_windows(make)
    check_begun(make)
    for name in ("two in any order", "a phrase", "alternatives", "a window"):
        check_support(make, automaton(**WORLDS[name]), 1.0)
        check_each_for_itself(make, automaton(**WORLDS[name]))
    check_given_up(make)


def test_values() -> None:
    check_all(keyword_twist)


def test_more_keywords_than_digits_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """13 in any order: states are numbered by a table, whatever was met before."""
    words = ["a" + "b" * n for n in range(9, 22)]
    cover = automaton(words)
    assert type(cover._numbering).__name__ == "NumberTable"
    twist = keyword_twist(cover, np.zeros(251))
    states = cover.start(1)
    psi = twist.psi(states, 249, 5)
    assert (psi[0, 1:] > 0).all() and psi[0, 0] == 0
    monkeypatch.setattr(backward, "MOST_SETS", 100)
    coarse = keyword_twist(cover, np.zeros(251))
    assert coarse._coarse and (coarse.psi(states, 249, 5)[0, 1:] > 0).all()
    found = after(cover, 1, *[3] * 9, 4)
    assert coarse.psi(found, 239, 5)[0, 4] > coarse.psi(states, 239, 5)[0, 4]
    small = automaton(["a", "b"])
    monkeypatch.setattr(backward, "MOST_SETS", 2)
    check_support(keyword_twist, small, 1.0)
    check_each_for_itself(keyword_twist, small)


def test_tokens_that_the_model_does_not_have() -> None:
    cover = automaton(["a"])
    twist = keyword_twist(cover)
    assert twist.psi(cover.start(2), 3, 3).shape == (2, 3)
    assert twist.psi(np.array([FINISHED, -1]), 3, 5).tolist() == [[0.0] * 5] * 2
    assert Spelled.vocabulary.text(Spelled.vocabulary.spell("ab b")) == " ab b"


FAULTS = {
    "27: a floor by the largest of the batch": (
        "floor = np.where(alive & room, FLOOR, 0.0)",
        "floor = np.where(alive & room, 1e-3 * inside.max(), 0.0)",
    ),
    "27: a floor where nothing can be accepted": (
        "floor = np.where(alive & room, FLOOR, 0.0)",
        "floor = np.where(alive, FLOOR, 0.0)",
    ),
    "27: no floor": ("np.where(alive & room, FLOOR, 0.0)", "np.where(alive & room, 0.0, 0.0)"),
    "27: zero where the last token would do": (
        "least(states) <= left",
        "least(states) < left",
    ),
    "what is begun takes no tokens": ("after = left - tokens[rows]", "after = left + 0 * rows"),
    "the scale of the tokens that a phrase takes": (
        "np.exp(self._sums.log_scale[after] - self._sums.log_scale[left])",
        "np.ones(len(rows))",
    ),
    "what is begun is counted twice": ("np.maximum(1 - total, 0.0) * inside", "inside * 1.0"),
    "what is begun is found": ("found = [b.found[p]", "found = [b.found[p] + (b.chance[p] > 0)"),
    "another keyword is found by it": ("more[number] = more[number] + 1", "more[0] = more[0] + 1"),
    "the end is worth nothing": (
        "np.where(states == FINISHED, self._over(left), 0.0)",
        "np.where(states == FINISHED, 1e-9, 0.0)",
    ),
    "stops and others the wrong way round": (
        "classes * self._stops[tokens]",
        "classes * ~self._stops[tokens]",
    ),
    "words are not counted": (
        "[positions[number]]\n\n    def _worded",
        "[positions[number]] * 0\n\n    def _worded",
    ),
    "shares of words with those of stops": (
        " * ~self._stops[ways.tokens[text]]",
        "",
    ),
    "values of distinct states in the order of the batch": ("known[which]", "known"),
    "tokens that may not follow are of the last class": (
        "np.full(size, 2 * classes)",
        "np.full(size, 2 * classes - 1)",
    ),
    "the least likely alternative": ("if h > chance[number]:", "if not chance[number]:"),
}


def with_fault(old: str, new: str) -> Any:
    """The class with a piece replaced, in its own module or in that of its base."""
    if old not in inspect.getsource(product):
        return load_with_fault("lm.twist.keywords", (old, new)).KeywordTwist
    base = load_with_fault("lm.twist.product", (old, new)).ProductTwist
    return type(
        "Faulty", (KeywordTwist,), {n: vars(base)[n] for n in ("psi", "_columns", "_values")}
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str) -> None:
    faulty = with_fault(*FAULTS[fault])

    def make(cover: KeywordCoverage, *args: Any) -> Any:
        return keyword_twist(cover, *args, of=faulty)

    with pytest.raises((AssertionError, IndexError, ValueError)), np.errstate(all="ignore"):
        check_all(make)
