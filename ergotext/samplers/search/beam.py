"""Beam search under an automaton, with a proof of optimality where one exists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automaton_base import check_known
from ergotext.lm.protocols import Automaton, Decoding, LookAhead
from ergotext.samplers.feasible import fits
from ergotext.samplers.finishing import log_trust
from ergotext.samplers.search.finished import Finished
from ergotext.samplers.search.selection import Tails, best_of_each
from ergotext.samplers.search.tails import Rests, numbers
from ergotext.support.arrays import Floats, Ints

DOUBTED = 1e9
"""Nats by which a candidate stands behind all that are known to end in time."""
Normalised = Literal["vocabulary", "allowed"]


@dataclass(frozen=True)
class Hypothesis:
    """A complete sequence that the automaton accepts.

    Parameters
    ----------
    tokens : tuple of int
        Without the end token.
    log_prob : float
        log p(tokens, end | input) in nats, normalised as in the search.
    score : float
        What orders the hypotheses: ``log_prob`` and the potential of its last state.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float


@dataclass(frozen=True)
class Found:
    """Result of a search for one input.

    Parameters
    ----------
    hypotheses : list of Hypothesis
        Best first. Empty where all that was kept came to dead ends, or grew too long: nothing is
        ever made up instead.
    exact : bool
        Whether these are proven to be the best of all sequences: whatever the search let go
        could not have come among them.
    complete : bool
        Whether nothing was let go at all, so that there are no other sequences.
    """

    hypotheses: list[Hypothesis]
    exact: bool
    complete: bool


def beam(
    decoding: Decoding,
    automaton: Automaton,
    *,
    k: int,
    beams: int | None = None,
    normalised: Normalised = "vocabulary",
    lookahead: LookAhead | None = None,
    max_length: int = 512,
) -> list[Found]:
    """The ``k`` best sequences that the automaton accepts, for each row of ``decoding``.

    A beam with only one continuation is scored to its end in one pass and frees its place ("jump
    ahead"); the next best row takes it. The beam always contains that of plain beam search with the
    same width, so no score is lower, rank by rank.

    Parameters
    ----------
    decoding : Decoding
        One empty row per input.
    k, beams : int
        Number of sequences, and beam width (default ``k``). With as many beams as sequences the
        result is exact, unless the automaton has dead ends (``intersection``), which take places
        too.
    normalised : "vocabulary" or "allowed"
        Whether each step's probabilities are those of the model, or those of the model given that
        the token is one of the allowed ones (the product of which is not the model's
        probability given that the whole is allowed).
    lookahead : LookAhead, optional
        Potentials that are added to the scores, in nats.
    max_length : int
        Maximum number of tokens, end token included; longer sequences are dropped, and so are those
        beyond the model's positions.

    Raises
    ------
    InputError
        ``k``, ``beams`` or ``max_length`` is below one, or ``beams`` below ``k``; or the automaton
        or the look-ahead does not match: its end token or tokens are not the model's.
    ModelError
        The model gives NaN.

    References
    ----------
    De Cao et al. 2021, "Autoregressive Entity Retrieval", for search under a trie.
    """
    beams = k if beams is None else beams
    if k < 1 or beams < k or max_length < 1:
        raise InputError(
            f"k ({k}), beams ({beams}) and max_length ({max_length}) must be at least 1, and "
            "beams at least k"
        )
    if normalised not in get_args(Normalised):
        raise InputError(f"normalised must be one of {get_args(Normalised)}, got {normalised!r}")
    if automaton.end != decoding.end:
        raise InputError(
            f"the automaton's end token is {automaton.end}, but the model's is {decoding.end}: "
            "build it with the model's tokenizer"
        )
    if getattr(lookahead, "automaton", automaton) is not automaton:
        raise InputError(
            "the look-ahead was built for another automaton: build one for this automaton"
        )
    search = _BeamSearch(decoding, automaton, k, beams, normalised == "allowed", lookahead)
    max_length = min(max_length, np.iinfo(np.int64).max)  # no text is longer
    for left in range(max_length, 0, -1):
        if not len(search.input):
            break
        search.step(left)
    return list(search.found())


