"""Where chains start: what may stand there, and with which energy."""

from __future__ import annotations

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import State
from ergotext.samplers.chains.spans import place_law


def start(
    energy: Energy,
    allowed: Tensor,
    chains: int,
    initial: TokenBatch | None,
    max_length: int,
    redrawn: int = 0,
) -> State:
    """``chains`` chains at ``initial`` (its rows in turn), or where the energy says.

    Parameters
    ----------
    energy : Energy
    allowed : bool [V]
        Tokens that may stand in a text.
    chains : int
    initial : TokenBatch or None
    max_length : int
    redrawn : int
        Of a chain that redraws so many neighbouring tokens and never changes how many there are:
        every row must have them.

    Raises
    ------
    InputError
        No chain, no row, or a row that the chain could not stand on.
    """
    if chains < 1:
        raise InputError(f"at least one chain is needed, got {chains}")
    batch = energy.initial(chains) if initial is None else initial
    if not len(batch):
        raise InputError("there is no initial state to start from")
    tokens = torch.cat([torch.tensor(row, dtype=torch.int64) for row in batch.rows()])
    known = (tokens >= 0) & (tokens < len(allowed))
    if not bool((known & allowed[tokens.clamp(0, len(allowed) - 1)]).all()):
        raise InputError(
            "the text to start from holds special tokens, or ids that the model does not know; "
            "no move could ever remove them"
        )
    batch = batch.select(torch.arange(chains) % len(batch))
    batch = TokenBatch(batch.ids, batch.length, energy.locked(batch))
    if any(not energy.marks <= set(marks) for marks in batch.locked.tolist()):
        raise InputError(
            "the text to start from does not hold every keyword in the tokenizer's own "
            "spelling (where words have spaces, with one before it); give another text, or none"
        )
    if batch.longest > max_length:
        raise InputError(
            f"the text to start from takes {batch.longest} tokens and the maximum length is "
            f"{max_length}; allow a greater length"
        )
    if redrawn and bool(place_law(batch, redrawn)[:, -1].any()):
        raise InputError(
            f"this sampler redraws tokens and never changes their number, and a text to start from "
            f"has no {redrawn} in a row that are free; give texts of the length wanted (initial=)"
        )
    value = energy(batch)
    if not bool(torch.isfinite(value).all()):
        raise InputError("the energy forbids the initial state; start from one it allows")
    return State(batch, value)
