"""The ``format`` keyword: patterns of the supported formats."""

from __future__ import annotations

_YEAR = "(?:[0-9]{4})"
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"
    rf"(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_ZONE = "(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_TIME = (
    rf"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?{_ZONE}|"
    r"23:59:60(?:\.[0-9]+)?(?:[zZ]|[+-]00:00))"
)
"""RFC 3339; a leap second only for times in UTC"""

_CLOCK = r"T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_CALENDAR = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_A, _B = "[a-zA-Z0-9]", "[a-zA-Z0-9-]"
_PLAIN_LABEL = rf"(?:{_A}|{_A}{_A}|{_A}{_B}{_A}|{_A}{_B}{_B}{_A}|"
_PLAIN_LABEL += rf"{_A}{_B}(?:{_A}{_B}|-{_A}){_B}{{0,58}}{_A})"
"""without hyphens in the third and fourth place, which mark names in other scripts"""
_NUMBER = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_NUMBER}\.){{3}}{_NUMBER}"
_H = "[0-9a-fA-F]{1,4}"
_LOW = rf"(?:{_H}:{_H}|{_IPV4})"
_IPV6 = "|".join(
    [
        rf"(?:{_H}:){{6}}{_LOW}",
        *(rf"(?:{_H}(?::{_H}){{0,{n}}})?::(?:{_H}:){{{4 - n}}}{_LOW}" for n in range(5)),
        rf"::(?:{_H}:){{5}}{_LOW}",
        rf"(?:{_H}(?::{_H}){{0,5}})?::{_H}",
        rf"(?:{_H}(?::{_H}){{0,6}})?::",
    ]
)
_CODED = "%[0-9a-fA-F]{2}"
_FREE = r"a-zA-Z0-9\-._~!$&'()*+,;="
_SEGMENT = rf"(?:[{_FREE}:@]|{_CODED})"
_HOST = rf"(?:\[(?:{_IPV6}|v[0-9a-fA-F]+\.[{_FREE}:]+)\]|(?:[{_FREE}]|{_CODED})*)"
_SERVER = rf"//(?:(?:[{_FREE}:]|{_CODED})*@)?{_HOST}(?::[0-9]*)?(?:/{_SEGMENT}*)*"
_ROOTED = rf"/(?:{_SEGMENT}+(?:/{_SEGMENT}*)*)?"
_QUERY = rf"(?:\?(?:[{_FREE}:@/?]|{_CODED})*)?(?:#(?:[{_FREE}:@/?]|{_CODED})*)?"
_URI = rf"[a-zA-Z][a-zA-Z0-9+\-.]*:(?:{_SERVER}|{_ROOTED}|{_SEGMENT}+(?:/{_SEGMENT}*)*|){_QUERY}"
_RELATIVE = rf"(?:[{_FREE}@]|{_CODED})+(?:/{_SEGMENT}*)*"
_REFERENCE = rf"(?:{_URI}|(?:{_SERVER}|{_ROOTED}|{_RELATIVE}|){_QUERY})"
_ATOM = r"[a-zA-Z0-9!#$%&'*+\-/=?\^_`{|}~]+"
_LENGTHS = {"hostname": ("^.{1,253}$",), "email": ("^.{1,64}@", "@.{1,255}$")}
"""What is said of the whole besides."""

_STEPS = r"(?:/(?:[^/~]|~[01])*)*"

PATTERNS = {
    name: (f"^(?:{pattern})$", *_LENGTHS.get(name, ()))
    for name, pattern in {
        "date": _DATE,
        "time": _TIME,
        "date-time": rf"{_DATE}[tT]{_TIME}",
        "duration": rf"P(?:{_CALENDAR}(?:{_CLOCK})?|{_CLOCK}|[0-9]+W)",
        "email": rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}(?:\.{_LABEL})*|\[{_IPV4}\])",
        "hostname": rf"{_PLAIN_LABEL}(?:\.{_PLAIN_LABEL})*",
        "ipv4": _IPV4,
        "ipv6": _IPV6,
        "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "uri": _URI,
        "uri-reference": _REFERENCE,
        "json-pointer": _STEPS,
        "relative-json-pointer": rf"(?:0|[1-9][0-9]*)(?:#|{_STEPS})",
    }.items()
}
"""Patterns that a text of each format matches, all of them."""

REFUSED = ("idn-email", "idn-hostname", "iri", "iri-reference", "uri-template", "regex")
"""Formats that the standard names and that no pattern here follows."""
