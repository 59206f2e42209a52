"""Build a trie from a file of lines, in blocks, vectorised over lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of, spread, take_rows
from ergotext.lm.tokenizers.characters import (
    CODE_POINTS,
    CharacterTokenizer,
    TextTokenizer,
    points_of,
)
from ergotext.lm.trie.blocks import blocks
from ergotext.lm.trie.builder import RUN_BYTES, TrieBuilder, faults
from ergotext.lm.trie.fields import Fields, parse
from ergotext.lm.trie.names.build import with_names
from ergotext.lm.trie.schema import TRIPLES, Schema, schema_of
from ergotext.lm.trie.states import VALUE_END
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints

TRIPLE = ("subject", "predicate", "object")
SHOWN = 5
"""Bad lines that are quoted; the rest are counted."""


@dataclass
class Lines:
    """Statistics of the lines of a file."""

    read: int = 0
    bad: int = 0
    shown: list[str] = field(default_factory=list)
    """the first few bad ones, each with its number and what is wrong with it"""

    def count(self, path: Path, read: int, bad: dict[int, str], strict: bool) -> None:
        """Take lines into account; ``strict`` raises InputError at the first bad one."""
        self.read += read
        self.bad += len(bad)
        for number in sorted(bad)[: SHOWN - len(self.shown)]:
            self.shown.append(f"{path}, line {number}: {bad[number]}")
        if strict and self.bad:
            raise InputError(f"{self.shown[0]}. fix the line, or turn strict off")


def build_from_lines(
    path: str | Path,
    tokenizer: TextTokenizer | None = None,
    *,
    columns: Schema | Sequence[str] = TRIPLE,
    strict: bool = False,
    run_bytes: int = RUN_BYTES,
) -> tuple[TokenTrie, Lines]:
    """A trie of the lines of a file, and how many of them were bad.

    Parameters
    ----------
    path : str or Path
        UTF-8, fields separated by tabs; of a ``.csv`` file by commas, with its quotes.
    tokenizer : TextTokenizer, optional
        If not given, a character tokenizer of all characters of the file.
    columns : Schema or sequence of str
        What the fields are, or their names (``"subject,predicate"`` is two): ``subject`` and
        ``predicate``, or ``key``; and, if there is one, ``object``. The key of a triple is subject,
        predicate and meaning with tabs between them, where the meaning is a suffix of the subject
        in full-width brackets: ``苹果（水果）`` with predicate ``产地`` is
        ``苹果<tab>产地<tab>水果``; without such a suffix, two fields.
    strict : bool
        Stop at the first bad line (not UTF-8, another number of fields, an empty field) instead
        of leaving it out.
    run_bytes : int
        As for ``builder.build``.

    Raises
    ------
    InputError
        The file cannot be read, the columns make up no key, or a line is bad and ``strict`` is
        set.
    """
    path = Path(path)
    schema = schema_of(columns)  # before the characters are counted
    lines = Lines()
    chosen = tokenizer if tokenizer is not None else _characters(path)
    with TrieBuilder(chosen, run_bytes=run_bytes) as builder:
        for _, keys, objects in read_keys(path, chosen, lines, schema, strict):
            builder.add(*keys, *objects)
        trie = builder.finish()
    return (trie if schema.mention is None else with_names(trie)), lines


def read_keys(
    path: str | Path,
    tokenizer: TextTokenizer,
    lines: Lines,
    columns: Schema | Sequence[str] = TRIPLE,
    strict: bool = False,
) -> Iterator[tuple[Ints, tuple[Ints, Ints], tuple[NDArray[np.uint8], Ints]]]:
    """The keys of the valid lines of a file, in blocks; ``lines`` counts them.

    Parameters and errors are those of ``build_from_lines``.

    Yields
    ------
    numbers : int64 [n]
        Of the lines.
    keys : int64 [T] and int64 [n + 1]
        Flat ids without end tokens, and offsets into them.
    objects : uint8 [P] and int64 [n + 1]
        UTF-8 with 0xFE after each object, and offsets.
    """
    path, schema = Path(path), schema_of(columns)
    answer = None if schema.answer is None else schema.columns.index(schema.answer)
    for block in blocks(path, "reading keys"):
        fields = parse(block.raw, lines.read, len(schema.columns))
        fields.bad.update(block.bad)
        keys = _encoded(fields, _key_pieces(fields, schema), tokenizer)
        objects = _objects(fields, answer)
        wrong = faults(tokenizer.alphabet, *keys)
        fields.bad.update((int(fields.numbers[row]), fault) for row, fault in wrong.items())
        lines.count(path, fields.lines, fields.bad, strict)
        good = np.setdiff1d(np.arange(len(fields)), list(wrong))
        if wrong:
            keys, objects = take_rows(*keys, good), take_rows(*objects, good)
        yield fields.numbers[good], keys, objects


def key_text(subject: str, predicate: str) -> str:
    r"""The key of a subject and a predicate, as ``build_from_lines`` makes it.

    >>> key_text("苹果（水果）", "产地")
    '苹果\t产地\t水果'
    """
    return TRIPLES.key_text(subject, predicate)


def subject_and_predicate(key: str) -> tuple[str, str] | None:
    """Inverse of ``key_text``; None for other keys."""
    parts = TRIPLES.parts(key)
    return None if parts is None else (parts[0], parts[1])


def _characters(path: Path) -> CharacterTokenizer:
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    for block in blocks(path, "counting characters"):
        points = points_of(block.raw.decode(errors="ignore"))
        counts += np.bincount(points, minlength=CODE_POINTS)
    counts[[ord("\n"), ord("\r")]] = 0
    return CharacterTokenizer.from_counts(counts)


def _key_pieces(fields: Fields, schema: Schema) -> tuple[Ints, Ints]:
    """int64 [n, pieces] each: where the pieces of each key begin among the points, and lengths."""
    places = {name: place for place, name in enumerate(schema.columns)}
    others = [(fields.begin[:, places[name]], fields.stop[:, places[name]]) for name in schema.key]
    if schema.mention is None:
        ((begin, stop),) = others
        return begin[:, None], (stop - begin)[:, None]
    at = places[schema.mention]
    begin, stop = fields.begin[:, at], fields.stop[:, at]
    tab = fields.stop[:, 0]  # of several fields, the first ends at a tab
    mention, meaning = _parted(fields, begin, stop, schema.brackets)
    pieces = [(begin, mention)]
    for column in others:
        pieces += [(tab, tab + 1), column]
    pieces += [(tab, tab + (mention < stop)), meaning]
    start, end = (np.stack([piece[side] for piece in pieces], axis=1) for side in (0, 1))
    return start, np.maximum(end - start, 0)


def _parted(
    fields: Fields, begin: Ints, stop: Ints, brackets: tuple[str, str] | None
) -> tuple[Ints, tuple[Ints, Ints]]:
    """Where names end, and where meanings begin and end; a name without one goes to ``stop``."""
    if brackets is None:
        return stop, (stop, stop)
    opening, closing = map(points_of, brackets)
    places = np.append(_places_of(fields.points, opening), len(fields.points))
    bracket = places[np.searchsorted(places, begin)]
    last = stop - len(closing)
    closes = np.zeros(len(fields.points) + 1, dtype=bool)
    closes[_places_of(fields.points, closing)] = True
    suffix = (bracket > begin) & (bracket + len(opening) <= last) & closes[np.maximum(last, 0)]
    mention = np.where(suffix, bracket, stop)
    return mention, (mention + len(opening), np.where(suffix, last, 0))


def _places_of(points: NDArray[np.uint32], text: NDArray[np.uint32]) -> Ints:
    """Where a text stands."""
    found = np.ones(max(len(points) - len(text) + 1, 0), dtype=bool)
    for at, point in enumerate(text.tolist()):
        found &= points[at : at + len(found)] == point
    return np.flatnonzero(found)


def _encoded(
    fields: Fields, pieces: tuple[Ints, Ints], tokenizer: TextTokenizer
) -> tuple[Ints, Ints]:
    starts, lengths = pieces
    points = fields.points[spread(starts.ravel(), lengths.ravel())]
    offsets = offsets_of(lengths.sum(axis=1))
    if isinstance(tokenizer, CharacterTokenizer):
        return tokenizer.encode_points(points, offsets)
    text = points.tobytes().decode("utf-32-le")
    bounds = offsets.tolist()
    return tokenizer.encode_many([text[a:b] for a, b in pairwise(bounds)])


def _objects(fields: Fields, place: int | None) -> tuple[NDArray[Any], Ints]:
    if place is None:
        return np.empty(0, dtype=np.uint8), np.zeros(len(fields) + 1, dtype=np.int64)
    begin = fields.raw_begin[:, place]
    lengths = fields.raw_stop[:, place] + 1 - begin  # with the tab or newline after it
    offsets = offsets_of(lengths)
    objects = fields.raw[spread(begin, lengths)]
    objects[offsets[1:] - 1] = VALUE_END
    return objects, offsets
