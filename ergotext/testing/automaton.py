"""Check an automaton of one's own by walking it: whether what it says of its states agrees."""

from __future__ import annotations

import numpy as np

from ergotext.lm.protocols import Automaton
from ergotext.support.arrays import Ints
from ergotext.testing.require import require

DEAD = -1
AT_ONCE = 40
"""States that are looked at behind each number of tokens."""


def check_automaton(automaton: Automaton, size: int | None = None, *, most: int = 3) -> None:
    """Check that an automaton's answers agree with each other, on states within some tokens.

    ``candidates`` are distinct and rise; ``advance`` goes exactly where they lead, and is -1
    elsewhere; ``mask`` marks them; ``classes`` part them by where they lead; ``accepting`` holds
    where the end token may follow, and after it; the state after the end token, and the dead one,
    allow padding alone; ``lone`` and ``rest`` are the one way on; ``least`` is never more than the
    tokens that a sequence really takes.

    Parameters
    ----------
    automaton : Automaton
    size : int, optional
        Tokens in the vocabulary; by default those met, and two more.
    most : int
        How many tokens to walk.

    Raises
    ------
    AssertionError
        With a sentence that says what is wrong.
    """
    pad = _padding(automaton)
    size = _size(automaton, most) if size is None else size
    first, ended = automaton.start(2), np.empty(0, dtype=np.int64)
    require(first.dtype == np.int64, f"start must be int64, and is {first.dtype}")
    states = np.append(first, DEAD)
    require(len(states) == 3, f"start(2) must be two states, and is {states[:-1].tolist()}")
    ways: list[tuple[Ints, Ints, Ints]] = []
    for _ in range(most + 1):
        row, token, after = _ways_on(automaton, states, pad, size)
        ended = np.union1d(ended, after[token == automaton.end])
        _check_advance(automaton, states, size)
        _check_mask(automaton, states, size)
        _check_classes(automaton, states, most)
        _check_accepting(automaton, states, ended)
        for sink in (*ended.tolist(), DEAD):
            _check_sink(automaton, sink, pad)
        _check_rest(automaton, states)
        ways.append((states[row], token, after))
        states = np.append(np.unique(after[after >= 0])[:AT_ONCE], DEAD)
    _check_least(automaton, *(np.concatenate(each) for each in zip(*ways, strict=True)))


def _padding(automaton: Automaton) -> int:
    row, token, after = automaton.candidates(np.array([DEAD]))
    alone = row.tolist() == [0] and after.tolist() == [DEAD] and len(token) == 1
    require(alone, f"the dead state -1 must allow padding alone, and allows {token.tolist()}")
    return int(token[0])


def _size(automaton: Automaton, most: int) -> int:
    """Two more than the highest token within so many."""
    states, highest = automaton.start(1), automaton.end
    for _ in range(most + 1):
        _, token, after = automaton.candidates(states)
        highest = max(highest, int(token.max(initial=0)))
        states = np.append(np.unique(after[after >= 0])[:AT_ONCE], DEAD)
    return highest + 3


def _ways_on(automaton: Automaton, states: Ints, pad: int, size: int) -> tuple[Ints, Ints, Ints]:
    row, token, after = automaton.candidates(states)
    whole = row.dtype == token.dtype == after.dtype == np.int64
    require(whole, "candidates must be int64 arrays (row, token, next state)")
    sorted_ = np.array_equal(np.lexsort((token, row)), np.arange(len(row)))
    once = len(set(zip(row.tolist(), token.tolist(), strict=True))) == len(row)
    require(sorted_ and once, "candidates must rise by row and, in it, by token, each token once")
    require(
        bool(((token >= 0) & (token < size)).all()),
        f"candidates has a token outside of the vocabulary of {size}",
    )
    lost = states[row][(after < 0) & (states[row] >= 0)]
    require(not len(lost), f"a candidate of state {lost[:1].tolist()} leads to the dead state")
    padded = token == pad  # which is for sinks alone
    stays = np.array_equal(after[padded], states[row[padded]])
    require(stays, f"padding ({pad}) must lead from a state that has ended to itself")
    alone = [automaton.candidates(states[i : i + 1]) for i in range(len(states))]
    for part, of in zip((token, after), (1, 2), strict=True):
        same = np.array_equal(np.concatenate([one[of] for one in alone]), part)
        require(same, "the candidates of a state must not depend on the other states of a batch")
    return row, token, after


def _check_advance(automaton: Automaton, states: Ints, size: int) -> None:
    row, token, after = automaton.candidates(states)
    ways = np.full((len(states), size), DEAD)
    ways[row, token] = after
    every = np.tile(np.arange(size), len(states))
    to = automaton.advance(np.repeat(states, size), every)
    require(to.dtype == np.int64, f"advance must be int64, and is {to.dtype}")
    to = to.reshape(-1, size)
    for at, by in np.argwhere(to != ways)[:1].tolist():
        raise AssertionError(
            f"advance from state {states[at]} by token {by} leads to {to[at, by]}, and candidates "
            f"say {ways[at, by]}"
        )


