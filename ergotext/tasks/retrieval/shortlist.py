"""Shortlist the keys that questions may mean, with the look-ahead's potentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.trie.restricted import Paths
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.retrieval.candidates import (
    Candidates,
    ManyPotential,
    MentionPotential,
    Potential,
    Spotter,
)


@dataclass(frozen=True)
class Shortlist:
    """Keys that questions may be answered with.

    Parameters
    ----------
    candidates : list of Candidates
        Of each question, maybe none.
    paths : Paths
        The trie paths to them.
    potentials : list of float64 [n], optional
        In nats; None without a look-ahead.
    """

    candidates: list[Candidates]
    paths: Paths
    potentials: list[Floats] | None


def shortlisted(
    spotter: Spotter, questions: Sequence[str], lookahead: Potential | None
) -> Shortlist:
    """The keys whose subjects questions name.

    Subjects that a question misspells or shortens, and keys that it names by a value, are looked
    for where it names nothing else; where it does, only if the look-ahead says which is meant
    (``MentionPotential``) and what it says of the others does not settle the question. Most
    questions are settled, and then neither the names of the index nor further keys are read.

    Raises
    ------
    InputError
        As ``potentials_of``.
    """
    if not isinstance(lookahead, MentionPotential):
        keys, paths = spotter.find(questions, other_letters=True, near="else")
        told = None if lookahead is None else potentials_of(lookahead, questions, keys)
        return Shortlist(keys, paths, told)
    spotted = spotter.spot(questions)
    keys, paths = spotter.candidates(questions, spotted)
    values = potentials_of(lookahead, questions, keys)
    some = [number for number, told in enumerate(values) if not lookahead.settled(told)]
    if some:
        asked = [questions[number] for number in some]
        more, more_paths = spotter.candidates(asked, spotter.nearer(asked, spotted.of(some)))
        known = [_known(one, keys[n], values[n]) for n, one in zip(some, more, strict=True)]
        again = _checked(asked, more, lookahead.many(asked, more, known))
        for number, candidates, potentials in zip(some, more, again, strict=True):
            keys[number], values[number] = candidates, potentials
        paths = _replaced(paths, more_paths, np.array(some))
    return Shortlist(keys, paths, values)


def potentials_of(
    lookahead: Potential, questions: Sequence[str], keys: Sequence[Candidates]
) -> list[Floats]:
    """float64 [n] for each question: what the look-ahead says of its candidates, if it has any.

    Raises
    ------
    InputError
        It says something else than a number a candidate.
    """
    found = [np.zeros(0) for _ in questions]
    some = [number for number, each in enumerate(keys) if len(each)]
    asked = [questions[number] for number in some]
    for number, values in zip(some, _told(lookahead, asked, [keys[n] for n in some]), strict=True):
        found[number] = values
    return found


def _told(
    lookahead: Potential, questions: Sequence[str], keys: Sequence[Candidates]
) -> list[Floats]:
    if isinstance(lookahead, ManyPotential):
        told = lookahead.many(questions, keys)
    else:
        told = [lookahead(*pair) for pair in zip(questions, keys, strict=True)]
    return _checked(questions, keys, told)


def _checked(
    questions: Sequence[str], keys: Sequence[Candidates], told: Sequence[NDArray[np.float64]]
) -> list[Floats]:
    if len(told) != len(questions):
        raise InputError(
            f"the look-ahead returned {len(told)} arrays for {len(questions)} questions; it "
            "must return one for each"
        )
    found = []
    for question, each, given in zip(questions, keys, told, strict=True):
        values = np.asarray(given, dtype=np.float64)
        if values.shape != (len(each),) or not (values < np.inf).all():
            raise InputError(
                f"the look-ahead must return a number, or -inf, for each of {len(each)} "
                f"candidates of {question!r:.60}, got shape "
                f"{values.shape}{', with NaN or inf' if values.shape == (len(each),) else ''}"
            )
        found.append(values)
    return found


def _known(more: Candidates, fewer: Candidates, values: Floats) -> Floats:
    """float64 [n]: the potentials of those candidates that were there before; NaN of others."""
    known = np.full(len(more), np.nan)
    known[np.searchsorted(more.ordinals, fewer.ordinals)] = values
    return known


def _replaced(paths: Paths, more: Paths, some: Ints) -> Paths:
    """The paths of some inputs replaced by those of ``more``, whose inputs are these in order."""
    left = np.flatnonzero(~np.isin(paths.input, some))
    more = replace(more, input=some[more.input])
    parts = zip(vars(paths).values(), vars(more).values(), strict=True)
    return Paths(*(np.concatenate([one[left], other]) for one, other in parts))
