"""Lock an index file against concurrent changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path

from ergotext.errors import ErgotextError
from ergotext.support.files import locked


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
    with ExitStack() as held:
        try:
            waiting = f"waiting for another process that changes {index}"
            held.enter_context(locked(lock_of(index), waiting))
        except (OSError, NotImplementedError) as error:
            raise ErgotextError(f"cannot lock {index} ({error}): check {lock_of(index)}") from error
        yield


def lock_of(index: Path) -> Path:
    """The file that is locked; links to one index share it. Its name is short for any index."""
    real = Path(os.path.realpath(index))
    name = blake2b(os.fsencode(real.name), digest_size=8).hexdigest()
    return real.with_name(f".ergotext-{name}.lock")