def _check_mask(automaton: Automaton, states: Ints, size: int) -> None:
    row, token, _ = automaton.candidates(states)
    for width in (size, size + 2, 2):
        wanted = np.zeros((len(states), width), dtype=np.bool_)
        wanted[row[token < width], token[token < width]] = True
        mask = automaton.mask(states, width)
        fine = mask.shape == wanted.shape and mask.dtype == np.bool_
        require(fine, f"mask(states, {width}) must be bool [{len(states)}, {width}]")
        for at, by in np.argwhere(mask != wanted)[:1].tolist():
            raise AssertionError(
                f"mask is {mask[at, by]} for token {by} in state {states[at]}, and candidates "
                f"allow {token[row == at].tolist()[:9]}"
            )


def _check_classes(automaton: Automaton, states: Ints, most: int) -> None:
    """They hold each candidate once, and all tokens of one lead to what goes on alike."""
    row, token, _ = automaton.candidates(states)
    for again in (False, True):  # the second time they may have been kept
        classes = automaton.classes(states)
        of = np.repeat(classes.row, np.diff(classes.offsets))
        by = np.lexsort((classes.tokens, of))
        whole = np.array_equal(of[by], row) and np.array_equal(classes.tokens[by], token)
        require(whole, f"classes must hold each candidate once{', when asked again' * again}")
        require(bool((np.diff(classes.row) >= 0).all()), "classes must rise by row")
    class_ = np.repeat(np.arange(len(classes.row)), np.diff(classes.offsets))
    to = automaton.advance(states[of], classes.tokens)
    for at in np.flatnonzero(to != classes.after[class_]).tolist():
        one, other = to[at], classes.after[class_[at]]
        require(
            _alike(automaton, one, other, most),
            f"classes put token {classes.tokens[at]} of state {states[of[at]]} with tokens that "
            f"lead to state {other}; it leads to {one}, from which others go on",
        )


def _alike(automaton: Automaton, one: int, other: int, most: int) -> bool:
    """Whether the same sequences go on from two states, within so many tokens."""
    pairs = np.array([[one, other]])
    for _ in range(most + 1):
        (row, token, to), (rows, tokens, there) = (automaton.candidates(of) for of in pairs.T)
        ends, ended = (automaton.accepting(of) for of in pairs.T)
        same = ((row, rows), (token, tokens), (ends, ended))
        if not all(np.array_equal(left, right) for left, right in same):
            return False
        pairs = np.unique(np.stack([to, there], 1), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]][:AT_ONCE]
    return True


def _check_accepting(automaton: Automaton, states: Ints, ended: Ints) -> None:
    row, token, _ = automaton.candidates(states)
    may_end = np.isin(np.arange(len(states)), row[token == automaton.end])
    wanted, says = may_end | np.isin(states, ended), automaton.accepting(states)
    require(says.dtype == np.bool_, f"accepting must be bool, and is {says.dtype}")
    for at in np.flatnonzero(says != wanted)[:1].tolist():
        raise AssertionError(
            f"accepting is {says[at]} in state {states[at]}, where the end token may"
            f"{'' if may_end[at] else ' not'} follow"
        )
    require(bool(automaton.accepting(ended).all()), "a state after the end token must be accepting")


def _check_sink(automaton: Automaton, state: int, pad: int) -> None:
    ways = [way.tolist() for way in automaton.candidates(np.array([state]))]
    require(
        ways == [[0], [pad], [state]],
        f"state {state} has ended or is dead: it must allow padding alone, and allows {ways[1]}",
    )
    require(not automaton.lone(np.array([state])).any(), f"state {state} has ended and is lone")


def _check_rest(automaton: Automaton, states: Ints) -> None:
    """Where a state is lone, no more than its rest goes on from it."""
    lone = automaton.lone(states)
    ids, offsets = automaton.rest(states)
    given = np.array_equal(np.diff(offsets) > 0, lone)
    require(given, "rest must have tokens for exactly the states that are lone")
    for i in np.flatnonzero(lone):
        state = states[i : i + 1]
        for token in ids[offsets[i] : offsets[i + 1]].tolist():
            _, only, after = automaton.candidates(state)
            require(
                only.tolist() == [token],
                f"rest of state {states[i]} goes on with {token}, and candidates allow "
                f"{only.tolist()[:5]}",
            )
            state = after
        closed = ids[offsets[i + 1] - 1] == automaton.end
        require(bool(closed), f"rest of state {states[i]} must close with the end token")


def _check_least(automaton: Automaton, states: Ints, token: Ints, after: Ints) -> None:
    """Never more than the shortest way to an end among those that were walked."""
    far = len(states) + 1
    known, at = np.unique(states, return_inverse=True)
    shortest = np.where(known == DEAD, 0, far)
    np.minimum.at(shortest, at[token == automaton.end], 0)
    to = np.searchsorted(known, after).clip(max=len(known) - 1)
    inner = (known[to] == after) & (token != automaton.end)
    while True:
        before = shortest.copy()
        np.minimum.at(shortest, at[inner], shortest[to[inner]] + 1)
        if np.array_equal(before, shortest):
            break
    least = automaton.least(known)
    for i in np.flatnonzero((least > shortest) & (shortest < far))[:1].tolist():
        raise AssertionError(
            f"least says that state {known[i]} needs {least[i]} tokens or more, and "
            f"{shortest[i]} are enough"
        )
    require(bool((least >= 0).all()), "least must be 0 or more")
