from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ergotext.lm.automata.schema import numerals

whole = st.one_of(st.integers(0, 120), st.integers(0, 10**25)).map(str)
part = st.text("0059", min_size=1, max_size=4)
plain = st.builds(lambda sign, w, p: f"{sign}{w}{p}", st.sampled_from(["", "-"]), whole,
                  st.one_of(st.just(""), part.map(lambda digits: f".{digits}")))  # fmt: skip
power = st.builds(
    lambda sign, lead, p, e, zeros, n: f"{sign}{lead}{p}{e}{zeros}{n}",
    st.sampled_from(["", "-"]), st.integers(1, 9), st.sampled_from(["", ".0", ".5", ".05", ".99"]),
    st.sampled_from(["e", "E+", "e-"]), st.sampled_from(["", "0"]), st.integers(0, 30),
)  # fmt: skip
numbers = st.one_of(plain, power)

STEPS = ["1", "2", "3", "4", "5", "6", "12", "15", "16", "25", "60", "100", "200"]
STEPS += ["0.1", "0.01", "0.5", "0.25", "0.125", "0.3", "1.5"]


@settings(max_examples=250, deadline=None)
@given(numbers, numbers)
@example("0.75", "0.7")
@example("3.14", "3.14")
@example("0", "-0.0")
@example("12345678901234567890123", "12345678901234567890124")
@example("1e-7", "0.0000001")
def test_bounds_compare_digit_by_digit(bound: str, text: str) -> None:
    limit, number = Decimal(bound), Decimal(text)
    for other in (text, format(limit.copy_negate(), "f"), format(limit, "f")):
        number = Decimal(other)
        assert bool(re.fullmatch(numerals.at_least(limit), other)) == (number >= limit)
        assert bool(re.fullmatch(numerals.at_most(limit), other)) == (number <= limit)
        assert bool(re.fullmatch(numerals.equal(limit), other)) == (number == limit)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(STEPS),
    st.one_of(st.integers(-400, 400), plain.map(Fraction)),
    st.integers(0, 2),
)
def test_multiples(step: str, times: Fraction | int, zeros: int) -> None:
    expressions = numerals.multiples(Decimal(step))
    assert expressions is not None
    for value in (times * Fraction(step), Fraction(times)):
        exact = format(Decimal(value.numerator) / Decimal(value.denominator), "f")
        text = exact + ("." if zeros and "." not in exact else "") + "0" * zeros
        if not re.fullmatch(numerals.FINITE, text) or "E" in text:
            continue
        wanted = (Fraction(text) / Fraction(step)).denominator == 1
        assert all(re.fullmatch(one, text) for one in expressions) == wanted


@pytest.mark.parametrize("step", ["7", "9", "0.33", "32.1"])
def test_steps_that_no_expression_tells(step: str) -> None:
    assert numerals.multiples(Decimal(step)) is None
