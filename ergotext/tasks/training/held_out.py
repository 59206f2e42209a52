"""Part the questions of a file: to train on, to choose by, and to score in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b

from ergotext.errors import InputError
from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import Question

SHARE = 0.3
"""Share of the questions that is held out, half to choose by and half to score."""
FEWEST = 20
"""Questions with an answer of which some can be held out: of fewer, nothing is learned or known."""
FEWEST_DEV = 2
"""Dev questions with an answer: one to choose by and one to score."""


def parted(
    asked: Sequence[Question], shares: Sequence[float], *, trained: bool = True
) -> tuple[list[Question], list[list[Question]]]:
    """Questions without some parts of them, and these parts; each in the order of the file.

    Which part a question is in, a hash of its text says. Questions without an answer are parted in
    the same shares.

    Parameters
    ----------
    asked : sequence of Question
    shares : sequence of float
        How much of all questions each part holds at least.
    trained : bool
        Whether the rest is trained on. Then all questions about a subject are in one part, by the
        hash of the subject, or what is scored would have been learned.
    """
    taken: list[list[int]] = [[] for _ in shares]
    rest: list[int] = []
    for known in (True, False):
        about: dict[str, list[int]] = defaultdict(list)
        for number, one in enumerate(asked):
            if (one.answer is not None) == known:
                by = one.answer.subject if one.answer is not None and trained else one.text
                about[by].append(number)
        count = sum(map(len, about.values()))
        names = sorted(about, key=lambda name: blake2b(name.encode()).digest())
        for part, share in zip(taken, shares, strict=True):
            before = len(part)
            while names and len(part) - before < share * count:
                part += about.pop(names.pop())
        rest += [number for numbers in about.values() for number in numbers]
    left, *parts = ([asked[number] for number in sorted(some)] for some in (rest, *taken))
    return left, parts


def check_enough(asked: Sequence[Question], path: object, fewest: int) -> None:
    """InputError if fewer than so many questions have an answer."""
    known = sum(one.answer is not None for one in asked)
    if known < fewest:
        advice = "" if fewest == FEWEST_DEV else ", or dev questions in another file (dev)"
        raise InputError(
            f"{path} has {counted(known, 'question')} with an answer: to choose by some and score "
            f"others takes {fewest}; give {fewest - known} more{advice}"
        )
