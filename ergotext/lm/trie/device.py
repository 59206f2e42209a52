"""Walk a trie on a GPU: fixed shapes, no host synchronisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ergotext.lm.trie.header import IndexFileError
from ergotext.lm.trie.states import DEAD, ROOT
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.reprs import called, safe


class DeviceTrie:
    """A copy of a trie as tensors, stepped where the model runs.

    States are those of the trie (``TrieStates``), int64 tensors. Nothing in a step depends on
    values that only the device knows: candidates come padded to a width that the caller names.
    A row that has read d tokens needs a width of ``widths[d]``; beyond the last, 1.

    Parameters
    ----------
    trie : TokenTrie
    device : torch.device or str

    Raises
    ------
    IndexFileError
        The trie is damaged: a step would read outside of its arrays.

    Notes
    -----
    It takes up what the trie does but for the objects: tokens stay 16 bits wide where they are,
    and states are int32 where they fit.

    References
    ----------
    "STATIC" (arXiv 2602.22647), for padded gathers with a bound for each level.
    """

    def __init__(self, trie: TokenTrie, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        settled(trie)
        self.alphabet = trie.alphabet
        self.nodes, self.finished, self.longest = trie.nodes, trie.finished, trie.longest
        self.widths = level_widths(trie)
        """most children of a node, for each number of tokens read"""
        self.width = max(self.widths)
        """most children of any node"""
        self._tails = len(trie.tail)
        if not self._sound(trie):
            raise IndexFileError(
                "this trie is damaged: it contains invalid tokens or states; verify its file, and "
                "build it again"
            )
        # One more at the end of each, so that there is something to read where there is nothing.
        pad = trie.alphabet.pad
        self._first = self._copied(trie.first, len(trie.token))
        self._token = self._copied(trie.token, pad)
        self._target = self._copied(trie.target, 0)
        self._tail = self._copied(trie.tail, pad)

    @safe
    def __repr__(self) -> str:
        return called("DeviceTrie", f"{self.nodes:,} nodes", str(self.device))

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        held = (self._first, self._token, self._target, self._tail)
        return sum(tensor.nbytes for tensor in held)

    def start(self, count: int) -> Tensor:
        """int64 [count]: the root, once a row."""
        return torch.full((count,), ROOT, dtype=torch.int64, device=self.device)

    def candidates(self, states: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Every way on from the states.

        Parameters
        ----------
        states : int64 [B]
        width : int
            W, at least the number of ways on from any of the states: ``widths[depth]``, or
            ``self.width`` for any.

        Returns
        -------
        tokens : int64 [B, W]
            Sorted; padding after the last.
        following : int64 [B, W]
            The next state; after the last, -1. A finished state leads to itself by padding.

        Raises
        ------
        RuntimeError
            A state has more ways on than ``width``. On a GPU the error comes at the next
            synchronisation, as that of an index out of bounds does: none is ever left out in
            silence.
        """
        tokens, following, _ = self._ways(states, width)
        return tokens, following

    def advance(self, states: Tensor, tokens: Tensor) -> Tensor:
        """int64 [B]: each state after one token; -1 where no key continues with it."""
        inner, low, count = self._edges(states)
        stop = (low + count - 1).clamp(min=0)
        high = low + count
        for _ in range(self.width.bit_length()):
            middle = torch.minimum((low + high) // 2, stop)
            right = (self._read(self._token, middle) < tokens) & (low < high)
            low, high = torch.where(right, middle + 1, low), torch.where(right, high, middle)
        edge = torch.minimum(low, stop)
        found = inner & (count > 0) & (self._read(self._token, edge) == tokens)
        token, following = self._single(states)
        single = torch.where(~inner & (token == tokens), following, DEAD)
        return torch.where(found, self._read(self._target, edge), single)

    def mask(self, states: Tensor, width: int | None = None) -> Tensor:
        """bool [B, V]: the tokens that may follow; V is the size of the alphabet.

        ``width`` as for ``candidates``; any state if not given.
        """
        tokens, _, real = self._ways(states, self.width if width is None else width)
        size = self.alphabet.size
        dense = torch.zeros(len(states), size + 1, dtype=torch.bool, device=self.device)
        dense.scatter_(1, torch.where(real, tokens, size), True)
        return dense[:, :size]

    def accepting(self, states: Tensor) -> Tensor:
        """bool [B]: whether the tokens read are a key, its end token read or yet to be."""
        end = torch.full_like(states, self.alphabet.end)
        return (states >= self.finished) | (self.advance(states, end) >= self.finished)

    def _sound(self, trie: TokenTrie) -> bool:
        """Whether no step leads outside of the arrays, or to more ways on than the widths say."""
        children = np.diff(trie.first.astype(np.int64))
        last = self.finished + self._tails - 1
        tokens = [a for a in (trie.token, trie.tail) if len(a)]
        return (
            bool((children >= 0).all())
            and int(children.max(initial=0)) <= self.width
            and all(int(a.max()) < self.alphabet.size for a in tokens)
            and int(trie.target.max(initial=0)) <= max(last, 0)
        )

    def _ways(self, states: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, next states and which of them are real, all [B, W]."""
        inner, low, count = self._edges(states)
        torch._assert_async(
            (count <= width).all(), f"a state has more ways on than the width of {width}"
        )
        place = torch.arange(width, device=self.device)
        many = inner[:, None] & (place < count[:, None])
        edge = torch.where(many, low[:, None] + place, len(self._token) - 1)
        one, its_following = self._single(states)
        single = ~inner[:, None] & (place == 0)
        tokens = torch.where(single, one[:, None], self._read(self._token, edge))
        target = torch.where(many, self._read(self._target, edge), DEAD)
        following = torch.where(single, its_following[:, None], target)
        return tokens, following, many | single

    def _edges(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which states are inner nodes; the first edge of each, and how many it has."""
        inner = (states >= 0) & (states < self.nodes)
        node = torch.where(inner, states, 0)
        low, high = self._read(self._first, node), self._read(self._first, node + 1)
        last = len(self._token) - 1
        low, high = low.clamp(0, last), high.clamp(0, last)
        return inner, low, torch.where(inner, high - low, 0).clamp(min=0)

    def _single(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [B] each: the one token that follows a tail state or a sink, and the next state."""
        lone = (states >= self.nodes) & (states < self.finished)
        position = torch.where(lone, states - self.nodes, self._tails)
        token = self._read(self._tail, position)
        last = token == self.alphabet.end
        following = states + torch.where(last, self._tails, 1)
        return token, torch.where(lone, following, states)

    def _copied(self, array: NDArray[Any], behind: int) -> Tensor:
        """The array and one more number; 16 bits wide, or 32 where that is enough, or 64."""
        whole = np.append(array, array.dtype.type(behind))
        if whole.dtype == np.uint16:
            return torch.from_numpy(whole.view(np.int16)).to(self.device)
        narrow = int(whole.max(initial=0)) < 2**31
        return torch.from_numpy(whole.astype(np.int32 if narrow else np.int64)).to(self.device)

    @staticmethod
    def _read(numbers: Tensor, at: Tensor) -> Tensor:
        """int64: the numbers at these places; int16 ones are without sign in truth."""
        read = numbers[at].long()
        return read & 0xFFFF if numbers.dtype == torch.int16 else read


def level_widths(trie: TokenTrie) -> tuple[int, ...]:
    """Maximum number of transitions of a state, by tokens read so far; at least 1."""
    widths: list[int] = []
    low, high = 0, 1
    while low < high and len(widths) < max(trie.longest, 1):
        begin, stop = trie.edges(np.arange(low, high, dtype=np.int64))
        widths.append(max(int((stop - begin).max()), 1))
        below = trie.target[int(begin[0]) : int(stop[-1])]
        low, high = high, min(high + int((below < trie.nodes).sum()), trie.nodes)
    return (*widths, 1)
