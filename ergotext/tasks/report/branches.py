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
    probability : float
        Of its token after the question and what was written, among all tokens that the model has.
    share : float
        The same among the branches that are open.
    entries : int
        Entries of the index below it.
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
    automaton = trie if group.paths is None else RestrictedKeys(trie, group.paths, 1)
    state, first = automaton.start(1), torch.tensor([0])
    steps: list[PathStep] = []
    for written, token in enumerate([*key, trie.end]):
        _, tokens, after = automaton.candidates(state)
        rows = torch.zeros(len(tokens), dtype=torch.int64)
        law = decoding.logits(rows, torch.tensor(tokens)) - decoding.log_z()[rows]
        plain = automaton.plain if isinstance(automaton, RestrictedKeys) else _same
        at = int(np.flatnonzero(tokens == token)[0])
        text = _added(trie, key[:written], token)
        step = PathStep(text, float(law[at]), open=len(tokens))
        if len(tokens) > 1:
            shown = _branches(trie, key[:written], tokens, plain(after), law.numpy(), at)
            every = len(trie.candidates(plain(state))[1])
            step = replace(step, branches=shown, every=every)
        steps.append(step)
        state = after[at : at + 1]
        if written < len(key):
            decoding = decoding.advance(first, torch.tensor([token]))
    return _joined(steps)


def _same(states: Ints) -> Ints:
    return states


def _branches(
    trie: TokenTrie, written: Sequence[int], tokens: Ints, states: Ints, law: Floats, taken: int
) -> list[Branch]:
    total = float(np.logaddexp.reduce(law))
    order = np.argsort(-law, kind="stable")[:SHOWN].tolist()
    if taken not in order:
        order[-1] = taken
    low, high = trie.span(states)
    return [
        Branch(
            _added(trie, written, int(tokens[at])),
            math.exp(law[at]),
            math.exp(law[at] - total),
            int(high[at] - low[at]),
            at == taken,
        )
        for at in order
    ]


def _added(trie: TokenTrie, written: Sequence[int], token: int) -> str:
    """What a token adds to what is written; tabs are shown as bars."""
    if token == trie.end:
        return END
    assert trie.tokenizer is not None
    before, after = (trie.tokenizer.decode([*written, *more]) for more in ((), (token,)))
    text = after[len(before) :] if after.startswith(before) else trie.tokenizer.decode([token])
    return text.replace("\t", " | ")


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
