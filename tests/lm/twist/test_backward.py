"""Backward sums against their own small model, every path of it listed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ergotext.lm.twist import backward
from ergotext.lm.twist.backward import FLOOR, Rest, Way
from tests.faulty import load_with_fault

TWO = [[[Way(0.05, 1), Way(0.02, 2)]], [[Way(0.03, 3, 2)], [Way(0.07, 1)]]]
"""One keyword of two alternatives, and two that follow one another, the first a phrase."""
PLAIN = Rest(TWO, 0.02, 0.1, 0.8, 0.6, 0.3, np.array([0.4, 0.5, 0.1]))
COUNTED = replace(PLAIN, window=(2, 4))
LENGTHS = np.array([-9.0, -3.0, -1.0, -0.2, -0.1, -1.5])


State = tuple[tuple[int, ...], int]
"""Keywords found of each chain, and words so far."""


def paths(
    rest: Rest, left: int, state: State, stopped: bool, used: int = 0
) -> Iterator[tuple[float, State, int]]:
    """Every way to end: its probability, where it comes to, and its tokens."""
    chains, (found, words) = rest.chains, state
    begun = sum(way.chance for chain in chains for ways in chain for way in ways)
    other, goes_on = max(rest.goes_on - begun, rest.goes_on / 2), 1.0
    if stopped:
        yield rest.ends_stopped, state, used
        goes_on = rest.goes_on_stopped
    yield goes_on * rest.ends, state, used
    nexts = [(rest.stopping, state, 1, True)]
    nexts += [(other * p, (found, words + n), 1, False) for n, p in enumerate(rest.words)]
    for number, chain in enumerate(chains):
        more = tuple(f + (n == number) for n, f in enumerate(found))
        for way in chain[found[number]] if found[number] < len(chain) else ():
            nexts.append((way.chance, (more, words + way.words), way.tokens, False))
    for p, after, tokens, stops in nexts:
        if used + tokens <= left:
            for rest_of_p, end, all_used in paths(rest, left, after, stops, used + tokens):
                yield goes_on * p * rest_of_p, end, all_used


def by_paths(rest: Rest, log_length: Any, power: float, left: int, stopped: bool) -> Any:
    """V^α of every state by the sum over paths; inside or after a token that stops."""
    most = len(log_length) - 1
    whole = tuple(len(chain) for chain in rest.chains)
    low, high = (0, np.inf) if rest.window is None else rest.window
    total = np.zeros(([n + 1 for n in whole]) + [1 if rest.window is None else int(high) + 2])
    for at in np.ndindex(total.shape):
        for p, (found, words), used in paths(rest, left, (at[:-1], at[-1]), stopped):
            if found == whole and low <= words <= high:
                total[at] += p * math.exp(log_length[most - left + used] / power)
    return total**power


def check(module: Any, rest: Rest, log_length: Any, power: float) -> None:
    sums = module.summed(rest, log_length, power)
    for left in range(len(log_length)):
        scale = np.exp(sums.log_scale[left])
        for stopped, value in ((False, sums.inside), (True, sums.stopped)):
            wanted = by_paths(rest, log_length, power, left, stopped)
            assert np.abs(value[left] * scale - wanted).max() <= 1e-9 * wanted.max()
            np.testing.assert_allclose(value[left] * scale, wanted, rtol=1e-9, atol=1e-300)
        top = max(sums.inside[left].max(), sums.stopped[left].max())
        assert top == pytest.approx(1) or top == 0
        if left < len(log_length) - 1:
            over = sums.over[left] * scale
            assert over == pytest.approx(np.exp(log_length[len(log_length) - 2 - left]))


def check_all(module: Any) -> None:
    for power in (1.0, 1.5, 0.5):
        check(module, PLAIN, LENGTHS, power)
        check(module, COUNTED, LENGTHS, power)
    check(module, replace(PLAIN, keywords=[]), LENGTHS, 1.0)
    check(module, replace(COUNTED, keywords=[]), LENGTHS, 2.0)
    check(module, COUNTED, np.array([0.0]), 1.5)
    check(module, PLAIN, np.where(np.arange(6) % 2, -np.inf, 0.0), 1.0)
    # More hazards than there is room for: what is left for others is half.
    many = [[[Way(0.2, 1)]], [[Way(0.3, 2)]], [[Way(0.2, 1)]]]
    check(module, replace(PLAIN, keywords=many), LENGTHS, 1.0)
    check_extremes(module)


def check_extremes(module: Any) -> None:
    """Sums that no float64 holds are as good beside one another as any."""
    for moved in (-5e3, 0.0, 5e3):
        sums = module.summed(COUNTED, LENGTHS + moved, 1.0)
        plain = module.summed(COUNTED, LENGTHS, 1.0)
        for one, other in ((sums.inside, plain.inside), (sums.over, plain.over)):
            np.testing.assert_allclose(one, other, rtol=1e-9)
        assert (sums.log_scale - plain.log_scale).round(6).tolist() == [moved] * 6
    # Square roots of many small masses add up to far more than 1.
    wide = replace(COUNTED, goes_on=4e4, stopping=50.0, ends=1e-3)
    steep = -2.0 * (np.arange(401) - 30.0) ** 2
    for power in (0.5, 1.0, 8.0):
        for rest in (wide, COUNTED, replace(COUNTED, ends=0.0)):
            sums = module.summed(rest, steep, power)
            for value in (sums.inside, sums.stopped, sums.over, sums.log_scale):
                assert np.isfinite(value).all()
            assert (sums.over > 0).all()
            assert (np.maximum(sums.inside, sums.stopped).max((1, 2, 3)) == 1).all()


def test_sums_are_those_of_every_path() -> None:
    check_all(backward)


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_of_coarse_sums_the_number_found_is_the_state(
    power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backward, "MOST_SETS", 5)
    assert PLAIN.coarse
    assert [[way.tokens for way in ways] for ways in PLAIN.chains[0]] == [[2], [2], [2]]
    chances = [ways[0].chance for ways in PLAIN.chains[0]]
    mean = float(np.cbrt(0.07 * 0.03 * 0.07))
    assert chances == pytest.approx([3 * mean, 2 * mean, mean])
    check(backward, PLAIN, LENGTHS, power)
    check(backward, COUNTED, LENGTHS, power)


def test_sixteen_keywords_in_any_order_are_summed_over_and_more_are_counted() -> None:
    sixteen = replace(PLAIN, keywords=[[[Way(0.01, 1)]]] * 16)
    assert not sixteen.coarse
    sums = backward.summed(sixteen, np.zeros(5), 1.0)
    assert sums.inside.shape == (5, *[2] * 16, 1)
    # Of keywords that are alike, only their number matters, and 13 need 13 tokens.
    found = np.indices([2] * 16).reshape(16, -1).sum(0)
    for left in range(5):
        value = sums.inside[left].ravel()
        assert (value[found < 16 - left] == 0).all() and (value[found >= 16 - left] > 0).all()
        assert np.ptp(value[found == 15]) == pytest.approx(0, abs=1e-12)
    many = replace(PLAIN, keywords=[[[Way(0.01, 1)]]] * 17)
    assert many.coarse and backward.summed(many, np.zeros(5), 1.0).inside.shape == (5, 18, 1)


def test_no_room_and_no_keywords() -> None:
    none = replace(PLAIN, keywords=[])
    sums = backward.summed(none, np.zeros(1), 1.0)
    assert sums.inside.shape == (1, 1) and sums.over.shape == (0,)
    assert sums.stopped[0, 0] > sums.inside[0, 0] > FLOOR


FAULTS = {
    "what a phrase takes is one token": ("left - way.tokens]", "left - 1]"),
    "a phrase fits where it does not": ("if way.tokens <= left:", "if way.tokens <= left + 1:"),
    "keywords of a chain in any order": ("after[stage + 1]", "after[-1]"),
    "a keyword that is found is found again": (
        "here[stage] += way.chance * _shifted(after[stage + 1]",
        "here[stage + 1] += way.chance * _shifted(after[stage + 1]",
    ),
    "words of a keyword are not counted": (
        "_shifted(after[stage + 1], way.words)",
        "_shifted(after[stage + 1], 0)",
    ),
    "too many words begin anew": (
        "np.minimum(np.arange(last + 1) + words, last)",
        "(np.arange(last + 1) + words) % (last + 1)",
    ),
    "a text of too many words may end": (
        "slice(rest.window[0], rest.window[1] + 1)",
        "slice(rest.window[0], None)",
    ),
    "a text without its keywords may end": (
        "done[tuple(size - 1 for size in sizes)][met]",
        "done[..., met]",
    ),
    "lengths from the other end": (
        "done * np.exp(log_length[most - left] - scale)",
        "done * np.exp(log_length[left] - scale)",
    ),
    "the power is not of the length": (
        "    log_length = log_length / power\n",
        "    log_length = log_length * 1.0\n",
    ),
    "sums of powers for powers of sums": (
        "Sums(inside**power, stopped**power,",
        "Sums(inside, stopped,",
    ),
    "after a stop nothing goes on": (
        "rest.ends_stopped * over + rest.goes_on_stopped * value",
        "rest.ends_stopped * over",
    ),
    "a stop is no stop": (
        "rest.stopping * share[0] * stopped[left - 1]",
        "rest.stopping * share[0] * inside[left - 1]",
    ),
    "scales of other places": ("share[way.tokens - 1]", "share[0]"),
    "a scale that is lost": ("log_scale[left] = scale + np.log(top)", "log_scale[left] = scale"),
    "the end one token late": ("log_length[:most][::-1]", "log_length[1:][::-1]"),
    "nothing is left where hazards are many": (
        "max(rest.goes_on - begun, rest.goes_on / 2)",
        "rest.goes_on - begun",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str) -> None:
    faulty = load_with_fault("lm.twist.backward", FAULTS[fault])
    with pytest.raises((AssertionError, IndexError, ValueError)), np.errstate(all="ignore"):
        check_all(faulty)
