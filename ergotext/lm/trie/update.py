"""Add the lines of a file to a trie, or remove them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import TextTokenizer
from ergotext.lm.trie.builder import RUN_BYTES, TrieBuilder
from ergotext.lm.trie.lines import TRIPLE, Lines, read_keys
from ergotext.lm.trie.names.build import with_names
from ergotext.lm.trie.overlay import EditableTrie
from ergotext.lm.trie.schema import Schema, schema_of
from ergotext.lm.trie.states import VALUE_END
from ergotext.lm.trie.tree import TokenTrie

_Wanted = dict[tuple[int, ...], list[tuple[int, str | None]]]


def add_lines(
    trie: TokenTrie,
    path: str | Path,
    *,
    columns: Schema | Sequence[str] = TRIPLE,
    strict: bool = False,
    run_bytes: int = RUN_BYTES,
) -> tuple[TokenTrie, Lines]:
    """The trie with the lines of a file added; objects are appended to those of a key.

    Parameters, memory and errors are those of ``build_from_lines``.
    """
    lines = Lines()
    with TrieBuilder(_tokenizer(trie), run_bytes=run_bytes) as builder:
        builder.add_trie(trie, without=np.empty(0, dtype=np.int64))
        for _, keys, objects in read_keys(path, _tokenizer(trie), lines, columns, strict):
            builder.add(*keys, *objects)
        changed = builder.finish()
    return _renamed(changed, columns), lines


def remove_lines(
    trie: TokenTrie,
    path: str | Path,
    *,
    columns: Schema | Sequence[str] = TRIPLE,
    strict: bool = False,
    run_bytes: int = RUN_BYTES,
) -> tuple[TokenTrie, Lines]:
    """The trie without the lines of a file; a line that it does not have counts as bad.

    With a column of answers, that object is taken from its key, and a key that has lost all its
    objects goes; without one, keys go with all their objects. What is removed is held in memory.
    Parameters and errors are those of ``build_from_lines``.
    """
    lines = Lines()
    wanted: _Wanted = defaultdict(list)
    for numbers, (ids, offsets), (pool, places) in read_keys(
        path, _tokenizer(trie), lines, columns, strict
    ):
        flat, objects = ids.tolist(), pool.tobytes().split(bytes([VALUE_END]))
        has_object = places[1:] > places[:-1]
        rows = zip(numbers.tolist(), pairwise(offsets.tolist()), has_object.tolist(), strict=True)
        following = iter(objects)
        for number, (low, high), some in rows:
            its = next(following).decode() if some else None
            wanted[tuple(flat[low:high])].append((number, its))
    changed = EditableTrie(trie)
    path = Path(path)
    missing = dict(sorted(_remove(changed, wanted)))
    lines.count(path, 0, missing, strict)
    return _renamed(changed.compact(run_bytes), columns), lines


def _renamed(trie: TokenTrie, columns: Schema | Sequence[str]) -> TokenTrie:
    """The names of a changed trie found anew: keys have other numbers."""
    named = schema_of(columns).mention is None or trie.names is not None
    return trie if named else with_names(trie)


def _remove(trie: EditableTrie, wanted: _Wanted) -> Iterable[tuple[int, str]]:
    """Number of each line that is not in the trie, and what is missing."""
    for key, named in wanted.items():
        if key not in trie:
            yield from ((number, "no such key in the index") for number, _ in named)
            continue
        has = trie.objects(key)
        had, goes = set(has), {text for _, text in named}
        if None in goes:
            trie.remove(key)
            continue
        kept = [text for text in has if text not in goes]
        yield from ((n, "its key has no such object") for n, text in named if text not in had)
        if has and not kept:
            trie.remove(key)
        elif len(kept) < len(has):
            trie.replace(key, *kept)


def _tokenizer(trie: TokenTrie) -> TextTokenizer:
    if trie.tokenizer is None:
        raise InputError("this trie has no tokenizer to encode lines: load it with one")
    return trie.tokenizer
