"""Draw complete sequences without replacement, best first from the root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automaton_base import check_known
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton, Twist
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import fits
from ergotext.samplers.search.gumbel import gumbel, gumbels_below
from ergotext.samplers.search.selection import best_of_each
from ergotext.samplers.search.tails import numbers
from ergotext.samplers.twists import psi_of
from ergotext.support.arrays import Ints


class RowDecoding(Protocol):
    """The part of ``protocols.Decoding`` that this search uses."""

    @property
    def end(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def room(self) -> Tensor: ...
    def __len__(self) -> int: ...
    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor: ...
    def log_z(self) -> Tensor: ...
    def advance(self, rows: Tensor, tokens: Tensor) -> RowDecoding: ...


@dataclass(frozen=True, eq=False)
class Leaves:
    """Sequences drawn without replacement, for each input in the order of its draw.

    Parameters
    ----------
    input : int64 [n]
        The input that each belongs to, rising.
    batch : TokenBatch of n rows
        Without end tokens.
    log_prob, log_q : float64 [n]
        log p(row, end | input) of the model, and of the locally normalised model, in nats; of that
        times the twist, where one is given.
    perturbed : float64 [n]
        log q and its Gumbel noise: independent Gumbel variables, of which those above the
        threshold are seen.
    threshold : float64 [B]
        κ of each input: the highest that was left out; -inf where nothing was.
    """

    input: Tensor
    batch: TokenBatch
    log_prob: Tensor
    log_q: Tensor
    perturbed: Tensor
    threshold: Tensor


def leaves(
    decoding: RowDecoding,
    automaton: Automaton,
    draws: Draws,
    *,
    k: int,
    max_length: int,
    twist: Twist | None = None,
) -> Leaves:
    """Up to ``k`` sequences without replacement for each row of ``decoding``.

    The perturbed log-probability of a beginning is the highest of those of all sequences that go on
    from it, drawn from the top down; the ``k`` highest continue, finished ones among them.

    Parameters
    ----------
    decoding : Decoding
        One empty row per input.
    automaton : Automaton
    draws : Draws
    k : int
    max_length : int
        Most tokens of a sequence, the end token not counted; after them it is forced.
    twist : Twist, optional
        Of the automaton: what a token weighs beside its probability when one is drawn.

    Raises
    ------
    InputError
        ``k`` is below one or ``max_length`` negative or more than the model has room for; or the
        automaton was built for another model.
    ModelError
        The model gives NaN.
    """
    if k < 1 or max_length < 0:
        raise InputError(f"k ({k}) must be at least 1, and max_length ({max_length}) at least 0")
    _check_fit(decoding, automaton, max_length)
    search = _BestFirstSearch(decoding, automaton, draws, k, twist)
    for length in range(max_length + 1):
        if not len(search.open):
            break
        search.step(max_length - length)
    return search.leaves()


def _check_fit(decoding: RowDecoding, automaton: Automaton, max_length: int) -> None:
    """Raise InputError unless the model has room, and the automaton is of its vocabulary."""
    room = min(decoding.room.tolist(), default=max_length + 1)
    if max_length >= room:
        raise InputError(
            f"max_length is {max_length}, but the model has room for {room - 1} tokens and an end "
            "token: lower max_length, or shorten the input"
        )
    if automaton.end != decoding.end:
        raise InputError(
            f"the automaton's end token is {automaton.end}, but the model's is {decoding.end}: "
            "build it with the model's tokenizer"
        )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Beginnings or whole sequences, as columns."""

    input: Ints
    log_prob: Tensor
    log_q: Tensor
    perturbed: Tensor
    written: Tensor
    """int64 [n, t]: their tokens, end tokens left out"""
    length: Tensor

    def __len__(self) -> int:
        return len(self.input)

    def only(self, index: Tensor) -> _Rows:
        columns = (self.log_prob, self.log_q, self.perturbed, self.written, self.length)
        return _Rows(self.input[index.numpy()], *(column[index] for column in columns))

    def joined(self, other: _Rows) -> _Rows:
        width = max(self.written.shape[1], other.written.shape[1])
        pad = torch.nn.functional.pad
        written = [pad(w, (0, width - w.shape[1])) for w in (self.written, other.written)]
        return _Rows(
            np.concatenate([self.input, other.input]),
            torch.cat([self.log_prob, other.log_prob]),
            torch.cat([self.log_q, other.log_q]),
            torch.cat([self.perturbed, other.perturbed]),
            torch.cat(written),
            torch.cat([self.length, other.length]),
        )


