"""What samplers may know of a model. Imports numpy and torch only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from ergotext.lm.batch import TokenBatch


class ErgotextError(Exception):
    """Base of the errors that ergotext raises on purpose; the message says what to do."""


class InputError(ErgotextError, ValueError):
    """The caller asked for something that cannot be (a usage error)."""


class ModelError(ErgotextError, RuntimeError):
    """A model could not be found, read, converted or run."""


@runtime_checkable
class NextTokenScorer(Protocol):
    """A causal language model (or anything that factorises from left to right)."""

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may stand in a text; special tokens are never among them."""

    def log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: log p(row, end token), in nats."""

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B, L + 1]: log p of each token and, behind the last, of the end token; else 0.

        Rows add up to ``log_prob``.
        """

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token | the first ``position`` [B] tokens of each row)."""

    def candidate_log_prob(
        self,
        batch: TokenBatch,
        start: Tensor,
        stop: Tensor,
        tokens: Tensor,
        horizon: int | None = None,
    ) -> Tensor:
        """float64 [B, K]: log-probability with ``row[start:stop]`` replaced by one candidate.

        ``tokens`` is int64 [B, K]; ``start`` and ``stop`` are int64 [B]. The sum runs over the
        prefix, the candidate and the ``horizon`` tokens after it (the end token counts as one);
        without a horizon, over the whole row: then it equals ``log_prob`` of the edited row.
        """

    def decode(self, batch: TokenBatch) -> list[str]:
        """The text of each row."""

    def forget(self) -> None:
        """Drop whatever was kept from earlier calls for speed; results stay the same to 1e-4."""


@runtime_checkable
class MaskedScorer(Protocol):
    """A masked language model: conditionals at positions, given all other tokens."""

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may stand in a text."""

    def conditional_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token at ``position`` [B] | all other tokens of the row)."""


@runtime_checkable
class Energy(Protocol):
    """E(x) in nats; +inf outside the support. Lower is better; π(x) ∝ exp(−E(x))."""

    @property
    def scorer(self) -> NextTokenScorer | None:
        """The language model to inform proposals by, where a term has one."""

    def __call__(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: the energy of each row."""

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        """The energy term by term, each float64 [B], weights included: they sum to the energy."""

    def initial(self, count: int) -> TokenBatch:
        """``count`` states inside the support, to start chains from; locked where need be."""

    def forget(self) -> None:
        """Drop whatever its models kept from earlier calls, so that a run depends on none."""

    def locked(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L]: the lock marks of each row, as a function of its token ids alone.

        That they are a function of the ids makes the state of a chain the token sequence itself:
        a sequence with two copies of a keyword is one state, not two.
        """


@runtime_checkable
class Automaton(Protocol):
    """A set of token sequences, walked from left to right; states are plain values."""

    def start(self, count: int) -> NDArray[np.int64]:
        """int64 [count]: the start state, once a row."""

    def candidates(
        self, states: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Flat arrays (row, token, next state): every way on from each of the states."""

    def accepting(self, states: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B]: whether a sequence may end here."""
