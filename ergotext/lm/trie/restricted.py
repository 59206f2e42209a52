"""Restrict a trie to some keys for each input, with the best potential among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.trie.lookahead import Maxima
from ergotext.lm.trie.states import DEAD, ROOT
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.arrays import Floats, Ints
from ergotext.support.words import counted


@dataclass(frozen=True, eq=False)
class Paths:
    """Edges of a trie, with the inputs that may take each.

    Parameters
    ----------
    input, node, token, target : int64 [E]
        That input may go from the inner node with the token to the target. Of a node that has any
        edge here, or is the root, the input may take no other; of any other node, all.
    """

    input: Ints
    node: Ints
    token: Ints
    target: Ints


class RestrictedKeys(AutomatonBase):
    """The keys of a trie that go along the paths of an input (``lm.protocols.Automaton``).

    Row i of ``start`` belongs to input i. A state is that of the trie and, above it, the number of
    the input, so that wide nodes on the way to what is allowed are never listed.

    Parameters
    ----------
    trie : TokenTrie
    paths : Paths
    inputs : int
    """

    def __init__(self, trie: TokenTrie, paths: Paths, inputs: int) -> None:
        self.trie = settled(trie)
        self.inputs = inputs
        self._stride = trie.finished + len(trie.tail)
        inner = paths.node < trie.nodes  # a tail continues in one way in any case
        at = (paths.input * self._stride + paths.node)[inner]
        token, target = paths.token[inner], paths.target[inner]
        order = np.lexsort([token, at])
        at, self._token = at[order], token[order]
        self._target = (paths.input[inner] * self._stride + target)[order]
        self._heads = np.union1d(at, np.arange(inputs) * self._stride + ROOT)
        head = np.searchsorted(self._heads, at)
        self._first = offsets_of(np.bincount(head, minlength=len(self._heads)))
        self._edge = head * trie.alphabet.size + self._token

    @property
    def end(self) -> int:
        return self.trie.end

    def plain(self, states: Ints) -> Ints:
        """int64 [B]: the states of the trie."""
        return np.where(states < 0, DEAD, states % self._stride)

    def start(self, count: int) -> Ints:
        if count != self.inputs:
            raise InputError(
                f"this automaton was built for {counted(self.inputs, 'input')}, not {count}: build "
                "one for the rows that are searched"
            )
        return np.arange(count, dtype=np.int64) * self._stride + ROOT

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        head, on = self._on_path(states)
        off = np.flatnonzero(~on)
        row, token, following = self.trie.candidates(self.plain(states[off]))
        row = off[row]
        following = self._of_input(states[row], following)
        if not on.any():
            return row, token, following
        low, high = self._first[head[on]], self._first[head[on] + 1]
        edge = spread(low, high - low)
        rows = np.concatenate([row, np.repeat(np.flatnonzero(on), high - low)])
        order = np.argsort(rows, kind="stable")
        tokens = np.concatenate([token, self._token[edge]])
        return rows[order], tokens[order], np.concatenate([following, self._target[edge]])[order]

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        head, on = self._on_path(states)
        off = ~on
        after = np.full(len(states), DEAD, dtype=np.int64)
        after[off] = self._of_input(
            states[off], self.trie.advance(self.plain(states[off]), tokens[off])
        )
        known = (tokens >= 0) & (tokens < self.trie.alphabet.size)
        rows = np.flatnonzero(on & known)
        wanted = head[rows] * self.trie.alphabet.size + tokens[rows]
        edge = np.searchsorted(self._edge, wanted).clip(0, max(len(self._edge) - 1, 0))
        if len(self._edge):
            found = self._edge[edge] == wanted
            after[rows[found]] = self._target[edge[found]]
        return after

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        end = np.full(len(states), self.end, dtype=np.int64)
        finished = self.trie.finished
        whole: NDArray[np.bool_] = self.plain(states) >= finished
        return whole | (self.plain(self.advance(states, end)) >= finished)

    def least(self, states: Ints) -> Ints:
        """int64 [B]: lower bound on the remaining tokens."""
        return self.trie.least(self.plain(states))

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        return self.trie.lone(self.plain(states))

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        return self.trie.rest(self.plain(states))

    def _on_path(self, states: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """The place of each state among the heads, and whether it is one of them."""
        head = np.searchsorted(self._heads, states).clip(0, max(len(self._heads) - 1, 0))
        return head, self._heads[head] == states if len(self._heads) else states != states

    def _of_input(self, states: Ints, following: Ints) -> Ints:
        """The next states of the trie, as states of the inputs that ``states`` belong to."""
        return np.where(following < 0, DEAD, states // self._stride * self._stride + following)


class BestAmong:
    """The potential of a state is the highest of the keys below it that have one for the input.

    As ``BestKey``, for potentials of few keys of each input: memory grows with them, and not with
    the trie. A key without a potential has -inf, and is never found.

    Parameters
    ----------
    automaton : TokenTrie or Within
        What is searched.
    ordinals : sequence of int64 [n]
        For each input the keys that have a potential, in sorted order.
    potentials : sequence of float64 [n]
        In nats.

    Raises
    ------
    InputError
        A potential is NaN, or not one a key.
    """

    bound = True

    def __init__(
        self,
        automaton: TokenTrie | RestrictedKeys,
        ordinals: Sequence[Ints],
        potentials: Sequence[Floats],
    ) -> None:
        self.automaton = automaton
        self._trie = automaton.trie if isinstance(automaton, RestrictedKeys) else settled(automaton)
        for number, (keys, values) in enumerate(zip(ordinals, potentials, strict=True), 1):
            if values.shape != keys.shape or np.isnan(values).any():
                raise InputError(
                    f"input {number} has {len(keys)} keys and potentials of shape {values.shape}, "
                    f"of which {int(np.isnan(values).sum())} are NaN: give one number per key, "
                    "-inf for keys to be excluded"
                )
        size = len(self._trie)
        each = [number * size + keys for number, keys in enumerate(ordinals)]
        self._keys = np.concatenate([np.zeros(0, dtype=np.int64), *each])
        self._maxima = Maxima(np.concatenate([np.zeros(0), *potentials])[None])

    def __call__(self, inputs: Ints, states: Ints) -> Floats:
        """float64 [n]: the best potential below each state; -inf where no key has one."""
        plain = (
            self.automaton.plain(states) if isinstance(self.automaton, RestrictedKeys) else states
        )
        low, high = (inputs * len(self._trie) + bound for bound in self._trie.span(plain))
        begin, stop = np.searchsorted(self._keys, low), np.searchsorted(self._keys, high)
        return self._maxima(np.zeros_like(begin), begin, stop)
