"""Protocols between samplers and models. Imports only numpy, so indexes open without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from ergotext.lm.batch import TokenBatch


@runtime_checkable
class NextTokenScorer(Protocol):
    """A causal language model (or anything that factorises from left to right)."""

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may occur in a text; never special tokens."""

    @property
    def end_id(self) -> int:
        """The token that ends a sequence."""

    def log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: log p(row, end token), in nats."""

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B, L + 1]: log p of each token, then of the end token; 0 elsewhere.

        Rows add up to ``log_prob``.
        """

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token | the first ``position`` [B] tokens of each row).

        No position may be above the length of its row.
        """

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
        """Drop caches of earlier calls; results change by at most 1e-4."""


@runtime_checkable
class Reducible(Protocol):
    """Optional extension of scorers that are faster in lower precision, where proposals will do."""

    @property
    def precision(self) -> str:
        """What it multiplies in: float32, bfloat16 or int8."""

    def in_precision(self, name: str) -> NextTokenScorer:
        """The same model in another precision; itself where that is none, or no faster.

        ``auto`` is the fastest that the machine is made for. ``InputError`` for one that there is
        none of.
        """


@runtime_checkable
class MaskedScorer(Protocol):
    """A masked language model: conditionals at positions, given all other tokens."""

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may occur in a text."""

    def conditional_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token at ``position`` [B] | all other tokens of the row)."""


@runtime_checkable
class Energy(Protocol):
    """E(x) in nats; +inf outside the support. Lower is better; π(x) ∝ exp(−E(x))."""

    @property
    def scorer(self) -> NextTokenScorer | None:
        """The language model to inform proposals by, where a term has one."""

    @property
    def masked(self) -> MaskedScorer | None:
        """The masked language model to inform proposals by, where a term has one."""

    @property
    def automaton(self) -> Automaton | None:
        """Automaton of all hard constraints that have one."""

    @property
    def soft(self) -> Callable[[TokenBatch], Tensor] | None:
        """E(x) + log p(x, end), p the scorer, for x that the automaton takes; None if that is 0.

        So π(x) ∝ p(x, end) · 1[the automaton takes x] · exp(−soft(x)).
        """

    @property
    def floor(self) -> float | None:
        """Nats that ``soft`` is never below, so that a rejection sampler has its bound."""

    def __call__(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: the energy of each row."""

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        """The energy term by term, each float64 [B], weights included: they sum to the energy."""

    def initial(self, count: int) -> TokenBatch:
        """``count`` states inside the support, to start chains from; locked where need be."""

    def forget(self) -> None:
        """Drop the caches of its models, so that a run does not depend on earlier calls."""

    @property
    def marks(self) -> frozenset[int]:
        """The lock marks that every row of the support has somewhere."""

    def locked(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L]: the lock marks of each row, as a function of its token ids alone.

        That they are a function of the ids makes the state of a chain the token sequence itself:
        a sequence with two copies of a keyword is one state, not two.
        """


@runtime_checkable
class Decoding(Protocol):
    """Rows being written from left to right, each an answer to an input that was read once.

    A value: ``advance`` gives another one and leaves this one as it was.
    """

    @property
    def end(self) -> int:
        """The model's end token."""

    @property
    def size(self) -> int:
        """Tokens that the model knows: every id is below it."""

    @property
    def room(self) -> Tensor:
        """int64 [B]: tokens, end token included, that may still be written to each row."""

    def __len__(self) -> int:
        """The number of rows."""

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        """float64 [n]: of each (row, next token) pair, log p up to a constant of the row."""

    def log_z(self) -> Tensor:
        """float64 [B]: that constant: ``logits - log_z`` is log p(token | input, row)."""

    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        """float64 [T]: log p of each token if row ``rows[i]`` continues with ``ids[offsets[i]:]``.

        ``rows`` is int64 [m]; ``ids`` int64 [T] holds m runs of tokens, separated by ``offsets``
        [m + 1]. All runs are scored in one pass.
        """

    def advance(self, rows: Tensor, tokens: Tensor) -> Decoding:
        """The decoding whose i-th row is row ``rows[i]`` followed by ``tokens[i]``."""


