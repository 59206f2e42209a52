"""Save and load a trie: a memory-mapped safetensors file with checksums, replaced atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.tokenizers.characters import (
    Alphabet,
    CharacterTokenizer,
    TextTokenizer,
    alphabet_of,
)
from ergotext.lm.trie.header import (
    ARRAYS,
    CHARACTERS,
    NAMES,
    IndexFile,
    IndexFileError,
    header_of,
)
from ergotext.lm.trie.levels import state_type, token_type
from ergotext.lm.trie.name_arrays import NameArrays
from ergotext.lm.trie.states import BLOCK
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.files import replacing, sync

_NOTE = "note:"
MOST_TOKENS = 1 << 32
"""Vocabulary of an index at most: ids have 32 bits."""

MOST_BUCKETS = 1 << 24
"""Of names, and of values: a hash of 32 bits leaves eight for marks."""

State = tuple[int, int, int]
"""Which file it is, its size and when it was written: differs from one ``save`` to the next."""


def save(
    trie: TokenTrie,
    path: str | Path,
    notes: Mapping[str, str] | None = None,
    *,
    replaces: State | None = None,
) -> None:
    """Write a trie to ``path``; a file that was there stays as it was until all is written.

    A character tokenizer goes into the file; of any other tokenizer, only the fingerprint.

    Parameters
    ----------
    trie : TokenTrie
    path : str or Path
        If it is a link, what it leads to is replaced.
    notes : mapping of str to str, optional
        What else readers are to know; ``notes_of`` gives it back.
    replaces : tuple, optional
        What ``state_of(path)`` was when the trie was read from there: a file that has come there
        since is not replaced. It is examined right before the old file makes room for the new.

    Raises
    ------
    InputError
        The notes are longer than readers take (1 MiB with all else in the header), or the trie
        has changes that are not compacted.
    ErgotextError
        The disk is full, the folder cannot be written to, or the file is not ``replaces``.
    """
    arrays = _arrays(settled(trie))
    own = {f"{_NOTE}{name}": text for name, text in (notes or {}).items()}
    header = header_of(_meta(trie) | own, arrays)
    path = Path(os.path.realpath(path))
    try:
        with replacing(path, durable=True) as part:
            with part.open("xb") as file:
                file.write(header)
                for array in arrays.values():
                    file.write(array.data)
            sync(part)  # so that nothing but the renaming is left after the comparison
            if replaces is not None and state_of(path) != replaces:
                raise ErgotextError(
                    f"{path} was changed by another process meanwhile and left unchanged: try again"
                )
    except OSError as error:
        raise ErgotextError(
            f"writing {path} failed ({error.strerror}); the old file is unchanged; the index takes "
            f"{sum(a.nbytes for a in arrays.values()):,} bytes"
        ) from error


def state_of(path: str | Path) -> State | None:
    """State of the file at ``path``, for ``replaces`` of ``save``; None if there is no file."""
    try:
        stat = Path(path).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def notes_of(path: str | Path) -> dict[str, str]:
    """The notes saved with an index; errors as ``load``."""
    meta = IndexFile.open(Path(path)).meta
    return {k.removeprefix(_NOTE): v for k, v in meta.items() if k.startswith(_NOTE)}


def load(path: str | Path, tokenizer: TextTokenizer | None = None) -> TokenTrie:
    """Memory-map a trie: pages are read on demand and shared between processes.

    Checks the header, the sizes, and the ends of offsets. Only ``verify`` checks the content;
    in a damaged file, lookups give wrong answers at worst.

    Parameters
    ----------
    path : str or Path
    tokenizer : TextTokenizer, optional
        Tokenizer of the keys, if not the character tokenizer in the file.

    Raises
    ------
    InputError
        There is no such file, or ``tokenizer`` is not the one that the index was built with.
    IndexFileError
        The file is truncated, damaged, of a newer version, or no index.
    """
    path = Path(path)
    return _loaded(path, IndexFile.open(path), tokenizer)


def verify(path: str | Path) -> None:
    """Read the whole file and check its checksums, which finds any damage.

    Raises
    ------
    InputError
        There is no such file.
    IndexFileError
        The file differs from what was saved.
    """
    path = Path(path)
    file = IndexFile.open(path)
    if not file.intact:
        raise IndexFileError(f"{path} is damaged: its content has changed; build it again")
    _loaded(path, file, None)  # a checksum is no proof that it was written by ``save``


def _arrays(trie: TokenTrie) -> dict[str, NDArray[Any]]:
    """The arrays of a trie and of its own characters, those of the widest numbers first."""
    arrays = {name: np.ascontiguousarray(getattr(trie, name)) for name in ARRAYS}
    if trie.names is not None:
        arrays |= {name: np.ascontiguousarray(getattr(trie.names, name)) for name in NAMES}
    if isinstance(trie.tokenizer, CharacterTokenizer):
        arrays[CHARACTERS] = trie.tokenizer.points
    return dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))


def _meta(trie: TokenTrie) -> dict[str, str]:
    alphabet = trie.alphabet
    return {
        "keys": str(trie.size),
        "longest": str(trie.longest),
        "vocabulary": str(alphabet.size),
        "pad": str(alphabet.pad),
        "end": str(alphabet.end),
        "tokenizer": alphabet.fingerprint,
    }


def _loaded(path: Path, file: IndexFile, tokenizer: TextTokenizer | None) -> TokenTrie:
    """The trie of a file; IndexFileError where its numbers do not go together."""
    vocabulary, pad, end = map(file.number, ("vocabulary", "pad", "end"))
    try:
        alphabet = Alphabet(vocabulary, pad, end, file.meta["tokenizer"])
    except InputError as error:
        raise IndexFileError(f"{path} is damaged ({error}); build it again") from error
    fields: dict[str, Any] = {name: file.array(name) for name in ARRAYS}
    trie = TokenTrie(alphabet, file.number("keys"), file.number("longest"), **fields)
    _check_ends(path, trie)
    if set(NAMES) <= set(file.parts):
        names = NameArrays(**{name: file.array(name) for name in NAMES})
        _check_names(path, trie, names)
        trie = replace(trie, names=names)
    points = file.array(CHARACTERS) if CHARACTERS in file.parts else None
    return _with_tokenizer(path, trie, points, tokenizer)


def _check_ends(path: Path, trie: TokenTrie) -> None:
    """What lookups rely on and a sound header does not vouch for: the ends of all offsets."""
    blocks = -(-trie.size // BLOCK) + 1
    tokens = token_type(trie.alphabet)
    sound = (
        trie.nodes >= 1
        # Every key has an end token in the tails, and none can be longer than all there is: what
        # loops over keys or tokens is bounded by the size of the file.
        and trie.size <= len(trie.tail)
        and bool(trie.size) <= trie.longest <= trie.nodes + len(trie.tail)
        and trie.alphabet.size <= MOST_TOKENS
        and trie.first.dtype == trie.target.dtype == state_type(trie.nodes, len(trie.tail))
        and len(trie.token) == len(trie.target)
        and trie.token.dtype == trie.tail.dtype == tokens
        and len(trie.tail_blocks) == len(trie.pool_blocks) == blocks
    )
    ends = (
        (trie.first, len(trie.token)),
        (trie.tail_blocks, len(trie.tail)),
        (trie.pool_blocks, len(trie.pool)),
    )
    if not sound or any(int(a[0]) != 0 or int(a[-1]) != end for a, end in ends):
        raise IndexFileError(f"{path} is damaged: its offsets are inconsistent; build it again")


def _check_names(path: Path, trie: TokenTrie, names: NameArrays) -> None:
    """What the search for names relies on; what is in the lists is bounded where it is read."""
    ends = (
        (names.names, trie.size),
        (names.gram_buckets, len(names.gram_names)),
        (names.value_buckets, len(names.value_keys)),
    )
    buckets = (len(names.gram_buckets) - 1, len(names.value_buckets) - 1)
    sound = (
        all(len(a) and int(a[-1]) == end for a, end in ends)
        and all(0 < count <= MOST_BUCKETS and count & (count - 1) == 0 for count in buckets)
        and len(names.value_marks) == len(names.value_keys)
        and len(names.name_mass) == len(names) <= trie.size
    )
    if not sound:
        raise IndexFileError(f"{path} is damaged: its names are inconsistent; build it again")


def _with_tokenizer(
    path: Path, trie: TokenTrie, points: NDArray[Any] | None, given: TextTokenizer | None
) -> TokenTrie:
    if given is not None:
        if alphabet_of(given) != trie.alphabet:
            own = trie.alphabet.fingerprint[:40] or "none"
            raise InputError(
                f"{path} was built with another tokenizer ({own}, not "
                f"{given.alphabet.fingerprint}): load it with that tokenizer, or build it again"
            )
        return replace(trie, tokenizer=given)
    if points is None:
        return trie
    try:
        tokenizer = CharacterTokenizer.from_points(points)
    except ValueError as error:
        raise _damaged_characters(path) from error
    if tokenizer.alphabet != trie.alphabet:
        raise _damaged_characters(path)
    return replace(trie, tokenizer=tokenizer)


def _damaged_characters(path: Path) -> IndexFileError:
    return IndexFileError(f"{path} is damaged: its characters have changed; build it again")
