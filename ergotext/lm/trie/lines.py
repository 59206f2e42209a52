"""Build a trie from a file of lines, read in blocks, without a loop over lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ergotext.lm.characters import CODE_POINTS, CharacterTokenizer, TextTokenizer, points_of
from ergotext.lm.protocols import InputError
from ergotext.lm.ragged import Ints, offsets_of, spread, take_rows
from ergotext.lm.trie.builder import RUN_BYTES, TrieBuilder, faults
from ergotext.lm.trie.fields import Fields, parse
from ergotext.lm.trie.states import VALUE_END
from ergotext.lm.trie.tree import TokenTrie

TRIPLE = ("subject", "predicate", "object")
_BLOCK = 8 << 20
_SHOWN = 5
_MARK = b"\xef\xbb\xbf"
_OPEN, _CLOSE = ord("（"), ord("）")


@dataclass
class Lines:
    """What became of the lines of a file."""

    read: int = 0
    bad: int = 0
    shown: list[str] = field(default_factory=list)
    """the first few bad ones, each with its number and what is wrong with it"""


def build_from_lines(
    path: Path,
    tokenizer: TextTokenizer | None = None,
    *,
    columns: Sequence[str] = TRIPLE,
    strict: bool = False,
    run_bytes: int = RUN_BYTES,
) -> tuple[TokenTrie, Lines]:
    """A trie of the lines of a file, and how many of them were bad.

    Parameters
    ----------
    path : Path
        UTF-8, fields parted by tabs.
    tokenizer : TextTokenizer, optional
        If not given, a character tokenizer of all characters of the file.
    columns : sequence of str
        What the fields are: ``subject`` and ``predicate``, or ``key``; and, if there is one,
        ``object``. The key of a triple is subject, predicate and meaning with tabs between them,
        where the meaning is a suffix of the subject in full-width brackets: ``苹果（水果）`` with
        predicate ``产地`` is ``苹果<tab>产地<tab>水果``; without such a suffix, two fields.
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
    places = _places(columns)
    chosen = tokenizer if tokenizer is not None else _characters(path)
    lines = Lines()
    with TrieBuilder(chosen, run_bytes=run_bytes) as builder:
        for raw in _blocks(path, "reading keys"):
            fields = parse(raw, lines.read, len(columns))
            keys = _encoded(fields, _key_pieces(fields, places), chosen)
            objects = _objects(fields, places.get("object"))
            wrong = faults(builder.alphabet, *keys)
            fields.bad.update((int(fields.numbers[row]), fault) for row, fault in wrong.items())
            _count(path, lines, fields, strict)
            if wrong:
                good = np.setdiff1d(np.arange(len(fields)), list(wrong))
                keys, objects = take_rows(*keys, good), take_rows(*objects, good)
            builder.add(*keys, *objects)
        return builder.finish(), lines


def _places(columns: Sequence[str]) -> dict[str, int]:
    places = {name: place for place, name in enumerate(columns)}
    keys = set(places) - {"object"}
    if keys not in ({"key"}, {"subject", "predicate"}) or len(places) < len(columns):
        raise InputError(
            f"Columns {','.join(columns)!r} make up no key: name subject and predicate, or key, "
            f"and at most one object."
        )
    return places


def _blocks(path: Path, what: str) -> Iterator[bytes]:
    """Whole lines, some eight megabytes at a time, each closed by a newline."""
    try:
        total = path.stat().st_size
        with (
            path.open("rb") as file,
            tqdm(desc=what, total=total, unit="B", unit_scale=True, disable=None) as bar,
        ):
            if file.peek(len(_MARK)).startswith(_MARK):
                file.seek(len(_MARK))
            while block := file.read(_BLOCK):
                block += file.readline()
                bar.update(len(block))
                yield block if block.endswith(b"\n") else block + b"\n"
    except OSError as error:
        raise InputError(
            f"Cannot read {path} ({error.strerror}): give the path of a file of lines."
        ) from error


def _characters(path: Path) -> CharacterTokenizer:
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    for raw in _blocks(path, "counting characters"):
        counts += np.bincount(points_of(raw.decode(errors="ignore")), minlength=CODE_POINTS)
    counts[[ord("\n"), ord("\r")]] = 0
    return CharacterTokenizer.from_counts(counts)


def _count(path: Path, lines: Lines, fields: Fields, strict: bool) -> None:
    lines.read += fields.lines
    lines.bad += len(fields.bad)
    for number in sorted(fields.bad)[: _SHOWN - len(lines.shown)]:
        lines.shown.append(f"{path}, line {number}: {fields.bad[number]}")
    if strict and lines.bad:
        raise InputError(f"{lines.shown[0]}. Mend the line, or leave bad lines out.")


def _key_pieces(fields: Fields, places: dict[str, int]) -> tuple[Ints, Ints]:
    """int64 [n, pieces] each: where the pieces of each key begin among the points, and lengths."""
    if "key" in places:
        at = places["key"]
        begin, stop = fields.begin[:, at, None], fields.stop[:, at, None]
        return begin, stop - begin
    subject, predicate = places["subject"], places["predicate"]
    begin, stop = fields.begin[:, subject], fields.stop[:, subject]
    opening = np.append(np.flatnonzero(fields.points == _OPEN), len(fields.points))
    bracket = opening[np.searchsorted(opening, begin)]
    suffix = (fields.points[stop - 1] == _CLOSE) & (bracket > begin) & (bracket < stop)
    mention = np.where(suffix, bracket, stop)
    tab = fields.stop[:, 0]  # of several fields, the first ends at a tab
    starts = [begin, tab, fields.begin[:, predicate], tab, mention + 1]
    stops = [mention, tab + 1, fields.stop[:, predicate], tab + suffix, stop - 1]
    start = np.stack(starts, axis=1)
    return start, np.maximum(np.stack(stops, axis=1) - start, 0)


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
    lengths = fields.raw_stop[:, place] + 1 - begin  # with the tab or newline behind it
    offsets = offsets_of(lengths)
    objects = fields.raw[spread(begin, lengths)]
    objects[offsets[1:] - 1] = VALUE_END
    return objects, offsets
