"""Dead prefixes: a tree of what an automaton refused, so that it is not proposed again.

>>> memory = DeadPrefixes()
>>> token, alive = memory.draw(draws, prefixes, log_prob, allowed)  # again, until all have ended
>>> memory.learn(prefix)  # a refused token came after it
>>> memory.log_left  # log of the model's mass that is not known to be dead
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ergotext.samplers.draws import Draws

Prefix = tuple[int, ...]

LIMIT = 100_000
"""Prefixes that are remembered, about 30 MB; then nothing more is learned."""


@dataclass(eq=False, slots=True)
class _Node:
    """A prefix of which every refused next token is known."""

    log_p: float
    """of its last token given those before"""
    log_left: float = 0.0
    """of the share of its mass that is not known to be dead: -inf where all is"""
    after: dict[int, _Node] = field(default_factory=dict)
    """the longer prefixes that are known, by their next token"""


@dataclass(frozen=True, eq=False, slots=True)
class _Visit:
    """The allowed tokens after a prefix that no node stood for when the batch began."""

    drawn: dict[int, float]
    """log p of those drawn in this batch"""
    log_rest: float
    """log of the sum of the others"""


class DeadPrefixes:
    """Draws from a model given that no text known to be refused is written.

    A node is a prefix s whose next tokens the automaton has been asked about. With A(s) those it
    allows, and left = 1 where nothing is known,

        left(s) = Σ_{v ∈ A(s)} p(v | s) · left(sv),    q(v | s) = p(v | s) · left(sv) / left(s).

    The product of q over a text is p(x) / left(root): the model's law given that x is not dead.
    Where all that may follow a prefix is dead, so is the prefix: left is 0, and its parent's sum
    goes without it. Every left is a sum of what remains, in logs, and never 1 minus what was
    removed: nothing cancels, so a text that may be accepted never loses its mass, however little.

    Parameters
    ----------
    limit : int
        Prefixes to remember at most.

    References
    ----------
    Parys et al. 2025, "Constrained adaptive rejection sampling", arXiv 2510.01902; Park et al.
    2024, "Grammar-aligned decoding", arXiv 2405.21047, for the sums over a tree of prefixes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit, self._size = limit, 0
        self._root: _Node | None = None
        self._visits: dict[Prefix, _Visit] = {}

    @property
    def log_left(self) -> float:
        """log of the model's mass that is not known to be dead, in nats; -inf if all is."""
        return 0.0 if self._root is None else self._root.log_left

    def knows(self, prefix: Prefix) -> bool:
        """Whether a refused token after this prefix is known to be one."""
        return self._node(prefix) is not None

    def draw(
        self, draws: Draws, prefixes: Sequence[Prefix], log_prob: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A next token for each prefix, int64 [B], and whether it is allowed, bool [B].

        ``log_prob`` is float64 [B, V], ``allowed`` bool [B, V]. Equal prefixes have equal rows. The
        empty prefix begins a batch: only what is drawn from then on can be learned.
        """
        if () in prefixes:
            self._visits.clear()
        number: dict[Prefix, int] = {}
        group = torch.tensor([number.setdefault(prefix, len(number)) for prefix in prefixes])
        first = torch.tensor([prefixes.index(prefix) for prefix in number])
        score = log_prob[first].masked_fill(~allowed[first], -torch.inf)
        nodes = [self._node(prefix) for prefix in number]
        law = torch.stack([_law(*each) for each in zip(nodes, log_prob[first], score, strict=True)])
        token = draws.categorical(law[group])
        if self._size < self._limit:
            for prefix, i in number.items():
                self._visits[prefix] = _visit(nodes[i], score[i], token[group == i])
        return token, allowed.gather(1, token[:, None])[:, 0]

    def learn(self, prefix: Prefix) -> None:
        """Remember what is refused after this prefix, and after those that it begins with."""
        if self._size == self._limit:
            return
        path: list[_Node] = []
        for length in range(len(prefix) + 1):
            node = self._node(prefix[:length])
            if node is None:
                if self._size == self._limit:
                    break
                self._size += 1
                node = self._attached(path, prefix[:length])
            path.append(node)
        for length in reversed(range(len(path))):
            _sum_up(path[length], self._visits[prefix[:length]])

    def _attached(self, path: list[_Node], prefix: Prefix) -> _Node:
        if not path:
            self._root = _Node(0.0)
            return self._root
        node = _Node(self._visits[prefix[:-1]].drawn[prefix[-1]])
        path[-1].after[prefix[-1]] = node
        return node

    def _node(self, prefix: Prefix) -> _Node | None:
        """The node of a prefix, or that of the dead prefix which it begins with."""
        node = self._root
        for token in prefix:
            if node is None or node.log_left == -math.inf:
                return node
            node = node.after.get(token)
        return node


def _law(node: _Node | None, log_prob: Tensor, score: Tensor) -> Tensor:
    """float64 [V]: q, which is the model's own where nothing is known."""
    if node is None:
        return log_prob.exp()
    score = score.clone()
    for token, after in node.after.items():
        score[token] += after.log_left
    return score.softmax(0)


def _visit(node: _Node | None, score: Tensor, token: Tensor) -> _Visit:
    known = {} if node is None else node.after
    new = sorted(set(token.tolist()) - known.keys())
    drawn = {one: p for one, p in zip(new, score[new].tolist(), strict=True) if p > -math.inf}
    others = score.clone()
    others[[*known, *new]] = -torch.inf
    return _Visit(drawn, float(others.logsumexp(0)))


def _sum_up(node: _Node, visit: _Visit) -> None:
    unknown = [p for token, p in visit.drawn.items() if token not in node.after]
    known = [after.log_p + after.log_left for after in node.after.values()]
    left = torch.tensor([visit.log_rest, *unknown, *known], dtype=torch.float64).logsumexp(0)
    node.log_left = min(0.0, float(left))
    if node.log_left == -math.inf:
        node.after.clear()
