"""Build a TokenTrie from a stream of keys, in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ergotext.lm.characters import Alphabet, TextTokenizer
from ergotext.lm.protocols import ErgotextError, InputError
from ergotext.lm.ragged import Ints, offsets_of, spread, take_rows
from ergotext.lm.trie.keys import key_blocks, object_rows
from ergotext.lm.trie.levels import Levels, token_type
from ergotext.lm.trie.runs import Runs
from ergotext.lm.trie.sort import Rows, exact_order
from ergotext.lm.trie.states import ROOT, VALUE_END
from ergotext.lm.trie.tree import Key, TokenTrie

RUN_BYTES = 128 << 20
"""Keys and objects held in memory before a run is sorted and written down."""
_BATCH = 1 << 16
_COPIED = 1 << 18
"""Keys of another trie that are copied at a time."""


def build(
    pairs: Iterable[tuple[Key, str | None]],
    alphabet: Alphabet | TextTokenizer,
    *,
    run_bytes: int = RUN_BYTES,
    folder: Path | None = None,
) -> TokenTrie:
    """A trie of these keys and their objects.

    Parameters
    ----------
    pairs : iterable of (text or token ids, object or None)
        In any order; equal keys are one key with several objects, in this order.
    alphabet : Alphabet or TextTokenizer
        The ids of the keys, or what turns texts into them (texts need a tokenizer).
    run_bytes : int
        Memory for keys and objects at a time; beyond it they are sorted on disk. What the
        finished trie takes up comes on top of about six times this.
    folder : Path, optional
        Where temporary files go; the system's place for them if not given.

    Raises
    ------
    InputError
        A key without tokens, or with an id that no key may hold.
    """
    with TrieBuilder(alphabet, run_bytes=run_bytes, folder=folder) as builder:
        bar = tqdm(pairs, desc="reading keys", unit=" keys", unit_scale=True, disable=None)
        stream = iter(bar)
        while batch := list(islice(stream, _BATCH)):
            builder.add_pairs(batch)
        return builder.finish()


class TrieBuilder:
    """Takes keys in batches, in any order; sorts them in runs; builds the trie at the end."""

    def __init__(
        self,
        alphabet: Alphabet | TextTokenizer,
        *,
        run_bytes: int = RUN_BYTES,
        folder: Path | None = None,
    ) -> None:
        self.tokenizer = None if isinstance(alphabet, Alphabet) else alphabet
        self.alphabet = alphabet if isinstance(alphabet, Alphabet) else alphabet.alphabet
        self.run_bytes = run_bytes
        self._folder = folder or tempfile.gettempdir()
        # It has no name in any folder: nothing is left behind however the process ends.
        self._temporary: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._runs = Runs(self._temporary)
        self._held: list[Rows] = []
        self._seen = 0

    def __enter__(self) -> TrieBuilder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # what a full disk did not take, it does not take now
            self._temporary.close()

    def add_pairs(self, pairs: Sequence[tuple[Key, str | None]]) -> None:
        """Take in keys (texts or token ids) with an object, or none, each."""
        if pairs:
            keys, objects = zip(*pairs, strict=True)
            self.add(*encoded(keys, self.tokenizer), *_object_rows(objects))

    def add(
        self, ids: Ints, offsets: Ints, objects: NDArray[np.uint8], object_offsets: Ints
    ) -> None:
        """Take in keys as flat ids (without end tokens) and offsets, and the objects of each.

        ``objects`` is flat UTF-8 with the byte 0xFE behind each object.
        """
        check_keys(self.alphabet, ids, offsets, self._seen)
        self._seen += len(offsets) - 1
        lengths = np.diff(offsets)
        closed = offsets + np.arange(len(offsets))
        flat = np.full(closed[-1], self.alphabet.end, dtype=token_type(self.alphabet))
        flat[spread(closed[:-1], lengths)] = ids
        self._held.append(Rows(flat, closed, objects, object_offsets))
        if sum(rows.nbytes for rows in self._held) >= self.run_bytes:
            self._flush()

    def add_trie(self, trie: TokenTrie, without: Ints) -> None:
        """Take in the keys of another trie, and their objects, but for those with these numbers.

        ``without`` (int64 [n]) rises.
        """
        low = 0
        for ids, offsets in key_blocks(trie, ROOT, _COPIED):
            high = low + len(offsets) - 1
            kept = np.setdiff1d(np.arange(low, high), without) - low
            objects = take_rows(*object_rows(trie, low, high), kept)
            self.add(*_without_end(*take_rows(ids, offsets, kept)), *objects)
            low = high

    def finish(self) -> TokenTrie:
        """The trie of all keys."""
        levels = Levels(self.alphabet)
        if len(self._runs) and self._held:
            self._flush()
        ranges = self._runs.ranges() if len(self._runs) else iter(self._whole())
        total = max(len(self._runs), 1)
        for rows in tqdm(ranges, desc="building the trie", total=total, disable=None):
            order, shared = exact_order(rows.ids, rows.offsets)
            levels.add(rows.take(order), shared)
        return levels.finish(self.tokenizer)

    def _whole(self) -> list[Rows]:
        held, self._held = self._held, []
        return [Rows.joined(held)] if held else []

    def _flush(self) -> None:
        try:
            for rows in self._whole():
                self._runs.add(rows)
        except OSError as error:
            raise ErgotextError(
                f"Writing temporary files to {self._folder} failed ({error.strerror or error}): "
                f"make room there, or name another place in TMPDIR."
            ) from error


def faults(alphabet: Alphabet, ids: Ints, offsets: Ints) -> dict[int, str]:
    """What is wrong with which keys: no tokens, or one that no key may hold."""
    empty = np.flatnonzero(np.diff(offsets) == 0)
    found = dict.fromkeys(empty.tolist(), "a key without tokens")
    own = (ids == alphabet.pad) | (ids == alphabet.end)
    for at in np.flatnonzero(own | (ids < 0) | (ids >= alphabet.size)):
        key = int(np.searchsorted(offsets, at, side="right")) - 1
        found[key] = (
            f"a key with token {int(ids[at])} (keys are made of ids below {alphabet.size} without "
            f"padding, {alphabet.pad}, and end, {alphabet.end})"
        )
    return found


def check_keys(alphabet: Alphabet, ids: Ints, offsets: Ints, before: int = 0) -> None:
    """Raise InputError at the first fault; ``before`` keys came before this batch."""
    found = faults(alphabet, ids, offsets)
    if found:
        key = min(found)
        raise InputError(f"Number {before + key + 1} is {found[key]}: drop or mend it.")


def _object_rows(objects: Sequence[str | None]) -> tuple[NDArray[np.uint8], Ints]:
    """Flat bytes and offsets [n + 1] of one object (or none) to each key."""
    end = bytes([VALUE_END])
    texts = [b"" if text is None else text.encode() + end for text in objects]
    return np.frombuffer(b"".join(texts), dtype=np.uint8), offsets_of(_lengths(texts))


def encoded(keys: Sequence[Key], tokenizer: TextTokenizer | None) -> tuple[Ints, Ints]:
    """Flat ids and offsets of keys, all of them texts or all of them token ids."""
    texts = [key for key in keys if isinstance(key, str)]
    if not texts:
        flat = np.fromiter(chain.from_iterable(keys), dtype=np.int64)
        return flat, offsets_of(_lengths(keys))
    if tokenizer is None or len(texts) < len(keys):
        raise InputError(
            f"Key {texts[0]!r} is a text: give a tokenizer, and either texts or ids throughout."
        )
    return tokenizer.encode_many(texts)


def _without_end(ids: Ints, offsets: Ints) -> tuple[Ints, Ints]:
    inside = np.ones(len(ids), dtype=bool)
    inside[offsets[1:] - 1] = False
    return ids[inside], offsets_of(np.diff(offsets) - 1)


def _lengths(rows: Sequence[Sequence[object]]) -> Ints:
    return np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
