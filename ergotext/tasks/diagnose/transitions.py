"""The first-order Markov chain of a model's texts: returns, inflow, and merged pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.support.arrays import Floats, Ints

Merge = tuple[tuple[int, ...], tuple[int, ...], float]
"""The two parts of a pair and the probability of the second after the first."""
OTHERS: tuple[int, ...] = ()
"""The state of all tokens that were never the last of a context."""


@dataclass(frozen=True, eq=False)
class Contexts:
    """What a model expects next in N contexts.

    Parameters
    ----------
    last : int64 [N]
        The last token of each.
    likely : int64 [N, K]
        The likeliest tokens after it, the end token left out.
    probability : float64 [N, K]
        Theirs, given the whole context.
    ends : float64 [N]
        That of the end token.
    """

    last: Ints
    likely: Ints
    probability: Floats
    ends: Floats

    def mass(self, states: Ints) -> Floats:
        """float64 [N, S + 1]: the probability of each of the sorted ``states``, then of others."""
        count, size = len(self.last), len(states)
        at = np.searchsorted(states, self.likely).clip(max=size - 1)
        place = np.where(states[at] == self.likely, at, size)
        found = np.zeros((count, size + 1))
        np.add.at(found, (np.arange(count)[:, None], place), self.probability)
        found[:, size] = np.clip(1 - self.ends - found[:, :size].sum(1), 0.0, 1.0)
        return found


@dataclass(frozen=True, eq=False)
class Transitions:
    """A chain on tokens that loses what ends.

    Parameters
    ----------
    tokens : tuple of tuples of int, S of them
        What each state stands for: one token, those of a merged pair, or ``OTHERS``.
    matrix : float64 [S, S]
        A_ij, the probability that j comes next after i; rows sum to at most 1, less the end.
    start : float64 [S]
        The law of the first state.
    """

    tokens: tuple[tuple[int, ...], ...]
    matrix: Floats
    start: Floats

    @classmethod
    def estimated(cls, contexts: Contexts, first: Contexts, mean_length: float) -> Transitions:
        """Average the laws seen in many contexts by the last token of the context.

        A_ij is the mean of p(j | context) over the contexts that end in i: the first-order Markov
        chain that is nearest to the model's texts. All tokens that end no context share one state,
        which goes on as contexts do on average; of a model whose tokens were all met nothing is
        lumped, and a Markov model has its own matrix back. Each token is the last one with
        probability 1 / ``mean_length``, besides what the end token takes, so that returns are those
        of texts one would write, not those of endless ones.

        ``first`` holds the contexts that texts begin behind.
        """
        states, row = np.unique(contexts.last, return_inverse=True)
        mass, size = contexts.mass(states), len(states)
        matrix = np.zeros((size + 1, size + 1))
        np.add.at(matrix, row, mass)
        matrix[:size] /= np.bincount(row, minlength=size)[:, None]
        matrix[size] = mass.mean(0)
        tokens = (*((int(token),) for token in states), OTHERS)
        start = first.mass(states).mean(0)
        return cls(tokens, matrix * (1 - 1 / mean_length), start)

    @cached_property
    def own(self) -> NDArray[np.bool_]:
        """bool [S]: all states but that of the other tokens."""
        return np.array([tokens != OTHERS for tokens in self.tokens])

    @cached_property
    def returns(self) -> Floats:
        """float64 [S]: the probability that a text that is at i comes back to i before it ends.

        1 − 1 / N_ii with N = Σ_k A^k = (I − A)⁻¹, for N_ii = 1 + f_i N_ii counts the visits.
        """
        returned: Floats = np.clip(1 - 1 / np.diag(self._visits), 0.0, 1.0)
        return returned

    @property
    def visits(self) -> Floats:
        """float64 [S]: how often a text is at each state, on average."""
        counted: Floats = self.start @ self._visits
        return counted

    def repetition(self) -> tuple[float, float]:
        """The average repetition probability: over tokens, and over the places of a text.

        The first takes every token once (Fu et al. 2021 average so), the second each as often as a
        text is there.
        """
        returns, weight = self.returns[self.own], self.visits[self.own]
        over_text = float(weight @ returns / weight.sum()) if weight.sum() > 0 else 0.0
        return float(returns.mean()), over_text

    def bound(self) -> Floats:
        """float64 [S]: an upper bound of ``returns`` that shows what inflow does.

        To be back at i a text must come from some j, so Σ_k (A^k)_ii ≤ max_j A_ji · Σ_k Σ_j
        (A^(k−1))_ij: the highest inflow into i times the mean length of a text from i on.
        """
        bounded: Floats = np.minimum(self.matrix.max(0) * self._visits.sum(1), 1.0)
        return bounded

    def inflow(self, high: float) -> tuple[Floats, Floats]:
        """float64 [S] each: the mean of A_ij over i, and the share of i for which it is ``high``.

        States before j count alike, however common they are.
        """
        before = self.matrix[self.own]
        return before.mean(0), (before >= high).mean(0)

    def rebalanced(self, above: float, most: int) -> tuple[Transitions, list[Merge]]:
        """The chain with its high-inflow pairs merged, and these in the order of their merging.

        Each time the pair (i, j), i ≠ j, that texts meet most often of those with A_ij > ``above``;
        at most so many times.
        """
        chain, merges = self, list[Merge]()
        while len(merges) < most:
            flow = chain.visits[:, None] * chain.matrix * (chain.matrix > above)
            np.fill_diagonal(flow, 0.0)
            flow[~chain.own] = flow[:, ~chain.own] = 0.0
            one, two = (int(i) for i in np.unravel_index(flow.argmax(), flow.shape))
            if not flow[one, two] > 0:
                break
            merges.append((chain.tokens[one], chain.tokens[two], float(chain.matrix[one, two])))
            chain = chain.merged(one, two)
        return chain, merges

    def merged(self, one: int, two: int) -> Transitions:
        """The chain of the same texts in which ``one`` followed by ``two`` is a state of its own.

        What comes in to ``one`` is parted by whether ``two`` follows, and the new state goes on as
        ``two`` does. No probability of a text changes: only how it is cut up (rebalanced encoding).

        Raises
        ------
        InputError
            The two are one state: "aaa" could then be cut up in two ways.
        """
        if one == two:
            raise InputError(f"state {one} cannot be merged with itself: give two states")
        size, follows = len(self.matrix), self.matrix[one, two]
        matrix = np.zeros((size + 1, size + 1))
        matrix[:size, :size] = self.matrix
        rest = 1 - follows
        matrix[one, :size] /= rest if rest > 0 else 1.0
        matrix[one] *= rest > 0
        matrix[one, two] = 0.0
        matrix[size] = matrix[two]
        matrix[:, size] = matrix[:, one] * follows
        matrix[:, one] *= rest
        start = np.append(self.start, self.start[one] * follows)
        start[one] *= rest
        return Transitions((*self.tokens, self.tokens[one] + self.tokens[two]), matrix, start)

    @cached_property
    def _visits(self) -> Floats:
        """N, float64 [S, S]: how often a text that is at i is at j from there on."""
        return np.asarray(np.linalg.inv(np.eye(len(self.matrix)) - self.matrix), dtype=np.float64)
