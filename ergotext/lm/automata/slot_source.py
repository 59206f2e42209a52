"""Slots in the text of a grammar: ``%index "people.ergo"`` stands for any key of an index."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ergotext.errors import InputError

MARK = 0xF5
"""Where a grammar is read byte by byte, this byte and those after it stand for the slots: no UTF-8
has them."""
MOST = 0xFF - MARK
"""Different indexes in one grammar."""
_PARTS = re.compile(
    r'(?P<slot>%index[ \t]*(?P<name>"(?:\\.|[^"\\\n])*")?)'
    r'|(?P<json>"x-index"\s*:)'
    r'|"(?:\\.|[^"\\\n])*"|/(?!/)(?:\\.|[^/\\\n])+/|//[^\n]*|#[^\n]*'
)
"""Slots, members of a schema after ``%json``, which llguidance would leave out without a word, and
the strings, expressions and comments that are passed over."""
_HEAD = re.compile(r'^[ \t]*[?!]?(?P<name>[A-Za-z_]\w*)[^:"/|\n]*:', re.MULTILINE)
"""Where the definition of a rule or a terminal begins; it may go on for several lines."""


def slot(index: str) -> str:
    """A slot for any key of an index, as a grammar writes it."""
    return f"%index {json.dumps(index, ensure_ascii=False)}"


def parted(lark: str) -> tuple[str, list[str]]:
    """A grammar with its slots numbered (``in_vocabulary``), and the index of each number.

    Raises
    ------
    InputError
        A slot names no index or is in a terminal, a schema in the grammar has an index, or there
        are too many indexes.
    """
    names: dict[str, int] = {}
    heads = [(head.start(), head["name"]) for head in _HEAD.finditer(lark)]

    def numbered(part: re.Match[str]) -> str:
        if part["json"] is not None:
            raise InputError(
                'a schema in a grammar (%json) cannot have "x-index": give the index to a rule, as '
                '%index "people.ergo"'
            )
        if part["slot"] is None:
            return part[0]
        try:
            name = json.loads(part["name"] or "")
        except ValueError as error:
            raise InputError(
                'a grammar names an index as %index "people.ergo", its file in double quotes; got '
                f"{part[0]!r:.60}"
            ) from error
        rule = next((name for at, name in reversed(heads) if at < part.start()), "")
        if rule.isupper():
            raise InputError(
                f"an index cannot be part of a terminal: give {rule} a name in lower case"
            )
        return _number(names.setdefault(name, len(names)))

    source = _PARTS.sub(numbered, lark)
    if len(names) > MOST:
        raise InputError(f"{len(names)} indexes in one grammar are more than {MOST}: use fewer")
    return source, list(names)


def in_vocabulary(source: str, markers: Sequence[int]) -> str:
    """A numbered grammar in which special tokens, of these ids, stand for the slots."""
    for number, marker in enumerate(markers):
        source = source.replace(_number(number), f"<[{marker}]>")
    return source


def as_if_plain(source: str) -> str:
    """A numbered grammar with a text in each slot: what can be read of it without a tokenizer."""
    for number in range(MOST):
        source = source.replace(_number(number), '"a key"')
    return source


def _number(number: int) -> str:
    # No grammar of a person has this name in it: special tokens are refused.
    return f"<[slot {number}]>"
