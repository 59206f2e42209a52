"""Forms whose fields are keys of large indexes: masks against brute force, time, and filled forms.

    python benchmarks/index_forms.py [KEYS] [PREFIXES] [FORMS] [COMPARED]

Two indexes of so many made-up names each, with quotes, backslashes and accents among them; a form
with a field from each. At random places of random forms, cut into random tokens, the mask is
compared with what is found by going through all keys that begin like this. Then forms are drawn
from a model, and every entity is looked up. With COMPARED 0, masks are only timed: going through a
million keys takes minutes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from bisect import bisect_left
from functools import partial
from pathlib import Path
from statistics import mean, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import ergotext as et
from ergotext.lm.automata import Pieces
from ergotext.lm.automata.grammars import json_schema
from ergotext.lm.index_keys import keys_of
from ergotext.lm.tokenizers.loading import pretrained

SOUNDS = "anbecadoelfigohaisjokalaminoorpequrasateulviwaxeyozuñaéö"
SYLLABLES = [SOUNDS[at : at + 2] for at in range(0, len(SOUNDS), 2)]
LONGEST = 16
"""Bytes of a token that are looked for by going through keys; longer ones are tried one by one."""


def names(count: int, seed: int) -> list[str]:
    """Distinct names of two or three words; of a hundredth, quoted ones or with a backslash."""
    random, found = np.random.default_rng(seed), set[str]()
    while len(found) < count:
        parts = random.integers(len(SYLLABLES), size=(count, 7))
        sizes = random.integers(1, 4, size=(count, 2))
        for row, (one, two) in zip(parts.tolist(), sizes.tolist(), strict=True):
            words = ["".join(SYLLABLES[k] for k in some) for some in (row[:one], row[3 : 3 + two])]
            name = " ".join(words).title()
            if row[6] == 0 and row[5] < 8:
                name = f'{words[0].title()} "{words[1]}"' if row[5] < 4 else name.replace(" ", "\\")
            found.add(name)
    return sorted(found)[:: max(1, len(found) // count)][:count]


class Oracle:
    """What may follow a beginning of a form, by going through the keys."""

    def __init__(self, names: list[str], keys: list[list[str]], pieces: Pieces) -> None:
        self.marks = [
            f"{',' if k else '{'}{json.dumps(name)}:".encode() for k, name in enumerate(names)
        ]
        self.keys = [
            sorted(json.dumps(k, ensure_ascii=False).encode() for k in one) for one in keys
        ]
        self.tokens: dict[bytes, list[int]] = {}
        for token in pieces.text.tolist():
            self.tokens.setdefault(pieces.tokens[token], []).append(token)
        self.long = [piece for piece in self.tokens if len(piece) > LONGEST]
        self.known: dict[tuple[int, bytes], set[bytes]] = {}
        self.firsts: dict[tuple[int, int], set[bytes]] = {}

    def part(self, text: bytes) -> tuple[int, bytes] | None:
        """The field that a text is in and what is read from its mark on; None if no form does."""
        for field, mark in enumerate(self.marks):
            if len(text) <= len(mark):
                return (field, text) if mark.startswith(text) else None
            if not text.startswith(mark):
                return None
            rest, keys = text[len(mark) :], self.keys[field]
            at = bisect_left(keys, rest)
            if at < len(keys) and keys[at].startswith(rest):
                return field, text
            # A quoted text that is whole begins no other: it is the one right before.
            if not at or not rest.startswith(keys[at - 1]):
                return None
            text = rest[len(keys[at - 1]) :]
        return (len(self.marks), text) if text in (b"", b"}") else None

    def allowed(self, text: bytes) -> set[int]:
        """The tokens that may follow."""
        found = self.part(text)
        assert found is not None, text
        if found not in self.known:
            some = {begun for more in self.ways(*found) for n in range(1, LONGEST + 1)
                    if (begun := more[:n]) in self.tokens}  # fmt: skip
            some = {piece for piece in some if self.part(text + piece)}
            self.known[found] = some | {p for p in self.long if self.part(text + p)}
        return {token for piece in self.known[found] for token in self.tokens[piece]}

    def ways(self, field: int, text: bytes) -> set[bytes]:
        """The beginnings of all that may follow, as long as a token that is looked for."""
        if field == len(self.marks) or len(text) <= len(self.marks[field]):
            return {one[len(text) :] for one in self.first(field, LONGEST + len(text))}
        keys, rest = self.keys[field], text[len(self.marks[field]) :]
        low, high = bisect_left(keys, rest), bisect_left(keys, rest + b"\xff")
        return self.begun(field, [key[len(rest) :] for key in keys[low:high]], LONGEST)

    def begun(self, field: int, rests: list[bytes], size: int) -> set[bytes]:
        """The beginnings of what is left of some keys, and of what follows them."""
        found = {rest[:size] for rest in rests if len(rest) >= size}
        for rest in {rest for rest in rests if len(rest) < size}:
            found |= {rest + more for more in self.first(field + 1, size - len(rest))}
        return found

    def first(self, field: int, size: int) -> set[bytes]:
        """The beginnings of a form from a field on."""
        if field == len(self.marks):
            return {b"}"}
        if (field, size) not in self.firsts:
            mark = self.marks[field]
            if size <= len(mark):
                found = {mark[:size]}
            else:
                some = self.begun(field, self.keys[field], size - len(mark))
                found = {mark + one for one in some}
            self.firsts[field, size] = found
        return self.firsts[field, size]


def cuts(text: bytes, oracle: Oracle, pieces: Pieces, random: np.random.Generator) -> list[int]:
    """A text in random tokens."""
    row, at = list[int](), 0
    while at < len(text):
        parts = {text[at : at + size] for size in range(1, LONGEST)}
        some = sorted(token for part in parts for token in oracle.tokens.get(part, []))
        row.append(int(random.choice(some)))
        at += len(pieces.tokens[row[-1]])
    return row


def compare(
    schema: Any, lists: list[list[str]], pieces: Pieces, prefixes: int, compared: bool
) -> tuple[int, int, list[float]]:
    """Prefixes that were tried, masks that differ, and milliseconds of each mask."""
    begun = time.process_time()
    fields = [*schema["properties"]]
    _ = [keys_of(f"{name}.ergo").quoted for name in fields]
    read = time.process_time()
    automaton = json_schema(schema, pieces, keys=keys_of)
    automaton.candidates(automaton.start(1))
    made = time.process_time()
    print(f"keys read in {read - begun:.1f} CPU s, automaton made in {made - read:.1f}")
    oracle, random, spent = Oracle(fields, lists, pieces), np.random.default_rng(0), list[float]()
    wrong, size = 0, pieces.alphabet.size
    while len(spent) < prefixes:
        some = [keys[random.integers(len(keys))] for keys in lists]
        form = dict(zip(fields, some, strict=True))
        text = json.dumps(form, ensure_ascii=False, separators=(",", ":")).encode()
        state, before = automaton.start(1), b""
        for token in cuts(text, oracle, pieces, random):
            begun = time.process_time()
            mask = automaton.mask(state, size)[0]
            spent.append(1000 * (time.process_time() - begun))
            mask[automaton.end] = False
            tokens = {*np.flatnonzero(mask).tolist()}
            differ = tokens ^ oracle.allowed(before) if compared else set()
            wrong += bool(differ)
            if differ:
                print("differs at", before, [pieces.tokens[one] for one in differ][:5])
            state, before = (
                automaton.advance(state, np.array([token])),
                before + pieces.tokens[token],
            )
        assert automaton.accepting(state)[0], text
    return len(spent), wrong, spent


def fill(schema: Any, lists: list[list[str]], forms: int, model: str) -> None:
    """Draw forms and look every entity up."""
    lm, begun = et.load(model), time.process_time()
    known, good, made = [*map(set, lists)], 0, 0
    generator = partial(et.generate, lm, "Someone: ", schema=schema, n=10, method="sample")
    for seed in range(-(-forms // 10)):
        told = generator(seed=seed)
        made += len(told)
        good += sum(
            all(v in k for v, k in zip(one.value.values(), known, strict=True)) for one in told
        )
        if seed < 5:
            print(told[0].text)
    spent = time.process_time() - begun
    print(f"{made:,} forms of {model}, {good:,} with every entity in its index; {spent:.0f} CPU s")


def main(
    count: int = 1_000_000, prefixes: int = 10_000, forms: int = 1_000, compared: int = 1
) -> None:
    fields = ["person", "work"]
    lists = [names(count, seed) for seed in (1, 2)]
    schema = {
        "type": "object", "required": fields, "additionalProperties": False,
        "properties": {name: {"type": "string", "x-index": f"{name}.ergo"} for name in fields},
    }  # fmt: skip
    for name, keys in zip(fields, lists, strict=True):
        et.save_trie(et.build_trie(keys, et.CharacterTokenizer.of(keys[:1000])), f"{name}.ergo")
    print(f"{count:,} keys a field, such as {', '.join(lists[0][:: count // 4])}")
    tried, wrong, spent = compare(
        schema, lists, Pieces.of(pretrained("smollm2")[0]), prefixes, bool(compared)
    )
    parts = quantiles(spent, n=100)
    differ = f"{wrong} masks differ" if compared else "masks not compared"
    print(
        f"{tried:,} prefixes, {differ}; CPU ms a mask: mean {mean(spent):.2f}, "
        f"median {parts[49]:.2f}, 95% {parts[94]:.2f}, 99% {parts[98]:.2f}, most {max(spent):.1f}"
    )
    if forms:
        fill(schema, lists, forms, "tiny-causal")


if __name__ == "__main__":
    here = Path.cwd()
    with TemporaryDirectory() as made:
        os.chdir(made)
        try:
            main(*map(int, sys.argv[1:5]))
        finally:
            os.chdir(here)
