"""Initial states of chains: validation and energy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import State
from ergotext.samplers.chains.spans import place_law
from ergotext.samplers.draws import Draws


class GivenStart(ABC):
    """Chains that start without chance: at texts that are given, or where their energy says."""

    energy: Energy

    @abstractmethod
    def admitted(self) -> Starts:
        """The texts at which they may start."""

    def init(
        self,
        draws: Draws,  # noqa: ARG002 - the protocol's; these chains start without chance
        chains: int,
        initial: TokenBatch | None = None,
    ) -> State:
        """Chains at ``initial``, or where the energy says."""
        texts = self.admitted()
        return start(self.energy, texts.allowed, chains, initial, texts.max_length, texts.redrawn)


class Starts(NamedTuple):
    """Texts at which chains may start."""

    allowed: Tensor
    """bool [V]: tokens that may occur"""
    max_length: int
    redrawn: int = 0
    """of a chain that never changes how many tokens there are: how many free ones in a row it
    needs"""


def start(
    energy: Energy,
    allowed: Tensor,
    chains: int,
    initial: TokenBatch | None,
    max_length: int,
    redrawn: int = 0,
    *,
    held: bool = True,
) -> State:
    """``chains`` chains at ``initial`` (its rows in turn), or where the energy says.

    Parameters
    ----------
    energy : Energy
    allowed : bool [V]
        Tokens that may occur in a text.
    chains : int
    initial : TokenBatch or None
    max_length : int
    redrawn : int
        Of a chain that redraws so many neighbouring tokens and never changes how many there are:
        every row must have them.
    held : bool
        Whether the chain holds keywords in the tokens that they have at its start.

    Raises
    ------
    InputError
        No chain, no row, or a row that the chain could not stand on.
    """
    check_chains(chains)
    batch = energy.initial(chains) if initial is None else initial
    if not len(batch):
        raise InputError("the initial batch is empty; give at least one text")
    _check_tokens(batch, allowed)
    batch = batch.select(torch.arange(chains) % len(batch))
    batch = TokenBatch(batch.ids, batch.length, energy.locked(batch))
    if held:
        _check_marks(batch, energy.marks)
    _check_texts(batch, max_length, redrawn)
    value = energy(batch)
    if not bool(torch.isfinite(value).all()):
        raise InputError("the energy of the initial text is +inf; start from an allowed one")
    return State(batch, value)


def check_chains(chains: int) -> None:
    """Raise InputError for no chain."""
    if chains < 1:
        raise InputError(f"at least one chain is needed, got {chains}")


def _check_tokens(batch: TokenBatch, allowed: Tensor) -> None:
    """Only tokens that may occur in a text."""
    tokens = torch.cat([torch.tensor(row, dtype=torch.int64) for row in batch.rows()])
    known = (tokens >= 0) & (tokens < len(allowed))
    if not bool((known & allowed[tokens.clamp(0, len(allowed) - 1)]).all()):
        raise InputError(
            "the initial text contains special tokens, or ids unknown to the model, which no move "
            "can remove; remove them"
        )


def _check_marks(batch: TokenBatch, marks: frozenset[int]) -> None:
    """Every keyword."""
    if any(not marks <= set(held) for held in batch.locked.tolist()):
        raise InputError(
            "the initial text does not contain every keyword as the tokenizer writes it (with a "
            "space before it, in scripts that use spaces); give another text, or none"
        )


def _check_texts(batch: TokenBatch, max_length: int, redrawn: int) -> None:
    """A length that is allowed, and room for what a chain redraws."""
    if batch.longest > max_length:
        raise InputError(
            f"the initial text has {batch.longest} tokens, but max_length is {max_length}; raise it"
        )
    if redrawn and bool(place_law(batch, redrawn)[:, -1].any()):
        raise InputError(
            "this sampler never changes the number of tokens, and an initial text has fewer free "
            f"tokens in a row than it redraws ({redrawn}); give texts of the wanted length "
            "(initial=)"
        )
