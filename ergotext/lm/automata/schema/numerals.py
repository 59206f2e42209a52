"""Regular expressions for JSON numbers within bounds.

Under bounds a number is written plainly, ``-12.50``, or with an exponent after one digit that is
not zero, ``-1.25e1``; any number of zeros may end its decimals. Numbers are exact: they are
compared digit by digit, never as floating point.
"""

from __future__ import annotations

from decimal import Decimal

ANY = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_PLAIN = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_POWER = r"[1-9](?:\.[0-9]+)?[eE][+-]?[0-9]+"
FINITE = rf"-?(?:{_PLAIN}|{_POWER})"
"""The numbers that can be compared."""
INTEGER = r"-?(?:0|[1-9][0-9]*)(?:\.0+)?"
"""Whole numbers: without an exponent, and with no decimals but zeros."""
WITH_POINT = r"-?[0-9]+(?:\.0+|(?:\.[0-9]+)?[eE][+-]?[0-9]+)"
"""Whole numbers written with a point or an exponent; and others with an exponent."""
FRACTION = r"-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9][0-9]*"
"""Numbers that are not whole: without an exponent."""


def at_least(bound: int | Decimal) -> str:
    """Regular expression of the numbers of at least a bound."""
    if bound > 0:
        return _from(bound)
    return rf"(?:{_PLAIN}|{_POWER}|-(?:{_up_to(bound)}))"


def at_most(bound: int | Decimal) -> str:
    """Regular expression of the numbers of at most a bound."""
    if bound < 0:
        return rf"-(?:{_from(bound)})"
    return rf"(?:-(?:{_PLAIN}|{_POWER})|{_up_to(bound)})"


def equal(number: int | Decimal) -> str:
    """Regular expression of one number."""
    whole, part, exponent = _digits(number)
    if not number:
        return r"-?0(?:\.0+)?(?:[eE][+-]?[0-9]+)?"
    mantissa = (whole + part).strip("0")
    power = mantissa[0] + (rf"\.{mantissa[1:]}0*" if mantissa[1:] else r"(?:\.0+)?")
    sign = "-" if number < 0 else ""
    plain = rf"{whole}\.{part}0*" if part else rf"{whole}(?:\.0+)?"
    return rf"{sign}(?:{plain}|{power}[eE]{_exponent(exponent)})"


def multiples(step: int | Decimal) -> list[str] | None:
    """Regular expressions of the multiples of a step, without exponent, which must all match.

    None, if the step is no power of ten times a power of two or of five, once divided by three.
    """
    _, digits, exponent = Decimal(step).normalize().as_tuple()
    assert isinstance(exponent, int)
    count = int("".join(map(str, digits)))
    found = [_of_power(exponent)]
    if count % 3 == 0:
        found.append(_SUM_OF_THREES)
        count //= 3
    for prime, most in ((2, 4), (5, 8)):
        places = 0
        while count % prime == 0 and places < most:
            count //= prime
            places += 1
        found += [_ending(prime**places, places, exponent)] if places else []
    return found if count == 1 else None


_A, _B, _C = "[0369.-]", "[147]", "[258]"
_SUM_OF_THREES = (
    f"(?:{_A}|{_B}{_A}*{_C}|(?:{_C}|{_B}{_A}*{_B})(?:{_A}|{_C}{_A}*{_B})*(?:{_B}|{_C}{_A}*{_C}))*"
)
"""Digits, a sign and a point, whose sum is a multiple of three."""


def _of_power(exponent: int) -> str:
    """What writes a multiple of a power of ten."""
    if exponent >= 0:
        return rf"-?(?:0|[1-9][0-9]*0{{{exponent}}})(?:\.0+)?"
    return rf"-?(?:0|[1-9][0-9]*)(?:\.[0-9]{{1,{-exponent}}}0*)?"


def _ending(step: int, places: int, exponent: int) -> str:
    """Multiples of a step times a power of ten, determined by so many of their last digits."""
    part = min(max(-exponent, 0), places)
    free, zeros = max(-exponent - places, 0), "0" * max(exponent, 0)
    ways = []
    for number in range(0, 10**places, step):
        digits = str(number).zfill(places) + zeros
        if exponent > 0:
            ends, decimals = digits, ""
        else:
            ends, decimals = digits[: places - part], digits[places - part :].rstrip("0")
        short = ends.lstrip("0") or "0"
        head = rf"(?:[1-9][0-9]*{ends}|{short})" if ends else "(?:0|[1-9][0-9]*)"
        if decimals:
            tail = rf"\.[0-9]{{{free}}}{decimals}0*"
        else:
            tail = rf"(?:\.[0-9]{{1,{free}}}0*)?" if free else r"(?:\.0+)?"
        ways.append(head + tail)
    return f"-?(?:{'|'.join(ways)})"


def _digits(number: int | Decimal) -> tuple[str, str, int]:
    """The digits before the point, those after it without zeros at the end, and the exponent."""
    exact = Decimal(number).copy_abs()
    whole, _, part = format(exact, "f").partition(".")
    return whole, part.rstrip("0"), exact.adjusted() if number else 0


