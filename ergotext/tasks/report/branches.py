"""The way to an entry through the trie: at each fork, how probable its branches are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.retrieval.readers import QuestionReader
from ergotext.tasks.retrieval.request import QuestionGroup

SHOWN = 5
"""Branches of a fork that are shown at most, the one that was taken among them."""
END = "(end)"


@dataclass(frozen=True)
class Branch:
    """A way on from a fork.

    Parameters
    ----------
    text : str
        Of its token, and of those after it up to the next fork.
    probability : float
        Of its token after the question and what was written, among all tokens that the model has.
    share : float
        The same among the branches that are open.
    entries : int
        Entries of the index that begin so.
    taken : bool
    """

    text: str
    probability: float
    share: float
    entries: int
    taken: bool


@dataclass(frozen=True)
class PathStep:
    """A fork with the branch that was taken; or some tokens in a row without any choice.

    Parameters
    ----------
    text : str
        What is written.
    log_prob : float
        Of it, in nats.
    branches : sequence of Branch
        The likeliest, and the one that was taken; none where there was no choice.
    open : int
        Branches that lead to a candidate of the question.
    every : int
        All branches of the index there.
    """

    text: str
    log_prob: float
    branches: Sequence[Branch] = ()
    open: int = 1
    every: int = 1

    @property
    def probability(self) -> float:
        """Of what is written."""
        return math.exp(self.log_prob)


def key_path(
    reader: QuestionReader, trie: TokenTrie, group: QuestionGroup, key: Sequence[int]
) -> list[PathStep]:
    """The steps to a key of the trie, for a group of one question.

    Their log-probabilities add up to log p(key, end | question).
    """
    decoding = reader.read(group.encoded)
    way = _Way(trie, trie if group.paths is None else RestrictedKeys(trie, group.paths, 1))
    state, first = way.automaton.start(1), torch.tensor([0])
    steps: list[PathStep] = []
    for written, token in enumerate([*key, trie.end]):
        _, tokens, after = way.automaton.candidates(state)
        rows = torch.zeros(len(tokens), dtype=torch.int64)
        law = decoding.logits(rows, torch.tensor(tokens)) - decoding.log_z()[rows]
        at = int(np.flatnonzero(tokens == token)[0])
        step = PathStep(_added(trie, key[:written], [token]), float(law[at]), open=len(tokens))
        if len(tokens) > 1:
            shown = way.branches(key[:written], tokens, after, law.numpy(), at)
            every = len(trie.candidates(way.plain(state))[1])
            step = replace(step, branches=shown, every=every)
        steps.append(step)
        state = after[at : at + 1]
        if written < len(key):
            decoding = decoding.advance(first, torch.tensor([token]))
    return _joined(steps)


@dataclass(frozen=True, eq=False)
class _Way:
    """A trie, and the part of it that is open."""

    trie: TokenTrie
    automaton: TokenTrie | RestrictedKeys

    def plain(self, states: Ints) -> Ints:
        """The states of the trie."""
        part = self.automaton
        return part.plain(states) if isinstance(part, RestrictedKeys) else states

    def branches(
        self, written: Sequence[int], tokens: Ints, after: Ints, law: Floats, taken: int
    ) -> list[Branch]:
        """The likeliest, and the one that is taken."""
        total = float(np.logaddexp.reduce(law))
        order = np.argsort(-law, kind="stable")[:SHOWN].tolist()
        if taken not in order:
            order[-1] = taken
        found = []
        for at in order:
            bound, state = self._bound(int(tokens[at]), after[at : at + 1])
            low, high = self.trie.span(self.plain(state))
            found.append(
                Branch(
                    _added(self.trie, written, bound),
                    math.exp(law[at]),
                    math.exp(law[at] - total),
                    int(high[0] - low[0]),
                    at == taken,
                )
            )
        return found

    def _bound(self, token: int, state: Ints) -> tuple[list[int], Ints]:
        """A token, and those after it up to the next fork, or the end; and the state there."""
        found = [token]
        while found[-1] != self.trie.end and len(found) <= self.trie.longest:
            _, tokens, after = self.automaton.candidates(state)
            if len(tokens) != 1:
                break
            found.append(int(tokens[0]))
            state = after
        return found, state


def _added(trie: TokenTrie, written: Sequence[int], tokens: Sequence[int]) -> str:
    """What tokens add to what is written; tabs are shown as bars."""
    assert trie.tokenizer is not None
    ended = tokens[-1] == trie.end
    new = tokens[:-1] if ended else tokens
    before, after = (trie.tokenizer.decode([*written, *more]) for more in ((), new))
    text = after[len(before) :] if after.startswith(before) else trie.tokenizer.decode([*new])
    return text.replace("\t", " | ") + (" " * bool(text) + END) * ended


def _joined(steps: Sequence[PathStep]) -> list[PathStep]:
    """The same with steps without a choice in one."""
    found: list[PathStep] = []
    for step in steps:
        if found and not step.branches and not found[-1].branches:
            gap = " " if step.text == END else ""
            last = found.pop()
            step = PathStep(last.text + gap + step.text, last.log_prob + step.log_prob)
        found.append(step)
    return found