class _BestFirstSearch:
    """The beginnings that are being written, and the sequences that are finished."""

    def __init__(
        self,
        decoding: RowDecoding,
        automaton: Automaton,
        draws: Draws,
        k: int,
        twist: Twist | None,
    ) -> None:
        self.decoding, self.automaton, self.draws, self.k = decoding, automaton, draws, k
        self.twist = twist
        count = len(decoding)
        zero, none = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.int64)
        self.open = _Rows(
            np.arange(count), zero, zero, gumbel(draws, (count,)), none[:, None][:, :0], none
        )
        self.state = automaton.start(count)
        self.finished = self.open.only(none[:0])
        self.threshold = torch.full((count,), -torch.inf, dtype=torch.float64)

    def step(self, room: int) -> None:
        """Write one token more; where there is no ``room`` the end token, without a choice."""
        row, token, after, score, hope = self._ways(room)
        parent = self.open.only(torch.from_numpy(row))
        log_q = parent.log_q + hope - _mass(hope, row, len(self.open))[row]
        perturbed = gumbels_below(self.draws, log_q, row, self.open.perturbed)
        grown = _Rows(
            parent.input, parent.log_prob + score, log_q, perturbed, parent.written, parent.length
        )
        # An end token is the last number of a sequence and not written down.
        ended = torch.from_numpy(token == self.automaton.end)
        contest = self.finished.joined(grown)
        kept = self._kept(contest)
        old = len(self.finished)
        self.finished = contest.only(kept & torch.cat([torch.ones(old, dtype=torch.bool), ended]))
        on = (kept[old:] & ~ended).nonzero()[:, 0]
        tokens = torch.from_numpy(token)[on]
        going = grown.only(on)
        written = torch.cat([going.written, tokens[:, None]], dim=1)
        self.open = _Rows(
            going.input, going.log_prob, going.log_q, going.perturbed, written, going.length + 1
        )
        self.state = after[on.numpy()]
        if len(on):
            self.decoding = self.decoding.advance(torch.from_numpy(row)[on], tokens)

    def _ways(self, room: int) -> tuple[Ints, Ints, Ints, Tensor, Tensor]:
        """Row, token, next state, log p and log pψ of each way on that is possible."""
        # Copies: an automaton may answer with views of its read-only file.
        row, token, after = map(np.array, self.automaton.candidates(self.state))
        check_known(token, self.decoding.size)
        ended = token == self.automaton.end
        kept = ended | fits(self.automaton, after, room - 1) if room else ended
        row, token, after = row[kept], token[kept], after[kept]
        rows = torch.from_numpy(row)
        score = self.decoding.logits(rows, torch.from_numpy(token)) - self.decoding.log_z()[rows]
        hope = score
        if self.twist is not None and room and len(row):
            psi = psi_of(self.twist, self.state, room - 1, self.decoding.size)
            hope = score + psi[rows, torch.from_numpy(token)].log()
        kept = numbers(hope) > -np.inf
        possible = torch.from_numpy(kept)
        return row[kept], token[kept], after[kept], score[possible], hope[possible]

    def _kept(self, contest: _Rows) -> Tensor:
        """bool [n]: the k highest of each input; the highest of the others raises its threshold.

        What is below the threshold is let go, also where a dead end has left a place free: the
        sequences of the draw are those above it.
        """
        count = len(self.threshold)
        rank = contest.perturbed.numpy()
        best = torch.from_numpy(best_of_each(contest.input, rank, self.k, count))
        inputs = torch.from_numpy(contest.input)
        left_out = contest.perturbed.masked_fill(best, -torch.inf)
        self.threshold = self.threshold.scatter_reduce(0, inputs, left_out, "amax")
        return best & (contest.perturbed > self.threshold[inputs])

    def leaves(self) -> Leaves:
        order = np.lexsort([-self.finished.perturbed.numpy(), self.finished.input])
        rows = self.finished.only(torch.from_numpy(order))
        batch = TokenBatch(rows.written, rows.length, torch.zeros_like(rows.written))
        return Leaves(
            torch.from_numpy(rows.input),
            batch,
            rows.log_prob,
            rows.log_q,
            rows.perturbed,
            self.threshold,
        )


def _mass(score: Tensor, row: Ints, count: int) -> Tensor:
    """float64 [rows]: log of the probability of all that is possible after each row."""
    rows = torch.from_numpy(row)
    highest = torch.full((count,), -torch.inf, dtype=torch.float64)
    highest = highest.scatter_reduce(0, rows, score, "amax")
    total = torch.zeros_like(highest).index_add(0, rows, (score - highest[rows]).exp())
    return highest + total.log()
