"""Score the forced endings of sequences in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ergotext.errors import ModelError
from ergotext.lm.protocols import Automaton, Decoding, LookAhead
from ergotext.support.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Rests:
    """Runs of tokens, end tokens included: run i is ``ids[offsets[i] : offsets[i + 1]]``."""

    ids: Ints
    offsets: Ints

    @property
    def lengths(self) -> Ints:
        return np.diff(self.offsets)

    def only(self, chosen: NDArray[np.bool_]) -> Rests:
        """The runs that ``chosen`` (bool [m]) names."""
        kept = self.lengths[chosen]
        ids = self.ids[np.repeat(chosen, self.lengths)]
        return Rests(ids, np.concatenate([[0], np.cumsum(kept)]))

    def gains(self, decoding: Decoding, row: Ints, token: Ints) -> Floats:
        """float64 [T]: log p of each run up to and with each of its tokens.

        Run i continues after row ``row[i]`` and ``token[i]``, which itself is not counted.
        """
        begin = self.offsets[:-1] + np.arange(len(row))
        runs = np.insert(self.ids, self.offsets[:-1], token)
        parted = self.offsets + np.arange(len(self.offsets))
        scored = numbers(decoding.rest_log_prob(*map(torch.tensor, (row, runs, parted))))
        table, inside = self._table(np.delete(scored, begin))
        gains: Floats = np.cumsum(table, axis=1)[inside]
        return gains

    def potential(
        self, lookahead: LookAhead | None, automaton: Automaton, inputs: Ints, state: Ints
    ) -> Floats:
        """float64 [T]: the potential after each token of runs that begin at ``state`` [m]."""
        if lookahead is None:
            return np.zeros(len(self.ids))
        tokens, inside = self._table(self.ids)
        potential = np.zeros(tokens.shape)
        for column in range(tokens.shape[1]):
            at = np.flatnonzero(inside[:, column])
            state[at] = automaton.advance(state[at], tokens[at, column])
            potential[at, column] = lookahead(inputs[at], state[at])
        return potential[inside]

    def _table(self, flat: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values of the tokens as rows [m, longest], zero after their ends, and where they are."""
        inside = np.arange(int(self.lengths.max(initial=0))) < self.lengths[:, None]
        table = np.zeros(inside.shape, dtype=flat.dtype)
        table[inside] = flat
        return table, inside


def numbers(scores: torch.Tensor) -> Floats:
    """Scores of a model as an array; a ModelError if any is NaN."""
    if torch.isnan(scores).any():
        raise ModelError(
            "the model returned NaN instead of log-probabilities: check its weights, or use float32"
        )
    values: Floats = scores.numpy()
    return values
