"""Build a TokenTrie from a stream of keys, in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.key_ids import Key, is_key, key_ids
from ergotext.lm.ragged import offsets_of, spread, take_rows
from ergotext.lm.tokenizers.characters import Alphabet, TextTokenizer, alphabet_of
from ergotext.lm.trie.external_sort import Runs
from ergotext.lm.trie.keys import key_blocks, object_rows
from ergotext.lm.trie.levels import Levels, token_type
from ergotext.lm.trie.sort import KeyRows, exact_order
from ergotext.lm.trie.states import ROOT, VALUE_END
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints
from ergotext.support.bars import bar

RUN_BYTES = 128 << 20
"""Keys and objects held in memory before a run is sorted and written down."""
Item = Key | tuple[Key, str | None]
"""A key, or a pair of a key and an object or None."""
_BATCH = 1 << 16
_COPIED = 1 << 18
"""Keys of another trie that are copied at a time."""


def build(
    pairs: Iterable[Item],
    alphabet: Alphabet | TextTokenizer,
    *,
    run_bytes: int = RUN_BYTES,
    folder: str | Path | None = None,
) -> TokenTrie:
    """A trie of these keys and their objects.

    Parameters
    ----------
    pairs : iterable of (key, object or None), or of keys
        In any order; equal keys are one key with several objects, in this order. A key is a text
        or a sequence of token ids. A pair is a tuple of two whose second is a str or None and
        whose first is a key; all else is a key without an object: ``"ab"``, ``(1, 2)``,
        ``[1, 2, 3]``. So ``("ab", "a")`` is the key ``ab`` with the object ``a``, and
        ``["ab", "a"]`` are two keys.
    alphabet : Alphabet or TextTokenizer
        The ids of the keys, or their tokenizer (texts need a tokenizer).
    run_bytes : int
        Memory for keys and objects at a time; beyond it they are sorted on disk. The finished trie
        comes on top of about six times this.
    folder : str or Path, optional
        Folder of temporary files; by default the system's.

    Raises
    ------
    InputError
        A key is empty or has an invalid id, an item is neither a key nor a pair, or an object has a
        lone surrogate.
    """
    with TrieBuilder(alphabet, run_bytes=run_bytes, folder=folder) as builder:
        shown = bar(several(pairs), desc="reading keys", unit=" keys", unit_scale=True, delay=0.5)
        stream = iter(shown)
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
        folder: str | Path | None = None,
    ) -> None:
        self.tokenizer = None if isinstance(alphabet, Alphabet) else alphabet
        self.alphabet = alphabet_of(alphabet)
        self.run_bytes = run_bytes
        self._folder = folder or tempfile.gettempdir()
        # It has no name in any folder: nothing is left behind however the process ends.
        self._temporary: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._runs = Runs(self._temporary)
        self._held: list[KeyRows] = []
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

    def add_pairs(self, pairs: Sequence[Item]) -> None:
        """Add keys, or pairs of a key and an object or None, as in ``build``."""
        if pairs:
            keys, objects = parted(pairs, self._seen)
            self.add(*encoded(keys, self.tokenizer), *object_bytes(objects))

    def add(
        self, ids: Ints, offsets: Ints, objects: NDArray[np.uint8], object_offsets: Ints
    ) -> None:
        """Take in keys as flat ids (without end tokens) and offsets, and the objects of each.

        ``objects`` is flat UTF-8 with the byte 0xFE after each object.
        """
        check_keys(self.alphabet, ids, offsets, self._seen)
        self._seen += len(offsets) - 1
        lengths = np.diff(offsets)
        closed = offsets + np.arange(len(offsets))
        flat = np.full(closed[-1], self.alphabet.end, dtype=token_type(self.alphabet))
        flat[spread(closed[:-1], lengths)] = ids
        self._held.append(KeyRows(flat, closed, objects, object_offsets))
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
        for rows in bar(ranges, desc="building the trie", total=total, delay=0.5):
            order, shared = exact_order(rows.ids, rows.offsets)
            levels.add(rows.take(order), shared)
        return levels.finish(self.tokenizer)

    def _whole(self) -> list[KeyRows]:
        held, self._held = self._held, []
        return [KeyRows.joined(held)] if held else []

    def _flush(self) -> None:
        try:
            for rows in self._whole():
                self._runs.add(rows)
        except OSError as error:
            raise ErgotextError(
                f"writing temporary files to {self._folder} failed ({error.strerror or error}): "
                "free some space there, or set TMPDIR to another folder"
            ) from error


def faults(alphabet: Alphabet, ids: Ints, offsets: Ints) -> dict[int, str]:
    """Faults by key: no tokens, or an invalid one."""
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
        raise InputError(f"item {before + key + 1} is {found[key]}: remove or fix it")


def parted(items: Iterable[Item], before: int = 0) -> tuple[list[Key], list[str | None]]:
    """Split items into keys and objects; ``before`` items came earlier (see ``build``)."""
    keys: list[Any] = []
    objects: list[str | None] = []
    for item in items:
        key, own = item if _is_pair(item) else (item, None)
        if not is_key(key):
            raise InputError(
                f"item {before + len(keys) + 1}, {item!r}, is neither a key (a text or token ids) "
                "nor a pair of a key and an object (a text or None)"
            )
        keys.append(key)
        objects.append(own)
    return keys, objects


def _is_pair(item: Any) -> TypeGuard[tuple[Key, str | None]]:
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and (item[1] is None or isinstance(item[1], str))
        and is_key(item[0])
    )


def several(items: Iterable[Item]) -> Iterable[Item]:
    """The same items; InputError for one text, which would be read as keys of a character."""
    if isinstance(items, str):
        raise InputError(f"expected several keys, got the text {items!r}: put it into a list")
    return items


def object_bytes(objects: Sequence[str | None]) -> tuple[NDArray[np.uint8], Ints]:
    """Flat bytes and offsets [n + 1] of one object (or none) to each key.

    Raises
    ------
    InputError
        An object holds a lone surrogate.
    """
    end = bytes([VALUE_END])
    try:
        texts = [b"" if text is None else text.encode() + end for text in objects]
    except UnicodeEncodeError as error:
        raise InputError(
            f"the object {error.object!r} contains a lone surrogate, which is not valid text: fix "
            "it"
        ) from error
    return np.frombuffer(b"".join(texts), dtype=np.uint8), offsets_of(_lengths(texts))


def encoded(keys: Sequence[Key], tokenizer: TextTokenizer | None) -> tuple[Ints, Ints]:
    """Flat ids and offsets of keys, all of them texts or all of them token ids."""
    texts = [key for key in keys if isinstance(key, str)]
    if not texts:
        rows = list(map(key_ids, keys))
        lengths = offsets_of(_lengths(rows))
        return np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=lengths[-1]), lengths
    if tokenizer is None or len(texts) < len(keys):
        raise InputError(
            f"key {texts[0]!r} is a text: give a tokenizer, and either texts or ids for all keys"
        )
    return tokenizer.encode_many(texts)


def _without_end(ids: Ints, offsets: Ints) -> tuple[Ints, Ints]:
    inside = np.ones(len(ids), dtype=bool)
    inside[offsets[1:] - 1] = False
    return ids[inside], offsets_of(np.diff(offsets) - 1)


def _lengths(rows: Sequence[Sequence[object]]) -> Ints:
    return np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
