"""Lock an index file against concurrent changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from ergotext.errors import ErgotextError


@contextmanager
def changing(index: Path) -> Iterator[None]:
    """Wait until no other process changes this index, and keep others waiting meanwhile.

    The lock is a file of its own beside the index, which is replaced as a whole: a hidden, empty
    one that stays there, as to delete it would split those who wait. The system lets go of the
    lock when its holder ends, whatever ends it.

    Raises
    ------
    ErgotextError
        The lock cannot be made.
    """
    lock = FileLock(lock_of(index), mode=0o666)  # whoever may write to the folder may wait
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            what = f"waiting for another process that changes {index}"
            with tqdm(desc=what, bar_format="{desc}", disable=None):
                lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        raise ErgotextError(f"cannot lock {index} ({error}): check {lock_of(index)}") from error
    try:
        yield
    finally:
        lock.release()


def lock_of(index: Path) -> Path:
    """The file that is locked; links to one index share it. Its name is short for any index."""
    real = Path(os.path.realpath(index))
    name = blake2b(os.fsencode(real.name), digest_size=8).hexdigest()
    return real.with_name(f".ergotext-{name}.lock")
