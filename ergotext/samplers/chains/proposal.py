"""What Metropolis-Hastings proposes by: any ``Moves`` that know their probability both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.draws import Draws


@dataclass(frozen=True, eq=False)
class Proposal:
    """Proposed rows, one per chain, with the log-probabilities of the move and its reverse."""

    batch: TokenBatch
    move: Tensor
    """int64 [B], index into ``Moves.names``"""
    log_q_to: Tensor
    """float64 [B]: log q(path from the state to the proposal)"""
    log_q_back: Tensor
    """float64 [B]: log q(reverse path); -inf where there is none"""


class Moves(Protocol):
    """Ways to change a text. One class with these two members is a proposal of one's own."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the moves; one that does nothing is called ``stay``."""

    def propose(
        self, draws: Draws, batch: TokenBatch, scorer: NextTokenScorer, temperature: Tensor
    ) -> Proposal:
        """Draw one change a row, with the log-probability of the way there and of the way back.

        Parameters
        ----------
        draws : Draws
            The only source of chance.
        batch : TokenBatch
            The states of the chains. ``locked`` marks tokens of keywords: a proposal carries the
            marks along with its tokens, and is rejected where they are then marked otherwise.
        scorer : NextTokenScorer
            The language model; only tokens that it allows (``scorer.allowed``) may be proposed.
        temperature : float64 [B]
            That of each chain, for proposals that follow it.

        Returns
        -------
        Proposal
            Rows may be longer than the chain's ``max_length``; they are rejected then.
        """
