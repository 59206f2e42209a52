"""One process at a time trains into a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ergotext.errors import InputError
from ergotext.tasks.index_lock import lock_of


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from training into a folder meanwhile.

    Two that write checkpoints into one folder would remove each other's. The lock is a hidden file
    beside the folder, as that of an index; the system lets go of it when its holder ends. Where
    none can be made there is none, and what is wrong with the folder is said when it is used.

    Raises
    ------
    InputError
        Another process trains into it.
    """
    lock = FileLock(lock_of(folder), mode=0o666)
    with suppress(OSError, NotImplementedError):
        lock_of(folder).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"another process is training into {folder}: wait until it has ended, or use "
                "another folder"
            ) from error
    try:
        yield
    finally:
        lock.release()
