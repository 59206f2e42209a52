"""Numeric features of questions, subjects and keys for the look-ahead network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ergotext.tasks.retrieval.lookahead.words import Words

SUBJECT = "\x00"
"""Stands in a question where its subject stood."""
PADDING, UNKNOWN, SUBJECT_ID, FIRST = 0, 1, 2, 3
BEFORE, QUESTION, PREDICATE, VALUE, NAME, MEANING = 32, 64, 24, 12, 8, 10
"""Most characters that are read: before the subject, of the question, of a predicate, …"""
EXTRA = 6


class Key(NamedTuple):
    """An entry that may answer: a predicate of the subject, one of its values, and a meaning."""

    predicate: str
    value: str
    meaning: str


class Asked(NamedTuple):
    """A question about one of the subjects that it may be about, and that subject's entries."""

    rest: str
    """the question with ``SUBJECT`` where the subject stood"""
    name: str
    keys: list[Key]


class Letters(NamedTuple):
    """Texts [n, L]: their characters as numbers, and the number of the word that each is in."""

    ids: Tensor
    words: Tensor

    def to(self, device: torch.device) -> Letters:
        """The same on a device."""
        return Letters(self.ids.to(device), self.words.to(device))

    @property
    def there(self) -> Tensor:
        """bool [n, L]: what is no padding."""
        return self.ids != PADDING


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts as numbers.

    ``question`` [G, ·] and ``name`` [G, ·] of each subject asked about; ``predicate``, ``value``
    and ``meaning`` [N, ·] of each key, ``group`` [N] the subject it belongs to; ``equal`` bool
    [N, P, Q]: where a predicate's character is the question's; ``extra`` float [N, EXTRA].
    """

    question: Letters
    name: Letters
    predicate: Letters
    value: Letters
    meaning: Letters
    group: Tensor
    equal: Tensor
    extra: Tensor

    def to(self, device: torch.device) -> Texts:
        """The same on a device."""
        return Texts(*(one.to(device) for one in vars(self).values()))


def texts_of(
    asked: Iterable[Asked], numbers: Mapping[str, int], words: Words | None = None
) -> Texts:
    """The texts of some subjects and all of their keys; ``numbers`` are those of characters."""
    groups = list(asked)
    keys = [key for one in groups for key in one.keys]
    group = torch.tensor([n for n, one in enumerate(groups) for _ in one.keys])
    windows = [_window(one.rest) for one in groups]
    predicates = [key.predicate[:PREDICATE] for key in keys]
    points = [
        _padded([list(map(ord, t)) or [-1] for t in texts]) for texts in (windows, predicates)
    ]
    equal = points[1][:, :, None] == points[0][group][:, None, :]
    extra = [
        _extra(windows[n], groups[n].name, key) for n, key in zip(group.tolist(), keys, strict=True)
    ]

    def read(texts: Sequence[str]) -> Letters:
        ids = _padded([[numbers.get(c, UNKNOWN) for c in t] or [UNKNOWN] for t in texts])
        if not words:
            return Letters(ids, torch.zeros_like(ids))
        return Letters(ids, _padded([words.numbers(text) or [0] for text in texts]))

    return Texts(
        read(windows),
        read([one.name[-NAME:] for one in groups]),
        read(predicates),
        read([key.value[:VALUE] for key in keys]),
        read([key.meaning[-MEANING:] for key in keys]),
        group,
        equal & (points[1] > 0)[:, :, None],
        torch.tensor(extra).reshape(len(keys), EXTRA),
    )


def _padded(rows: list[list[int]]) -> Tensor:
    width = max(map(len, rows), default=0)
    return torch.tensor([row + [PADDING] * (width - len(row)) for row in rows])


def _window(rest: str) -> str:
    return rest[max(0, rest.find(SUBJECT) - BEFORE) :][:QUESTION]


def _extra(window: str, name: str, key: Key) -> list[float]:
    shared = sum(c in window for c in key.predicate) / max(1, len(key.predicate))
    return [
        shared,
        float(key.predicate in window),
        len(key.predicate[:PREDICATE]) / 4 - 1,
        len(name) / 4 - 1,
        float(key.meaning != ""),
        sum(c in window for c in set(key.meaning)) / 6,
    ]
