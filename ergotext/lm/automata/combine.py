"""Sequences that one of several automata accepts, or all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ergotext.lm.automata.explored import DEAD, Explored
from ergotext.lm.protocols import Automaton, InputError
from ergotext.lm.ragged import Ints

States = tuple[int, ...]
"""The state of each part."""


def union(*parts: Automaton) -> Explored[States]:
    """The sequences that at least one of the automata accepts.

    Positions are kept as they are found: the parts must not change any more.

    Raises
    ------
    InputError
        No automaton is given, or their end tokens, paddings or tokenizers differ.
    """
    return _combined(parts, either=True)


def intersection(*parts: Automaton) -> Explored[States]:
    """The sequences that every one of the automata accepts.

    A beginning that each of them could go on with, but no two in the same way, is a dead end that
    shows when it is reached. Positions are kept as they are found: the parts must not change any
    more.

    Raises
    ------
    InputError
        No automaton is given, or their end tokens, paddings or tokenizers differ.
    """
    return _combined(parts, either=False)


def _combined(parts: Sequence[Automaton], either: bool) -> Explored[States]:
    if not parts:
        raise InputError("There is nothing to combine: give at least one automaton.")
    pads = [int(_tokens(part, DEAD)[0]) for part in parts]
    ends = [part.end for part in parts]
    known = [_fingerprint(part) for part in parts]
    tokenizers = [fingerprint for fingerprint in known if fingerprint]
    for name, which in (("end tokens", ends), ("paddings", pads), ("tokenizers", tokenizers)):
        if len(set(which)) > 1:
            raise InputError(
                f"The automata have different {name} ({', '.join(map(str, which))}): make them "
                f"for one vocabulary."
            )
    end = parts[0].end

    def follow(states: States, token: int) -> States:
        along = zip(parts, states, strict=True)
        return tuple(int(p.advance(np.array([s]), np.array([token]))[0]) for p, s in along)

    def ways(states: States) -> tuple[Ints, bool]:
        live = [(p, s) for p, s in zip(parts, states, strict=True) if s != DEAD]
        rows = [_tokens(part, state) for part, state in live]
        agreeing = np.bincount(np.concatenate(rows), minlength=end + 1)
        allowed = agreeing >= (1 if either else len(parts))
        may_end = bool(allowed[end])
        allowed[end] = False
        return np.flatnonzero(allowed), may_end

    starts = tuple(int(part.start(1)[0]) for part in parts)
    return Explored(end, pads[0], starts, follow, ways)


def _fingerprint(part: Automaton) -> str:
    """That of the tokenizer which a trie was built with; empty where none is known."""
    return str(getattr(getattr(part, "alphabet", None), "fingerprint", ""))


def _tokens(part: Automaton, state: int) -> Ints:
    return part.candidates(np.array([state]))[1]
