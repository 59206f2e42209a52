"""The arrays by which names are found that a text writes in another way (``trie.names``)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NameArrays:
    """Inverted lists of names by their grams, and of keys by their values, both by hash.

    A name is a run of neighbouring keys whose text up to the first tab is the same. Hashes have 32
    bits; their first ones are the number of a bucket, of which there is a power of two.

    Parameters
    ----------
    names : integer [M + 1]
        Name m is that of the keys from ``names[m]`` up to ``names[m + 1]``.
    name_mass : uint16 [M]
        What the grams of a name weigh together, in 1/64 nats, at most 1,023.
    gram_buckets : integer [G + 1]
        The names with a gram of bucket g are from ``gram_buckets[g]`` on.
    gram_names : uint16 or uint32 [P]
        Rising in each bucket.
    value_buckets : integer [C + 1]
        As ``gram_buckets``, of the next two.
    value_marks : uint8 [V]
        The next eight bits of the hash of a value.
    value_keys : uint32 [V]
        A key that has the value.
    """

    names: NDArray[Any]
    name_mass: NDArray[np.uint16]
    gram_buckets: NDArray[Any]
    gram_names: NDArray[Any]
    value_buckets: NDArray[Any]
    value_marks: NDArray[np.uint8]
    value_keys: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.names) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))
