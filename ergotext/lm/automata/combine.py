"""Union and intersection of automata."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.automata.explored import DEAD, Explored, InWords, Outlook
from ergotext.lm.protocols import Automaton, Demanding, Ending
from ergotext.support.arrays import Ints

FAR = 1 << 20
"""A part that is dead comes to no end."""
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
    pad, end = _padding_and_end(parts)

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

    def least(states: States) -> int:
        live = [(p, s) for p, s in zip(parts, states, strict=True) if s != DEAD]
        each = [int(part.least(np.array([state]))[0]) for part, state in live]
        return min(each, default=0) if either else max(each, default=0)

    def behind(states: States, tokens: Ints) -> Ints:
        many = [np.full(len(tokens), state) for state in states]
        after = [p.advance(s, tokens) for p, s in zip(parts, many, strict=True)]
        each = np.stack([p.least(s) for p, s in zip(parts, after, strict=True)])
        alive = np.stack(after) != DEAD
        bound: Ints = np.where(alive, each, FAR).min(axis=0) if either else each.max(axis=0)
        return bound

    def ending(states: States, token: int | None) -> tuple[int, ...] | None:
        after = states if token is None else follow(states, token)
        pairs = [(p, s) for p, s in zip(parts, after, strict=True) if s != DEAD]
        known = [p.ending(s) for p, s in pairs if isinstance(p, Ending)]
        found = [one for one in known if one is not None]
        if not either:
            found = [one for one in found if all(_ends(p, s, one) for p, s in pairs)]
        return min(found, key=len, default=None)

    starts = tuple(int(part.start(1)[0]) for part in parts)
    kinds = next((part.kinds for part in parts if isinstance(part, Ending)), None)
    outlook = Outlook(least, behind, ending, kinds)
    recipe = (union if either else intersection), tuple(parts)
    asked = _any_of(parts) if either else _all_of(parts)
    return Explored(end, pad, starts, follow, ways, outlook, recipe, asked)


def _any_of(parts: Sequence[Automaton]) -> InWords[States]:
    """What a union asks: one demand, if each of its parts can say what it asks."""
    each = [part.demands() if isinstance(part, Demanding) else [] for part in parts]
    return InWords([", or ".join(map(" and ".join, each))] if all(each) else [])


def _all_of(parts: Sequence[Automaton]) -> InWords[States]:
    """What an intersection asks: the demands of its parts, as far as they can say them."""
    telling = [(n, part) for n, part in enumerate(parts) if isinstance(part, Demanding)]

    def unmet(states: States) -> list[bool]:
        each = [part.unmet(np.array([states[n]]))[0] for n, part in telling]
        return [bool(missing) for one in each for missing in one]

    return InWords([demand for _, part in telling for demand in part.demands()], unmet)


def _padding_and_end(parts: Sequence[Automaton]) -> tuple[int, int]:
    """The tokens that all parts share; InputError if they are of different vocabularies."""
    if not parts:
        raise InputError("no automaton to combine: give at least one")
    # A part that says nothing of its padding takes that of the others.
    pads = [int(pad[0]) for part in parts if len(pad := _tokens(part, DEAD))]
    ends = [part.end for part in parts]
    known = [_fingerprint(part) for part in parts]
    tokenizers = [fingerprint for fingerprint in known if fingerprint]
    for name, which in (("end tokens", ends), ("paddings", pads), ("tokenizers", tokenizers)):
        if len(set(which)) > 1:
            raise InputError(
                f"the automata have different {name} ({', '.join(map(str, which))}): build them "
                "for the same vocabulary"
            )
    return pads[0] if pads else ends[0], ends[0]


def _ends(part: Automaton, state: int, ending: tuple[int, ...]) -> bool:
    """Whether the part takes these tokens from a state to an end."""
    states = np.array([state])
    for token in (*ending, part.end):
        states = part.advance(states, np.array([token]))
    return bool(states[0] != DEAD)


def _fingerprint(part: Automaton) -> str:
    """That of the tokenizer which a trie was built with; empty where none is known."""
    return str(getattr(getattr(part, "alphabet", None), "fingerprint", ""))


def _tokens(part: Automaton, state: int) -> Ints:
    return part.candidates(np.array([state]))[1]
