"""The header of an index file: what is in the file, and a checksum of the header itself."""

from __future__ import annotations

import hashlib
import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.protocols import ErgotextError, InputError
from ergotext.lm.untrusted import json_of

FORMAT, VERSION = "ergotext index", 1
_TYPES = {"I64": np.int64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8}
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}
_NO_CHECKSUM = "0" * 32
_MOST_HEADER = 1 << 20


class IndexFileError(ErgotextError):
    """An index file is truncated, damaged, or not one that this version reads."""


@dataclass(frozen=True, eq=False)
class IndexFile:
    """The bytes of an index whose header is sound."""

    data: mmap.mmap
    begin: int
    tensors: dict[str, dict[str, Any]]
    meta: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> IndexFile:
        """Map a file, and check its header and its size."""
        data = _mapped(path)
        begin = 8 + int.from_bytes(data[:8], "little")
        if not 8 < begin <= min(_MOST_HEADER, len(data)):
            raise _no_index(path)
        tensors, meta = _parsed(path, data[:begin])
        end = begin + max(t["data_offsets"][1] for t in tensors.values())
        if len(data) != end:
            raise IndexFileError(
                f"{path} has {len(data):,} bytes where its header says {end:,}: "
                f"it was cut off or added to. Copy or build it again."
            )
        return cls(data, begin, tensors, meta)

    @property
    def intact(self) -> bool:
        """Whether the content is what its checksum says; reads the whole file."""
        return checksum(memoryview(self.data)[self.begin :]) == self.meta["content"]

    def array(self, name: str) -> NDArray[Any]:
        """One of the arrays, in the pages of the file."""
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


def _parsed(path: Path, header: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """What the header says of each array, and of the index; nothing in it has changed."""
    try:
        tensors = json_of(header[8:])
        meta = tensors.pop("__metadata__")
        known = meta["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_index(path) from error
    if not known:
        raise _no_index(path)
    version, stated = str(meta.get("version")), str(meta.get("header"))
    if version != str(VERSION) and version.isdecimal():
        raise IndexFileError(
            f"{path} is an index of version {version}, and this ergotext reads version {VERSION}: "
            f"build it again, or use the ergotext that built it."
        )
    if stated == _NO_CHECKSUM or stated != checksum(_blanked(header, stated)):
        raise IndexFileError(f"{path} is damaged: its header has changed. Build it again.")
    return tensors, meta


def _no_index(path: Path) -> IndexFileError:
    return IndexFileError(
        f"{path} is not an index, or its first bytes are damaged: give a file that "
        f"`ergotext index build` wrote."
    )


def header_of(meta: dict[str, str], arrays: dict[str, NDArray[Any]]) -> bytes:
    """Length and JSON, as safetensors has it, padded so that arrays behind it are aligned."""
    own = {"format": FORMAT, "version": str(VERSION), "header": _NO_CHECKSUM}
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
            f"Notes and header of the index would take {len(text):,} bytes, and {_MOST_HEADER:,} "
            f"are read at most: note less."
        )
    header = len(text).to_bytes(8, "little") + text
    return header.replace(_NO_CHECKSUM.encode(), checksum(header).encode(), 1)


def _blanked(header: bytes, checksum: str) -> bytes:
    """The header as it was when its own checksum was taken."""
    return header.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)


def checksum(*parts: Any) -> str:
    """32 hexadecimal digits of bytes or arrays, one behind the other."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