@runtime_checkable
class Ending(Protocol):
    """Optional extension of automata where ``least`` is only a bound."""

    def ending(self, state: int) -> tuple[int, ...] | None:
        """Tokens that end a sequence from there, the end token left out; None if none is known.

        There may be shorter ways, and ways where none is known.
        """

    def kinds(self) -> NDArray[np.int64]:
        """int64 [V]: tokens of one number mostly lead to where sequences end alike."""


@runtime_checkable
class Masking(Protocol):
    """Optional extension of automata that know which tokens may follow without listing them."""

    def count(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [B]: how many tokens may follow each state."""

    def mask_within(self, states: NDArray[np.int64], size: int, room: int) -> NDArray[np.bool_]:
        """bool [B, size]: tokens after which ``least`` is at most ``room``; do not write to it.

        Raises
        ------
        InputError
            A token that may follow is not among the ``size`` of the model.
        """


@runtime_checkable
class Placed(Protocol):
    """Optional extension of automata of which many states are much alike."""

    def place(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [B]: states of one number allow the same tokens; what follows these may differ."""


@runtime_checkable
class Demanding(Protocol):
    """Optional extension of automata that can say in words what they demand."""

    def demands(self) -> list[str]:
        """What an accepted text does, each to follow "a text that": ``contains 'sun'``."""

    def unmet(self, states: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B, K]: which of these a text that ends in each state does not do."""


@runtime_checkable
class LookAhead(Protocol):
    """Optional potentials of a search: a bound for the keys reachable from a state."""

    @property
    def bound(self) -> bool:
        """Whether no later state has a higher potential, so that a search may prune by it."""

    def __call__(self, inputs: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [n], nats: the potential of each state for each input (a number below Q)."""


@runtime_checkable
class Twist(Protocol):
    """How well a text may end from where it stands: ψ, for proposals and resampling.

    It must be above 0 wherever an accepted text can follow; whatever else it says, weights make up
    for it.
    """

    def psi(self, states: NDArray[np.int64], left: int, size: int) -> NDArray[np.float64]:
        """float64 [B, size]: ψ after each next token, with ``left`` tokens to follow it.

        0 where the token may not follow; for the end token, the factor exp(−energy) of the whole
        text as far as it is known.
        """


class Classes(NamedTuple):
    """The tokens that may follow some states, parted by where they lead.

    Class c is of state ``row[c]``; its tokens, rising, are ``tokens[offsets[c]:offsets[c + 1]]``.
    """

    row: NDArray[np.int64]
    """int64 [C], rising"""
    after: NDArray[np.int64]
    """int64 [C]: the state behind its first token; what follows the others is the same"""
    tokens: NDArray[np.int64]
    """int64 [T]"""
    offsets: NDArray[np.int64]
    """int64 [C + 1]"""


@runtime_checkable
class Automaton(Protocol):
    """A set of token sequences, walked from left to right; states are plain values.

    The end token is a way on like any other: it is a candidate where a sequence may end, and
    leads to a state whose only candidate is padding; so does the dead state, -1. All but ``end``,
    ``start`` and ``candidates`` may be had from ``automaton_base.AutomatonBase``; that they agree
    is checked by ``ergotext.testing.check_automaton``.
    """

    @property
    def end(self) -> int:
        """The token that closes a sequence."""

    def start(self, count: int) -> NDArray[np.int64]:
        """int64 [count]: the start state, once a row."""

    def candidates(
        self, states: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Flat arrays (row, token, next state), sorted by row: all transitions from the states."""

    def advance(self, states: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [B]: each state after one token; -1 (dead) if there is no such transition."""

    def mask(self, states: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
        """bool [B, size]: which tokens may follow, of those that a model of ``size`` knows.

        The model says how wide it is: its rows may be more than the tokens of its tokenizer.
        """

    def accepting(self, states: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B]: whether the tokens read are a complete sequence, with or without end token."""

    def least(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [B]: lower bound on the remaining tokens, end tokens not counted.

        0 where nothing is known.
        """

    def classes(self, states: NDArray[np.int64]) -> Classes:
        """The tokens that may follow each state, grouped by the state they lead to; cached."""

    def lone(self, states: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B]: where only one sequence continues; ``rest`` gives it.

        False also where it is not worth finding out.
        """

    def rest(self, states: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Flat tokens and offsets [B + 1]: what is left of that sequence, its end token included.

        Rows that are not ``lone`` are empty. With this a search scores all that is left at once.
        """
