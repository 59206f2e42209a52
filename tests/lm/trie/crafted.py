"""Index files whose headers say what they like, with checksums that vouch for it."""

from __future__ import annotations

import copy
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ergotext.lm.trie.header import checksum

Header = dict[str, Any]
ODD: list[Any] = [
    None, True, -1, 0, 1, 2, 7, 65_537, 2**31, 2**32 + 1, 2**63, 10**18, 10**400, 1.5, 1e300,
    "", "x", "-1", "0", "1", "7", "65537", "4294967296", "1" + "0" * 17, "1" + "0" * 18, "9" * 5000,
    "１", "1.5", "\u202e", [], {}, [[]], [-1, -1], [0, 0], [0, 2**62], [1, 2, 3], {"a": "b"},
    "I64", "U32", "U16", "U8", "F32",
]  # fmt: skip


def write(whole: bytes, path: Path, header: Any) -> None:
    """A file with this header, sealed as ``save`` seals it."""
    at = 8 + int.from_bytes(whole[:8], "little")
    blank = "0" * 32
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"] |= {"header": blank}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    raw = len(text).to_bytes(8, "little") + text
    path.write_bytes(raw.replace(blank.encode(), checksum(raw).encode(), 1) + whole[at:])


def header_of(whole: bytes) -> Header:
    """What ``save`` has written."""
    header: Header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    return header


def odd_fields(header: Header, odd: Sequence[Any] = ODD) -> Iterator[tuple[str, Any]]:
    """Every field with every odd value, or gone."""
    for place, parent in places(header):
        for value in [*odd, ...]:
            found = copy.deepcopy(header)
            holder = inner(found, parent)
            if value is ...:
                del holder[place]
            else:
                holder[place] = value
            yield f"{[*parent, place]} = {value!r:.40}", found


def mutations(header: Header) -> Iterator[tuple[str, Any]]:
    """Every field with every odd value or gone, every two arrays and fields exchanged."""
    yield from odd_fields(header)
    names = list(header)
    for one in names:
        for other in names:
            if one < other:
                found = copy.deepcopy(header)
                found[one], found[other] = found[other], found[one]
                yield f"{one} <> {other}", found
    yield "another array", {**header, "more": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
    yield "a list", [header]
    yield "nothing", {}
    yield "no arrays", {"__metadata__": header["__metadata__"]}


def places(value: Any, parent: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every place below a value: its name or number, and the way to what holds it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for place, below in inside:
        yield place, parent
        if isinstance(below, dict | list):
            yield from places(below, (*parent, place))


def inner(value: Any, way: tuple[Any, ...]) -> Any:
    for place in way:
        value = value[place]
    return value


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """AssertionError where it takes longer."""

    def late(_: int, __: FrameType | None) -> None:
        raise AssertionError(f"{what} takes more than {seconds} s")

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
