"""A small vocabulary with tokens that cross quotes, indexes of a few keys, and every spelling."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ergotext.lm.automata import Pieces, grammars
from ergotext.lm.automata.slots.key_texts import KeyTexts
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet
from tests.lm.automata.worlds import Row

PAD, END = 0, 1
WRITTEN = [
    b"", b"", b"a", b"b", b'"', b"\\", b",", b"[", b"]", b'["', b'a"', b'"]', b'",', b'","', b'"b',
    b"ab", b'b",', b'"a"]', b'"a","', b"\xc3", b"\xa9", b'\xa9"', b"a,", b",a", b"b,a", b",ba",
]  # fmt: skip
PIECES = Pieces(Alphabet(len(WRITTEN), PAD, END), WRITTEN)
KEYS = {
    "k": ["a", "ab", 'b"', "ba", "bab"],  # one begins another, one is written with an escape
    "m": ["b", "ab", "aé"],
    "one": ["a"],
    "long": ["babab"],
}
SLOTS = {name: f'%index "{name}"' for name in KEYS}
JSON = {name: [json.dumps(key, ensure_ascii=False) for key in keys] for name, keys in KEYS.items()}
Make = Callable[..., Automaton]


def keys(name: str) -> KeyTexts:
    return KeyTexts([key.encode() for key in KEYS[name]], name)


def spellings(texts: Iterable[str], most: int) -> set[Row]:
    """Every sequence of up to so many tokens that writes one of these texts."""
    found: set[Row] = set()

    def spell(rest: bytes, row: Row) -> None:
        if not rest:
            found.add(row)
        elif len(row) < most:
            for token in PIECES.text.tolist():
                if rest.startswith(WRITTEN[token]):
                    spell(rest[len(WRITTEN[token]) :], (*row, token))

    for text in texts:
        spell(text.encode(), ())
    return found


@dataclass(frozen=True)
class World:
    """A schema or grammar with slots, and every text of up to some length."""

    source: Any
    texts: Iterable[str]
    most: int
    """tokens of a sequence; no text that they can write is missing above"""
    look: int = 0
    """tokens after which what may follow is compared (by default one less)"""

    def following(self, row: Row) -> set[int]:
        """The tokens after which some text goes on."""
        read = PIECES.joined(row)
        texts = [text.encode() for text in self.texts]
        return {t for t in PIECES.text.tolist()
                if any(text.startswith(read + WRITTEN[t]) for text in texts)}  # fmt: skip

    def made(self, module: Any = grammars) -> Automaton:
        of = module.grammar if isinstance(self.source, str) else module.json_schema
        automaton: Automaton = of(self.source, PIECES, keys=keys)
        return automaton


def _lists(*each: Iterable[str]) -> list[str]:
    return [f"[{','.join(some)}]" for some in itertools.product(*each)]


def _words(letters: Iterable[str], most: int) -> list[str]:
    some = [*letters]
    return ["".join(w) for n in range(most + 1) for w in itertools.product(some, repeat=n)]


WORLDS = {
    "a string": World({"x-index": "k"}, JSON["k"], 7),
    "a list": World(
        {"type": "array", "items": {"type": "string", "x-index": "k"}, "maxItems": 2},
        ["[]", *_lists(JSON["k"]), *_lists(JSON["k"], JSON["k"])], 6,
    ),
    "two indexes": World(
        {"prefixItems": [{"x-index": "k"}, {"x-index": "m"}], "minItems": 2, "items": False,
         "type": "array"},
        _lists(JSON["k"], JSON["m"]), 6,
    ),
    "an index or another or values": World(
        {"anyOf": [{"x-index": "k"}, {"x-index": "m"}, {"enum": ["bb", "ab"]}]},
        [*JSON["k"], *JSON["m"], '"bb"'], 7,
    ),
    "values that are keys as well": World(
        {"allOf": [{"x-index": "k"}, {"enum": ["ab", "bb", "ba", 1]}]}, ['"ab"', '"ba"'], 7
    ),
    "one after another": World(
        f"start: {SLOTS['k']} {SLOTS['m']}",
        [a + b for a in KEYS["k"] for b in KEYS["m"]], 6,
    ),
    "any number": World(
        f"start: ({SLOTS['k']})+", {w for w in _words(KEYS["k"], 6) if len(w) < 7} - {""}, 3, 1
    ),
    "after free text": World(
        f'start: FREE {SLOTS["k"]} ","?\nFREE: /[ab,]*/',
        {f + k + c for f in _words("ab,", 6) for k in KEYS["k"] for c in ("", ",")}, 2,
    ),
    "after a comma": World(f'start: "," {SLOTS["m"]}', ["," + key for key in KEYS["m"]], 5),
    "an index that says what follows": World(
        f'start: {SLOTS["k"]} ",a" | {SLOTS["m"]} ",b"',
        [*(k + ",a" for k in KEYS["k"]), *(k + ",b" for k in KEYS["m"])], 5,
    ),
    "beside free text": World(
        f'start: {SLOTS["m"]} "," {SLOTS["one"]} | /[ab]*,/',
        {*(k + ",a" for k in KEYS["m"]), *(f + "," for f in _words("ab", 9))}, 4,
    ),
    "between the same": World(
        f'start: "a" middle "a"\nmiddle: {SLOTS["k"]} | "," middle ","',
        {"a" + "," * n + k + "," * n + "a" for n in range(5) for k in KEYS["k"]}, 5,
    ),
}  # fmt: skip