class _BeamSearch:
    """The rows that are being written, and what has been finished."""

    def __init__(
        self,
        decoding: Decoding,
        automaton: Automaton,
        k: int,
        beams: int,
        allowed: bool,
        lookahead: LookAhead | None,
    ) -> None:
        self.decoding = decoding
        self.automaton = automaton
        self.beams = beams
        self.allowed = allowed
        self.lookahead = lookahead
        count = len(decoding)
        self.input = np.arange(count)
        self.state = automaton.start(count)
        self.log_prob = np.zeros(count)
        self.rank = np.full(count, np.inf)
        self.written = np.empty((count, 0), dtype=np.int64)
        self.plain = np.ones(count, dtype=bool)
        """rows that beam search without jumps would hold as well"""
        self.tails = Tails.none()
        """sequences that were jumped to, which it would still hold a place for"""
        self.finished = Finished(count, k)
        self.lost = np.full(count, -np.inf)
        """for each input the best rank that was let go for want of a place"""
        self.cut = np.zeros(count, dtype=bool)
        """inputs of which a sequence was let go that could not have come among the best"""

    def step(self, left: int) -> None:
        """Write one token more; ``left`` is how many a sequence may still take."""
        row, token, state = self.automaton.candidates(self.state)
        step = self._step_log_prob(row, token)
        log_prob = self.log_prob[row] + step
        rank = log_prob + self._potential(self.input[row], state)
        end = token == self.automaton.end
        room = np.minimum(left, self.decoding.room.numpy()) - 1
        trusted = self._trusted(row, token, state, step, room - 1)
        late = ~end & ~fits(self.automaton, state, room[row] - 1)
        np.maximum.at(self.lost, self.input[row[late]], rank[late])
        self._finish(row[end], log_prob[end], rank[end])
        going = ~end & ~late
        going[going] = ~self._beaten(self.input[row[going]], rank[going])
        row, token, state, log_prob, rank, trusted = (
            a[going] for a in (row, token, state, log_prob, rank, trusted)
        )
        self.tails = self.tails.advanced(self.finished.threshold if self._bounded else None)
        self._choose(row, token, state, log_prob, rank, trusted, room[row])

    def _trusted(
        self, row: Ints, token: Ints, state: Ints, step: Floats, room: Ints
    ) -> NDArray[np.bool_]:
        """bool [n]: candidates that have places before others.

        Near the maximum length those that are known to end in time. ``room`` is int64 [B]: tokens
        that may follow the next one, the end token left out.
        """
        score = torch.from_numpy(step)
        trust = log_trust(self.automaton, self.state, room, row, token, state, score)
        trusted: NDArray[np.bool_] = trust.numpy() == 0
        return trusted

    def found(self) -> Iterator[Found]:
        """The result for each input; what is still being written was let go."""
        np.maximum.at(self.lost, self.input, self.rank)
        for number, (hypotheses, worst) in enumerate(self.finished.best()):
            lost = self.lost[number]
            exact = lost == -np.inf or (self._bounded and lost <= worst)
            complete = lost == -np.inf and not self.cut[number] and not self.finished.over[number]
            yield Found([Hypothesis(*h) for h in hypotheses], bool(exact), bool(complete))

    @property
    def _bounded(self) -> bool:
        """Whether no sequence ranks above its beginnings."""
        return self.lookahead is None or self.lookahead.bound

    def _step_log_prob(self, row: Ints, token: Ints) -> Floats:
        check_known(token, self.decoding.size)
        rows, tokens = torch.tensor(row), torch.tensor(token)
        logits = self.decoding.logits(rows, tokens)
        if not self.allowed:
            return numbers(logits - self.decoding.log_z()[rows])
        count, double = len(self.decoding), torch.float64
        lowest = torch.full((count,), torch.finfo(double).min, dtype=double)
        highest = lowest.scatter_reduce(0, rows, logits, "amax")  # finite where all are impossible
        total = torch.zeros_like(highest).index_add(0, rows, (logits - highest[rows]).exp())
        # The only token that is allowed has probability 1, as each token of a jump has.
        alone = torch.bincount(rows, minlength=count)[rows] == 1
        impossible = (logits == -torch.inf) & ~alone
        scores = logits - highest[rows] - total.log()[rows]
        scores = scores.masked_fill(alone, 0.0).masked_fill(impossible, -torch.inf)
        return numbers(scores)

    def _potential(self, inputs: Ints, states: Ints) -> Floats:
        if self.lookahead is None:
            return np.zeros(len(states))
        return self.lookahead(inputs, states)

    def _finish(self, row: Ints, log_prob: Floats, rank: Floats) -> None:
        none = np.zeros(len(row) + 1, dtype=np.int64)
        self.finished.add(self.input[row], log_prob, rank, self.written[row], none[:0], none)

    def _beaten(self, inputs: Ints, rank: Floats) -> NDArray[np.bool_]:
        """bool [n]: what cannot come among the best any more. Impossible tokens are always."""
        beaten: NDArray[np.bool_] = rank == -np.inf
        if self._bounded:
            low = ~beaten & (rank <= self.finished.threshold[inputs])
            self.cut[inputs[low]] = True
            beaten |= low
        return beaten

    def _choose(
        self,
        row: Ints,
        token: Ints,
        state: Ints,
        log_prob: Floats,
        rank: Floats,
        trusted: NDArray[np.bool_],
        left: Ints,
    ) -> None:
        """Jump from, write on with, or let go each of the candidates."""
        inputs, count = self.input[row], len(self.lost)
        chosen = np.where(trusted, rank, rank - DOUBTED)
        plain = self._plain_choice(row, inputs, chosen)
        lone = self.automaton.lone(state)
        held = best_of_each(inputs, np.where(plain, np.inf, chosen), self.beams, count)
        jump, on = np.flatnonzero(held & lone), np.flatnonzero(held & ~lone & (left > 0))
        rests = Rests(*self.automaton.rest(state[jump]))
        short = rests.lengths <= left[jump]
        jump, rests = jump[short], rests.only(short)
        gone = np.ones(len(row), dtype=bool)
        gone[jump] = gone[on] = False
        np.maximum.at(self.lost, inputs[gone], rank[gone])
        if len(jump):
            check_known(rests.ids, self.decoding.size)
            potential = rests.potential(self.lookahead, self.automaton, inputs[jump], state[jump])
            self._jump(row[jump], token[jump], log_prob[jump], potential, plain[jump], rests)
        self.written = np.column_stack([self.written[row[on]], token[on]])
        self.input, self.state, self.plain = inputs[on], state[on], plain[on]
        self.log_prob, self.rank = log_prob[on], rank[on]
        if len(on):
            rows, tokens = torch.tensor(row[on]), torch.tensor(token[on])
            self.decoding = self.decoding.advance(rows, tokens)

    def _plain_choice(self, row: Ints, inputs: Ints, rank: Floats) -> NDArray[np.bool_]:
        """bool [n]: candidates that beam search without jumps would continue with."""
        everyone = np.concatenate([np.where(self.plain[row], rank, -np.inf), self.tails.rank])
        chosen = best_of_each(
            np.concatenate([inputs, self.tails.input]), everyone, self.beams, len(self.lost)
        )
        self.tails = self.tails.only(chosen[len(row) :])
        return chosen[: len(row)]

    def _jump(
        self,
        row: Ints,
        token: Ints,
        log_prob: Floats,
        potential: Floats,
        plain: NDArray[np.bool_],
        rests: Rests,
    ) -> None:
        """Score the rests of these sequences in one pass; they are finished then."""
        ids, offsets = rests.ids, rests.offsets
        reached = np.repeat(log_prob, rests.lengths)
        if not self.allowed:  # else each of their tokens is the only one allowed
            reached += rests.gains(self.decoding, row, token)
        ranks, last = reached + potential, offsets[1:] - 1
        written = np.column_stack([self.written[row], token])
        self.finished.add(self.input[row], reached[last], ranks[last], written, ids, offsets)
        self.tails = self.tails.joined(Tails.of(self.input[row], ranks, offsets).only(plain))
