"""Checkpoint file: an append-only sequence of records, each written atomically.

It begins with two slots. The one of the higher number that is whole says how far the file holds and
what the checksum of all of that is; whatever stands after was being written when a process ended,
and counts for nothing. A record is written after the others and flushed to the disk; then the slot
that does not hold is rewritten. So whatever ends a process, the records are those of the
last commit or of the one before, and a run of n steps writes O(n) bytes.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ergotext.errors import ErgotextError
from ergotext.support.files import replacing

MAGIC = b"ergotext checkpoint 2\n".ljust(32, b"\0")
_SLOT, _SIZE = struct.Struct("<QQ16s"), struct.Struct("<Q")
SLOTS = (len(MAGIC), len(MAGIC) + 64)
"""Where the slots begin; each is 32 bytes and their checksum."""
FIRST = SLOTS[1] + 64
"""Where the first record begins."""
_KEY = "ergotext checkpoint"

Record = tuple[dict[str, Any], dict[str, Tensor]]
"""A header and tensors."""


class CheckpointError(ErgotextError, RuntimeError):
    """A checkpoint that is broken, or of another run than the one that is to continue from it."""


@dataclass(frozen=True)
class Commit:
    """Content of a slot."""

    number: int
    end: int
    """bytes of the file that count"""
    digest: bytes
    """of all records up to there, one after the other"""

    def behind(self, record: bytes) -> Commit:
        """The next one, with a record more."""
        digest = _digest(self.digest + record)
        return Commit(self.number + 1, self.end + len(record), digest)

    def slot(self) -> tuple[int, bytes]:
        """Offset and bytes of the slot."""
        told = _SLOT.pack(self.number, self.end, self.digest)
        return SLOTS[self.number % 2], told + _digest(told)


NOTHING = Commit(0, FIRST, bytes(16))


class RecordFile:
    """The records of a file, to which more are put.

    Parameters
    ----------
    path : Path
    commits : list of Commit
        Of each record; the last is what the file says.
    """

    def __init__(self, path: Path, commits: list[Commit]) -> None:
        self.path, self.commits = path, commits

    @classmethod
    def begin(
        cls, path: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> RecordFile:
        """Create a file of one record, atomically.

        Raises
        ------
        CheckpointError
            It cannot be written.
        """
        record = _bytes(header, tensors)
        first = NOTHING.behind(record)
        content = bytearray(MAGIC.ljust(FIRST, b"\0") + record)
        at, slot = first.slot()
        content[at : at + len(slot)] = slot
        with _told(path), replacing(path, durable=True) as part:
            part.write_bytes(content)
        return cls(path, [first])

    @classmethod
    def open(cls, path: Path) -> tuple[RecordFile, list[Record]]:
        """A file that is there, and its records.

        Raises
        ------
        CheckpointError
            It is no checkpoint, or a broken one.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"cannot read the checkpoint {path} ({error.strerror or error}); start a new run "
                "with another file"
            ) from error
        if (told := _committed(content)) is None:
            raise CheckpointError(
                f"{path} is not a checkpoint of this version of ergotext, or is damaged; start a "
                "new run with another file"
            )
        commits, records = [NOTHING], list[Record]()
        try:
            content = content[: told.end]
            while commits[-1].end < told.end:
                record = _next(content, commits[-1].end)
                commits.append(commits[-1].behind(record))
                records.append(_read(record))
        except (SafetensorError, struct.error, KeyError, ValueError, TypeError, RecursionError):
            records = []
        if not records or (commits[-1].end, commits[-1].digest) != (told.end, told.digest):
            raise CheckpointError(
                f"the checkpoint {path} is damaged: its checksum differs; start a new run with "
                "another file"
            )
        commits[-1] = told
        return cls(path, commits[1:]), records

    def append(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Append a record and flush it to disk.

        Raises
        ------
        CheckpointError
            It cannot be written, or another process has written to the file.
        """
        record = _bytes(header, tensors)
        after = self.commits[-1].behind(record)
        with self._opened() as file:
            os.ftruncate(file, self.commits[-1].end)  # what is after was never committed
            _put(file, record, self.commits[-1].end)
            os.fsync(file)
            self._commit(file, after)
        self.commits.append(after)

    def back_to(self, count: int) -> None:
        """Leave the first ``count`` records alone to count."""
        if count == len(self.commits):
            return
        last = self.commits[count - 1]
        after = Commit(self.commits[-1].number + 1, last.end, last.digest)
        with self._opened() as file:
            self._commit(file, after)
        self.commits = [*self.commits[: count - 1], after]

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with _told(self.path):
            file = os.open(self.path, os.O_RDWR)
            try:
                _lock(file)
                if _committed(os.pread(file, FIRST, 0)) != self.commits[-1]:
                    raise CheckpointError(
                        f"another process has written to the checkpoint {self.path}; give each run "
                        "its own file"
                    )
                yield file
            finally:
                os.close(file)

    def _commit(self, file: int, commit: Commit) -> None:
        at, slot = commit.slot()
        _put(file, slot, at)
        os.fsync(file)


def _committed(content: bytes) -> Commit | None:
    """What the file says of itself; None if it says nothing."""
    found = []
    for at in SLOTS:
        told, digest = content[at : at + _SLOT.size], content[at + _SLOT.size :][:16]
        if len(told) == _SLOT.size and digest == _digest(told):
            found.append(Commit(*_SLOT.unpack(told)))
    if content[: len(MAGIC)] != MAGIC or not found:
        return None
    return max(found, key=lambda commit: commit.number)


def _bytes(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    # Clones: tensors that share memory are refused.
    whole = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    record: bytes = save(whole, {_KEY: json.dumps(dict(header))})
    return _SIZE.pack(len(record)) + record


def _next(content: bytes, at: int) -> bytes:
    """The record that begins there; ValueError if it is not there as a whole."""
    (size,) = _SIZE.unpack(content[at : at + _SIZE.size])
    record = content[at : at + _SIZE.size + size]
    if len(record) != _SIZE.size + size:
        raise ValueError("a record is truncated")
    return record


def _read(record: bytes) -> Record:
    inner = record[_SIZE.size :]
    (size,) = _SIZE.unpack(inner[: _SIZE.size])
    told = json.loads(inner[_SIZE.size : _SIZE.size + size])
    return json.loads(told["__metadata__"][_KEY]), load(inner)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _lock(file: int) -> None:
    """Wait until no other process looks at it and writes; closing it gives the lock back."""
    with suppress(ImportError, OSError):  # not every system, and file system, has locks
        from fcntl import LOCK_EX, flock

        flock(file, LOCK_EX)


def _put(file: int, content: bytes, at: int) -> None:
    """Write all of it there."""
    left = memoryview(content)
    while left:
        done = os.pwrite(file, left, at)
        left, at = left[done:], at + done


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """An error of the system as one of ours. What was there before is there still."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be written ({error.strerror or error}); free some "
            "space, or use another file"
        ) from error
