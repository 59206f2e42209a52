"""What the keys of a whole index weigh together: exactly, or estimated with its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.protocols import Automaton, Decoding
from ergotext.samplers.draws import Draws
from ergotext.samplers.leaves import Rows, leaves
from ergotext.samplers.without_replacement import log_inclusion

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Mass:
    """log Σ p(key, end | question)^(1/T) over the keys of an index, in nats.

    Parameters
    ----------
    log_z : float
    stderr : float
        Standard error of ``log_z`` by the delta method; 0 where it is exact.
    """

    log_z: float
    stderr: float = 0.0

    def share(self, log_weight: float) -> tuple[float, float]:
        """The part that a key of this log-weight has, and its standard error.

        Σ is estimated without bias. Its inverse is not: where few samples have seen little of the
        mass, shares come out too high. The standard error is one of Σ carried over, good as long
        as it is small; from about half of the share on it says no more than that little is known.
        """
        part = math.exp(min(0.0, log_weight - self.log_z))
        return part, part * self.stderr


def exact_mass(log_weights: Tensor) -> list[Mass]:
    """From float64 [Q, N]: the log-weights of all keys."""
    return [Mass(z) for z in log_weights.logsumexp(1).tolist()]


def estimated_mass(
    decoding: Decoding,
    trie: Automaton,
    draws: Draws,
    known: Sequence[Mapping[Tokens, float]],
    *,
    samples: int,
    longest: int,
    temperature: float,
) -> list[Mass]:
    """Known keys are counted as they are, all others by samples without replacement.

    Samples come from the locally normalised model (stochastic beam): masking renormalises every
    step, so that each is worth p/q_κ, its weight by the chance that it was drawn. Whatever sum over
    keys is estimated so is estimated without bias, hence also that over the keys which are not
    known: ``known`` was not made of these draws, so a known key that is drawn counts nothing.

    Parameters
    ----------
    decoding : Decoding
        One row a question, nothing written yet.
    trie : Automaton
        All keys.
    known : sequence of mapping of tokens to float
        Keys of each question and their log p, in nats.
    samples : int
        Keys drawn that are not known, two or more (fewer only where there are no more of them).
    longest : int
        Tokens of the longest key, end token included. Keys beyond the model's room weigh nothing.
    temperature : float
        T: a key weighs p^(1/T). It is also what they are drawn by.

    References
    ----------
    Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them", equation 9.
    """
    room = min(decoding.room.tolist(), default=longest)
    rows, places = Tempered(decoding, temperature), samples + max(map(len, known), default=0)
    found = leaves(rows, trie, draws, k=places, max_length=min(longest, room) - 1)
    drawn = zip(found.input.tolist(), found.batch.rows(), strict=True)
    new = torch.tensor([row not in known[i] for i, row in drawn], dtype=torch.bool)
    chance = log_inclusion(found.log_q, found.threshold[found.input])
    worth = (found.log_prob - chance).masked_fill(~new, -torch.inf)
    spread = 2 * worth + torch.log1p(-chance.exp())
    masses = []
    for number, mine in enumerate(known):
        at = found.input == number
        sure = torch.tensor([*mine.values(), -math.inf], dtype=torch.float64) / temperature
        log_z = float(torch.cat([sure, worth[at]]).logsumexp(0))
        variance = float(torch.cat([spread[at], sure[-1:]]).logsumexp(0))
        masses.append(Mass(log_z, math.exp(0.5 * variance - log_z) if log_z > -math.inf else 0.0))
    return masses


@dataclass(frozen=True, eq=False)
class Tempered:
    """Rows whose log-probabilities are divided by a temperature (``samplers.leaves.Rows``)."""

    decoding: Rows
    temperature: float

    @property
    def end(self) -> int:
        return self.decoding.end

    @property
    def size(self) -> int:
        return self.decoding.size

    @property
    def room(self) -> Tensor:
        return self.decoding.room

    def __len__(self) -> int:
        return len(self.decoding)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        return self.decoding.logits(rows, tokens) / self.temperature

    def log_z(self) -> Tensor:
        return self.decoding.log_z() / self.temperature

    def advance(self, rows: Tensor, tokens: Tensor) -> Tempered:
        return Tempered(self.decoding.advance(rows, tokens), self.temperature)