def _from(bound: int | Decimal) -> str:
    """Unsigned numbers no less than a bound that is not zero, without its sign."""
    whole, part, exponent = _digits(bound)
    more = [rf"{_longer(whole)}(?:\.[0-9]+)?", *(rf"{w}(?:\.[0-9]+)?" for w in _greater(whole))]
    more.append(rf"{whole}\.(?:{_part_from(part)})" if part else rf"{whole}(?:\.[0-9]+)?")
    lead, *rest = list((whole + part).lstrip("0"))
    mantissa = [rf"[{chr(ord(lead) + 1)}-9](?:\.[0-9]+)?"] if lead < "9" else []
    tail = "".join(rest).rstrip("0")
    mantissa.append(rf"{lead}\.(?:{_part_from(tail)})" if tail else rf"{lead}(?:\.[0-9]+)?")
    more.append(rf"[1-9](?:\.[0-9]+)?[eE](?:{_exponent_from(exponent + 1)})")
    more.append(rf"(?:{'|'.join(mantissa)})[eE](?:{_exponent(exponent)})")
    return "|".join(more)


def _up_to(bound: int | Decimal) -> str:
    """Unsigned numbers no more than a bound without its sign."""
    whole, part, exponent = _digits(bound)
    less = [rf"{w}(?:\.[0-9]+)?" for w in [*_shorter(whole), *_smaller(whole)]]
    less.append(rf"{whole}(?:\.(?:{_part_up_to(part)}))?" if part else rf"{whole}(?:\.0+)?")
    if not bound:
        return less[-1]
    lead, *rest = list((whole + part).lstrip("0"))
    mantissa = [rf"[1-{chr(ord(lead) - 1)}](?:\.[0-9]+)?"] if lead > "1" else []
    tail = "".join(rest).rstrip("0")
    mantissa.append(rf"{lead}(?:\.(?:{_part_up_to(tail)}))?" if tail else rf"{lead}(?:\.0+)?")
    less.append(rf"[1-9](?:\.[0-9]+)?[eE](?:{_exponent_up_to(exponent - 1)})")
    less.append(rf"(?:{'|'.join(mantissa)})[eE](?:{_exponent(exponent)})")
    return "|".join(less)


def _longer(whole: str) -> str:
    """Whole numbers of more digits; above zero, where the number is zero."""
    return rf"[1-9][0-9]{{{0 if whole == '0' else len(whole)},}}"


def _shorter(whole: str) -> list[str]:
    """Whole numbers of fewer digits; none below a single digit."""
    return ["0", rf"[1-9][0-9]{{0,{len(whole) - 2}}}"] if len(whole) > 1 else []


def _greater(digits: str) -> list[str]:
    """As many digits that are greater."""
    if digits == "0":
        return []
    return [
        rf"{digits[:at]}[{chr(ord(digit) + 1)}-9][0-9]{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if digit < "9"
    ]


def _smaller(digits: str) -> list[str]:
    """As many digits that are smaller, the first of them no zero unless it stands alone."""
    low = ["1" if at == 0 and len(digits) > 1 else "0" for at in range(len(digits))]
    return [
        rf"{digits[:at]}[{low[at]}-{chr(ord(digit) - 1)}][0-9]{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if digit > low[at]
    ]


def _part_from(part: str) -> str:
    """Decimals no less than these, which do not end with a zero."""
    ways = [
        rf"{part[:at]}[{chr(ord(digit) + 1)}-9][0-9]*"
        for at, digit in enumerate(part)
        if digit < "9"
    ]
    return "|".join([*ways, rf"{part}[0-9]*"])


def _part_up_to(part: str) -> str:
    """One decimal or more, no more than these."""
    ways = [
        rf"{part[:at]}[0-{chr(ord(digit) - 1)}][0-9]*"
        for at, digit in enumerate(part)
        if digit > "0"
    ]
    return "|".join([*ways, *(part[:at] for at in range(1, len(part))), rf"{part}0*"])


def _exponent(exponent: int) -> str:
    """One exponent, with any zeros before it."""
    if not exponent:
        return "[+-]?0+"
    return rf"{'-' if exponent < 0 else '[+]?'}0*{abs(exponent)}"


def _exponent_from(least: int) -> str:
    if least > 0:
        return rf"[+]?0*(?:{'|'.join([_longer(str(least)), *_greater(str(least)), str(least)])})"
    small = "|".join([*_shorter(str(-least)), *_smaller(str(-least)), str(-least)])
    return rf"[+]?[0-9]+|-0*(?:{small})"


def _exponent_up_to(most: int) -> str:
    if most < 0:
        return rf"-0*(?:{'|'.join([_longer(str(-most)), *_greater(str(-most)), str(-most)])})"
    return rf"-[0-9]+|[+]?0*(?:{'|'.join([*_shorter(str(most)), *_smaller(str(most)), str(most)])})"
