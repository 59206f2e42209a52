"""Header of an index file, with its checksum."""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import ErgotextError, InputError
from ergotext.support.untrusted import check_types, json_of

FORMAT, VERSION = "ergotext index", 2
NAMELESS = 1
"""Version of an index without names, which is written and read as ever."""
_READ = (str(NAMELESS), str(VERSION))
_TYPES = {"I64": np.int64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8}
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}
ARRAYS = {
    "tail_blocks": ("I64",),
    "pool_blocks": ("I64",),
    "first": ("U32", "I64"),
    "target": ("U32", "I64"),
    "token": ("U16", "U32"),
    "tail": ("U16", "U32"),
    "pool": ("U8",),
}
"""The arrays of every index, and the types that each may have."""
NAMES = {
    "names": ("U32", "I64"),
    "name_mass": ("U16",),
    "gram_buckets": ("U32", "I64"),
    "gram_names": ("U16", "U32"),
    "value_buckets": ("U32", "I64"),
    "value_marks": ("U8",),
    "value_keys": ("U32",),
}
"""More of them, all or none (``name_arrays``)."""
CHARACTERS = "characters"
"""Another one, of U32: where the index holds its tokenizer."""
NUMBERS = ("keys", "longest", "vocabulary", "pad", "end")
"""What the header says in integers, 0 or more."""
_NO_CHECKSUM = "0" * 32
_MOST_HEADER = 1 << 20


class IndexFileError(ErgotextError):
    """An index file is truncated, damaged, or not one that this version reads."""


class Part(NamedTuple):
    """Location of an array in the file."""

    kind: np.dtype[Any]
    length: int
    begin: int
    """after the header"""

    @property
    def end(self) -> int:
        """Offset of the next array."""
        return self.begin + self.kind.itemsize * self.length


@dataclass(frozen=True, eq=False)
class IndexFile:
    """The bytes of an index whose header is sound: of each array its type, size and place."""

    data: mmap.mmap
    begin: int
    parts: dict[str, Part]
    meta: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> IndexFile:
        """Map a file, and check its header and its size."""
        data = _mapped(path)
        begin = 8 + int.from_bytes(data[:8], "little")
        if not 8 < begin <= min(_MOST_HEADER, len(data)):
            raise _no_index(path)
        tensors, meta = _parsed(path, data[:begin])
        try:
            _check_meta(meta)
            parts = _placed(tensors)
        except ValueError as error:
            raise IndexFileError(
                f"{path} is damaged: its header is invalid ({error}); build it again"
            ) from error
        end = begin + max(part.end for part in parts.values())
        if len(data) != end:
            raise IndexFileError(
                f"{path} has {len(data):,} bytes, but its header says {end:,}: it was truncated or "
                "appended to; copy or build it again"
            )
        return cls(data, begin, parts, meta)

    @property
    def intact(self) -> bool:
        """Whether the content matches its checksum; reads the whole file."""
        return checksum(memoryview(self.data)[self.begin :]) == self.meta["content"]

    def number(self, name: str) -> int:
        """One of ``NUMBERS``."""
        return int(self.meta[name])

    def array(self, name: str) -> NDArray[Any]:
        """One of the arrays, in the pages of the file."""
        part = self.parts[name]
        if not part.length:
            return np.empty(0, dtype=part.kind)
        return np.frombuffer(self.data, part.kind, part.length, self.begin + part.begin)


def _mapped(path: Path) -> mmap.mmap:
    if "\0" in str(path):
        raise InputError(f"cannot read the index {str(path)!a}: no file has a NUL in its name")
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise IndexFileError(f"{path} is empty; copy or build it again") from error
    except OSError as error:
        raise InputError(
            f"cannot read the index {path} ({error.strerror}): give the path of one that `ergotext "
            "index build` wrote"
        ) from error


