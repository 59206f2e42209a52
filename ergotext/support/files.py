"""Atomic file replacement, and locks between processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EISDIR
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ergotext.errors import InputError

STALE = 24 * 3600
"""Seconds after which a temporary file must be that of a process that was killed."""
_BEGIN, _END = ".ergotext-", ".part"


def check_readable(what: str, *paths: str | Path) -> None:
    """InputError unless all files of ``what`` may be read; none is opened, as some are pipes."""
    for path in map(Path, paths):
        try:
            if path.stat() and path.is_dir():
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
            if not os.access(path, os.R_OK):
                raise PermissionError(EACCES, os.strerror(EACCES))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot read the {what} {path} ({reason})") from error


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary name beside ``path``; what is written there takes its place if all goes well.

    At every moment either the old file or the new one is there as a whole. The name is a new one
    each time, so that two processes do not write into one file.

    Parameters
    ----------
    path : Path
        Where the file is to be; a link is followed. Its permissions are kept.
    durable : bool
        Whether the new file must outlast a power cut: it is on the disk before it takes the place.

    Raises
    ------
    OSError
        The file cannot be written or replaced. What was there before is untouched.
    """
    path = Path(os.path.realpath(path))
    if not path.name:  # the root, where no file of another name can stand beside it
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    sweep(path.parent)
    part = path.with_name(f"{_BEGIN}{uuid4().hex}{_END}")
    try:
        yield part
        if durable:
            sync(part)  # while it can be read for sure
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
        if durable:
            with suppress(OSError):  # replaced it is; not every folder can be read, or flushed
                sync(path.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Put a UTF-8 text in the place of a file; as ``replacing``.

    Raises
    ------
    InputError
        The text holds half a surrogate pair, as arguments do that were not UTF-8.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"cannot write {path}: it would hold {text[error.start]!a}, which is no character; "
            "give options and the names of files in UTF-8"
        ) from None
    with replacing(path) as part:
        part.write_bytes(data)


def sweep(folder: Path, pattern: str = f"{_BEGIN}*{_END}") -> None:
    """Remove what processes that were killed have left half-written in a folder."""
    for stale in folder.glob(pattern):
        with suppress(OSError):  # another process may be removing it too
            if time.time() - stale.stat().st_mtime > STALE:
                if stale.is_dir():
                    shutil.rmtree(stale, ignore_errors=True)
                else:
                    stale.unlink()


@contextmanager
def locked(file: Path, waiting: str | None = None) -> Iterator[None]:
    """Hold a lock that other processes wait for; the system lets go of it when its holder ends.

    Parameters
    ----------
    file : Path
        The lock: an empty file that stays there, as to delete it would part those who wait.
    waiting : str, optional
        What to say on stderr while another process holds the lock.

    Raises
    ------
    OSError, NotImplementedError
        The lock cannot be made; the latter on a file system without locks.
    """
    lock = FileLock(file, mode=0o666)  # whoever may write to the folder may wait
    try:
        lock.acquire(timeout=-1 if waiting is None else 0)
    except Timeout:
        from ergotext.support.bars import busy

        with busy(str(waiting)):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
