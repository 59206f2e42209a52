"""Expressions that people wrote, read by us and by Python's ``regex``: right, or refused in a line.

    python benchmarks/regexes.py PATH

PATH has one expression a line, as a JSON string. Each is tried on a list of texts and on texts
found by walking its automaton. ``regex`` reads ``--`` in brackets as ours does in its version 1.
The script exits with 1 where a verdict differs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import regex as other

from ergotext.errors import InputError
from ergotext.lm.automata import Pieces
from ergotext.lm.automata import regex as ours
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet

BYTES = Pieces(Alphabet(258, 257, 256), [bytes([byte]) for byte in range(256)])
TEXTS = [*map(chr, range(0x250)), *"Ωωж海あ٣²€₀\u0378\ue000\u200b\u2028\u2029\u3000\u0300\ufeff😀"]
TEXTS += [
    "",
    "abc",
    "aab",
    "aaab",
    "aaaaaab",
    "word",
    "words",
    "a b",
    "12",
    "1.5",
    ".5",
    "5.",
    "-1",
]
TEXTS += ["9:05", "12:30", "24:00", "23:59:59", "123-45-6789", "0A:1b:2C:3d:4E:5f", "ab\n", "x\ny"]
TEXTS += ["a@b.c", "http://a.b", "2024-02-29", "AbC", "foo_bar", "ÉÉ", "(1)", "{x}", "[y]", "a,b;c"]


def accepts(automaton: Automaton, text: str) -> bool:
    state = automaton.start(1)
    for byte in text.encode():
        state = automaton.advance(state, np.array([byte]))
    return bool(state[0] >= 0 and automaton.accepting(state)[0])


def walked(automaton: Automaton, seed: int) -> str | None:
    """A text that an automaton takes, come by at random."""
    random, state, text = np.random.default_rng(seed), automaton.start(1), b""
    while len(text) < 60:
        _, tokens, after = automaton.candidates(state)
        if not len(tokens):
            return None
        if automaton.end in tokens and (len(tokens) == 1 or random.random() < 0.4):
            return text.decode()
        at = random.choice(np.flatnonzero(tokens != automaton.end))
        text, state = text + bytes([tokens[at]]), after[at : at + 1]
    return None


def main(path: Path) -> int:
    right = refused = wrong = 0
    for line in path.read_text().splitlines():
        pattern = json.loads(line)
        try:
            automaton = ours(pattern, BYTES)
            theirs = other.compile(pattern, other.V1)
        except (InputError, other.error) as error:
            refused += 1
            print(f"refused  {pattern!r}: {error}")
            continue
        texts = [
            *TEXTS,
            *(text for seed in range(60) if (text := walked(automaton, seed)) is not None),
        ]
        differ = [t for t in texts if accepts(automaton, t) != bool(theirs.fullmatch(t))]
        right, wrong = right + (not differ), wrong + bool(differ)
        if differ:
            print(f"differs  {pattern!r}: on {differ[:8]}")
    print(f"{right} right, {refused} refused, {wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