def _parsed(path: Path, header: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """What the header says of each array, and of the index; nothing in it has changed."""
    try:
        tensors = json_of(header[8:], unique=True)
        meta = tensors.pop("__metadata__")
        known = meta["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_index(path) from error
    if not known:
        raise _no_index(path)
    version, stated = str(meta.get("version")), str(meta.get("header"))
    if version not in _READ and re.fullmatch("[0-9]{1,9}", version):
        raise IndexFileError(
            f"{path} is an index of version {version}, but this ergotext reads versions up to "
            f"{VERSION}: build it again, or use the ergotext that built it"
        )
    if len(stated) != 32 or stated == _NO_CHECKSUM or stated != checksum(_blanked(header, stated)):
        raise IndexFileError(f"{path} is damaged: its header has changed; build it again")
    return tensors, meta


def _check_meta(meta: dict[str, Any]) -> None:
    """ValueError unless the texts are texts, and those that say numbers say them."""
    for name in (*NUMBERS, "version", "tokenizer", "content"):
        if name not in meta:
            raise ValueError(f"it has no {name}")
    if meta["version"] not in _READ:
        raise ValueError("its version is not a number")
    for name, value in meta.items():
        if not isinstance(value, str):
            raise ValueError(f"{name[:60]!r} is not a text")
        if name in NUMBERS and not re.fullmatch(r"[0-9]{1,18}", value):
            raise ValueError(f"{name} is {value[:40]!r}, not an integer")


def _placed(tensors: dict[str, Any]) -> dict[str, Part]:
    """The arrays, one after the other without gap; ValueError where they are not so."""
    kinds = {**ARRAYS, **NAMES, CHARACTERS: ("U32",)}
    for name in (*ARRAYS, *(NAMES if set(NAMES) & set(tensors) else ()), *tensors):
        if name not in tensors or name not in kinds:
            raise ValueError(f"it has {'no' if name in kinds else 'an'} array {name[:60]!r}")
    parts = {name: _part(name, tensor, kinds[name]) for name, tensor in tensors.items()}
    at = 0
    for name, part in sorted(parts.items(), key=lambda item: (item[1].begin, item[1].end)):
        if part.begin != at:
            raise ValueError(f"the array {name} begins at {part.begin:,} and not at {at:,}")
        at = part.end
    return parts


def _part(name: str, tensor: Any, kinds: tuple[str, ...]) -> Part:
    try:
        check_types(tensor, {"dtype": str, "shape": list, "data_offsets": list})
        kind, (count,), (begin, end) = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the entry of the array {name} is malformed") from error
    if kind not in kinds:
        raise ValueError(f"the array {name} is of type {kind[:40]!r}, not {' or '.join(kinds)}")
    if any(type(n) is not int or not 0 <= n < 1 << 60 for n in (count, begin, end)):
        raise ValueError(f"size and offset of the array {name} must be integers of at least 0")
    part = Part(np.dtype(_TYPES[kind]), count, begin)
    if part.end != end:
        raise ValueError(f"the array {name} of {count:,} numbers spans {begin:,} to {end:,}")
    return part


def _no_index(path: Path) -> IndexFileError:
    return IndexFileError(
        f"{path} is not an index, or its first bytes are damaged: give a file that `ergotext index "
        "build` wrote"
    )


def header_of(meta: dict[str, str], arrays: dict[str, NDArray[Any]]) -> bytes:
    """Header of a safetensors file, padded so that the arrays after it are aligned."""
    version = VERSION if set(NAMES) <= set(arrays) else NAMELESS
    own = {"format": FORMAT, "version": str(version), "header": _NO_CHECKSUM}
    content: dict[str, Any] = {
        "__metadata__": {**own, "content": checksum(*arrays.values()), **meta}
    }
    at = 0
    for name, array in arrays.items():
        content[name] = {
            "dtype": _CODES[array.dtype],
            "shape": [len(array)],
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 8)
    if 8 + len(text) > _MOST_HEADER:
        raise InputError(
            f"notes and header of the index would take {len(text):,} bytes, but at most "
            f"{_MOST_HEADER:,} are supported: shorten the notes"
        )
    header = len(text).to_bytes(8, "little") + text
    return header.replace(_NO_CHECKSUM.encode(), checksum(header).encode(), 1)


def _blanked(header: bytes, checksum: str) -> bytes:
    """The header as it was when its own checksum was taken."""
    return header.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)


def checksum(*parts: Any) -> str:
    """Checksum of bytes or arrays in sequence: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
