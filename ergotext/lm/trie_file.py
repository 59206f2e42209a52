"""A trie in one file: memory-mapped safetensors, with checksums, replaced as a whole or not."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.characters import Alphabet, CharacterTokenizer, TextTokenizer
from ergotext.lm.protocols import ErgotextError, InputError
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie_levels import token_type
from ergotext.lm.trie_states import BLOCK

FORMAT, VERSION = "ergotext index", 1
_ARRAYS = ("tail_blocks", "pool_blocks", "first", "target", "token", "tail", "pool")
_CHARACTERS = "characters"
_TYPES = {"I64": np.int64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8}
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}
_NO_CHECKSUM = "0" * 32
_MOST_HEADER = 1 << 20


class IndexFileError(ErgotextError):
    """An index file is truncated, damaged, or not one that this version reads."""


def save(trie: TokenTrie, path: Path) -> None:
    """Write a trie to ``path``; a file that was there stays as it was until all is written.

    A character tokenizer goes into the file; of any other tokenizer, only the fingerprint.

    Raises
    ------
    ErgotextError
        The disk is full, or the folder cannot be written to.
    """
    arrays = {name: np.ascontiguousarray(getattr(trie, name)) for name in _ARRAYS}
    if isinstance(trie.tokenizer, CharacterTokenizer):
        arrays[_CHARACTERS] = trie.tokenizer.points
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    header = _header(trie, arrays)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("xb") as file:
            file.write(header)
            for array in arrays.values():
                file.write(array.data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ErgotextError(
            f"Writing {path} failed ({error.strerror}); what was there before is untouched. "
            f"The index takes {sum(a.nbytes for a in arrays.values()):,} bytes."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path, tokenizer: TextTokenizer | None = None) -> TokenTrie:
    """Map a trie into memory; nothing is read before it is asked for, and readers share pages.

    Checks the header, the sizes, and the ends of offsets. Only ``verify`` vouches for the content;
    in a damaged file, lookups give wrong answers at worst.

    Parameters
    ----------
    path : Path
    tokenizer : TextTokenizer, optional
        What turns texts into keys, if not the character tokenizer that the file holds.

    Raises
    ------
    InputError
        There is no such file, or ``tokenizer`` is not the one that the index was built with.
    IndexFileError
        The file is truncated, damaged, of a newer version, or no index.
    """
    file = _File.open(path)
    arrays = {name: file.array(name) for name in file.tensors}
    trie = _trie(file.meta, arrays)
    _check_ends(path, trie)
    return _with_tokenizer(path, trie, arrays.get(_CHARACTERS), tokenizer)


def verify(path: Path) -> None:
    """Read the whole file and compare its checksums: finds any damage.

    Raises
    ------
    InputError
        There is no such file.
    IndexFileError
        The file differs from what was saved.
    """
    file = _File.open(path)
    if _checksum(memoryview(file.data)[file.begin :]) != file.meta["content"]:
        raise IndexFileError(f"{path} is damaged: its content has changed. Build it again.")


@dataclass(frozen=True, eq=False)
class _File:
    """The bytes of an index whose header is sound."""

    path: Path
    data: mmap.mmap
    begin: int
    tensors: dict[str, dict[str, Any]]
    meta: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> _File:
        data = _mapped(path)
        begin = 8 + int.from_bytes(data[:8], "little")
        if not 8 < begin <= min(_MOST_HEADER, len(data)):
            raise _no_index(path)
        try:
            tensors = json.loads(data[8:begin])
            meta = tensors.pop("__metadata__")
            known = meta["format"] == FORMAT
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _no_index(path) from error
        if not known:
            raise _no_index(path)
        if meta.get("version") != str(VERSION) and str(meta.get("version")).isdecimal():
            raise IndexFileError(
                f"{path} is an index of version {meta['version']}, and this ergotext reads "
                f"version {VERSION}: build it again, or use the ergotext that built it."
            )
        header = data[:begin]
        stated = str(meta.get("header"))
        if stated == _NO_CHECKSUM or stated != _checksum(_blanked(header, stated)):
            raise IndexFileError(f"{path} is damaged: its header has changed. Build it again.")
        end = begin + max(t["data_offsets"][1] for t in tensors.values())
        if len(data) != end:
            raise IndexFileError(
                f"{path} has {len(data):,} bytes where its header says {end:,}: "
                f"it was cut off or added to. Copy or build it again."
            )
        return cls(path, data, begin, tensors, meta)

    def array(self, name: str) -> NDArray[Any]:
        tensor = self.tensors[name]
        kind, (count,) = np.dtype(_TYPES[tensor["dtype"]]), tensor["shape"]
        if not count:
            return np.empty(0, dtype=kind)
        return np.frombuffer(self.data, kind, count, self.begin + tensor["data_offsets"][0])


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise IndexFileError(f"{path} is empty. Copy or build it again.") from error
    except OSError as error:
        raise InputError(
            f"Cannot read the index {path} ({error.strerror}): give the path of one that "
            f"`ergotext index build` wrote."
        ) from error


def _no_index(path: Path) -> IndexFileError:
    return IndexFileError(
        f"{path} is not an index, or its first bytes are damaged: give a file that "
        f"`ergotext index build` wrote."
    )


def _header(trie: TokenTrie, arrays: dict[str, NDArray[Any]]) -> bytes:
    """Length and JSON, as safetensors has it, padded so that the arrays are aligned."""
    alphabet = trie.alphabet
    meta = {
        "format": FORMAT,
        "version": str(VERSION),
        "keys": str(trie.size),
        "longest": str(trie.longest),
        "vocabulary": str(alphabet.size),
        "pad": str(alphabet.pad),
        "end": str(alphabet.end),
        "tokenizer": alphabet.fingerprint,
        "content": _checksum(*arrays.values()),
        "header": _NO_CHECKSUM,
    }
    content: dict[str, Any] = {"__metadata__": meta}
    at = 0
    for name, array in arrays.items():
        content[name] = {
            "dtype": _CODES[array.dtype],
            "shape": [len(array)],
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(content, ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    return header.replace(_NO_CHECKSUM.encode(), _checksum(header).encode(), 1)


def _blanked(header: bytes, checksum: str) -> bytes:
    """The header as it was when its own checksum was taken."""
    return header.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)


def _checksum(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _trie(meta: dict[str, str], arrays: dict[str, NDArray[Any]]) -> TokenTrie:
    alphabet = Alphabet(
        int(meta["vocabulary"]), int(meta["pad"]), int(meta["end"]), meta["tokenizer"]
    )
    fields: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
    return TokenTrie(alphabet, int(meta["keys"]), int(meta["longest"]), **fields)


def _check_ends(path: Path, trie: TokenTrie) -> None:
    """What lookups rely on and a sound header does not vouch for: the ends of all offsets."""
    blocks = -(-trie.size // BLOCK) + 1
    tokens = token_type(trie.alphabet)
    sound = (
        trie.nodes >= 1
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
        raise IndexFileError(f"{path} is damaged: its offsets do not fit. Build it again.")


def _with_tokenizer(
    path: Path, trie: TokenTrie, points: NDArray[Any] | None, given: TextTokenizer | None
) -> TokenTrie:
    if given is not None:
        if given.alphabet != trie.alphabet:
            raise InputError(
                f"{path} was built with another tokenizer ({trie.alphabet.fingerprint or 'none'}, "
                f"not {given.alphabet.fingerprint}): load it with that one, or build it again."
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
    return IndexFileError(f"{path} is damaged: its characters have changed. Build it again.")
