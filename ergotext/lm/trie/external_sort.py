"""External sorting: sorted runs of keys on disk, merged range by range."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from os import SEEK_END
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of
from ergotext.lm.trie.sort import KeyRows, exact_order
from ergotext.support.arrays import Ints

_SAMPLES = 256
"""Keys remembered of each run; a range is off by at most a few of these steps in each run."""

_PARTS = ("ids", "lengths", "objects", "object_lengths")


class Runs:
    """Sorted runs of keys, concatenated in a file.

    Ranges are cut at whole keys, sampled evenly by weight from all runs, whatever order the keys
    came in; equal keys always fall into one range, in the order in which they came.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._runs: list[_Run] = []
        self._samples: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, rows: KeyRows) -> None:
        """Sort these rows and write them down."""
        order, _ = exact_order(rows.ids, rows.offsets)
        rows = rows.take(order)
        self._runs.append(_Run.written(self._file, rows))
        weight = rows.offsets * rows.ids.itemsize + rows.object_offsets
        steps = np.linspace(0, weight[-1], _SAMPLES, endpoint=False)
        for at in np.searchsorted(weight[:-1], steps[1:]).clip(0, len(rows) - 1).tolist():
            self._samples.append(_key(rows.ids, rows.offsets, at))

    def ranges(self) -> Iterator[KeyRows]:
        """The rows of each range in their original order; ranges in sorted order."""
        samples = sorted(self._samples)
        count = len(self._runs)
        splits = sorted({samples[len(samples) * i // count] for i in range(1, count)})
        cuts = [run.cuts(splits) for run in self._runs]
        for i in range(len(splits) + 1):
            yield KeyRows.joined(
                [run.read(*cut[i : i + 2]) for run, cut in zip(self._runs, cuts, strict=True)]
            )


@dataclass(frozen=True)
class _Run:
    """One sorted run: tokens, objects and the lengths of both, and where each begins."""

    file: IO[bytes]
    token: np.dtype[Any]
    count: int
    places: dict[str, int]

    @classmethod
    def written(cls, file: IO[bytes], rows: KeyRows) -> _Run:
        """A run of these rows at the end of the file."""
        lengths = (np.diff(o).astype(np.uint32) for o in (rows.offsets, rows.object_offsets))
        parts: tuple[NDArray[Any], ...] = (rows.ids, next(lengths), rows.objects, next(lengths))
        places = {}
        for name, part in zip(_PARTS, parts, strict=True):
            places[name] = file.seek(0, SEEK_END)
            file.write(part.data)
        file.flush()
        return cls(file, rows.ids.dtype, len(rows), places)

    def cuts(self, splits: list[tuple[int, ...]]) -> list[tuple[int, int, int]]:
        """Start and end of the ranges between ``splits``: row, token and object byte."""
        offsets = offsets_of(self._part("lengths", np.dtype(np.uint32), 0, self.count))
        objects = offsets_of(self._part("object_lengths", np.dtype(np.uint32), 0, self.count))
        place, count = self.places["ids"], int(offsets[-1])
        ids = np.memmap(self.file, dtype=self.token, mode="r", offset=place, shape=count)
        rows = [
            bisect_left(range(self.count), split, key=lambda at: _key(ids, offsets, at))
            for split in splits
        ]
        return [(r, int(offsets[r]), int(objects[r])) for r in (0, *rows, self.count)]

    def read(self, begin: tuple[int, int, int], stop: tuple[int, int, int]) -> KeyRows:
        """The rows between two cuts."""
        sizes = np.dtype(np.uint32)
        return KeyRows(
            self._part("ids", self.token, begin[1], stop[1]),
            offsets_of(self._part("lengths", sizes, begin[0], stop[0])),
            self._part("objects", np.dtype(np.uint8), begin[2], stop[2]),
            offsets_of(self._part("object_lengths", sizes, begin[0], stop[0])),
        )

    def _part(self, name: str, kind: np.dtype[Any], begin: int, stop: int) -> NDArray[Any]:
        self.file.seek(self.places[name] + begin * kind.itemsize)
        return np.fromfile(self.file, dtype=kind, count=stop - begin)


def _key(ids: NDArray[Any], offsets: Ints, at: int) -> tuple[int, ...]:
    return tuple(ids[offsets[at] : offsets[at + 1]].tolist())
