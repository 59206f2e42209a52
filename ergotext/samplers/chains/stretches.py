"""Stretches of texts: which may be written anew, and how, between what is kept.

The tokens come from the model, from left to right, masked by the target's automaton. More are drawn
than are needed; the length of the stretch is then drawn by how likely the model is, after so many
tokens, to go on with the first token that is kept after them, or to end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.automaton_base import check_known
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.chains.edits import Layout
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import Target
from ergotext.support.arrays import Ints

FAR = 1 << 30
"""Tokens that there is never room for"""
COVERED = 0.1
"""How often a stretch over a keyword is chosen, beside one over free tokens: it is seldom written
again, but without such stretches keywords would never change places."""


def place_law(batch: TokenBatch, longest: int) -> Tensor:
    """float64 [B, longest + 1, L + 1]: the law of the stretch of each row.

    Entry (ℓ, i) is the stretch of ℓ tokens after the first i; all that hold no token of a keyword
    are equally likely.
    """
    here = Layout(batch)
    columns = here.free.shape[1]
    free = torch.nn.functional.pad(here.free, (1, 0)).long().cumsum(1)
    law = torch.zeros(len(batch), longest + 1, columns, dtype=torch.float64)
    law[:, 0] = COVERED + (1 - COVERED) * here.gap
    for size in range(1, min(longest, columns - 1) + 1):
        whole = free[:, size:-1] - free[:, : -size - 1] == size
        law[:, size, :-size] = COVERED + (1 - COVERED) * whole
    stop = torch.arange(longest + 1)[:, None] + torch.arange(columns)
    law *= stop <= batch.length[:, None, None]
    return law / law.sum((1, 2), keepdim=True)


@dataclass(frozen=True, eq=False)
class KeptEnds:
    """What of each text is kept: all but a stretch.

    Parameters
    ----------
    batch : TokenBatch
        [B]: the texts, with the stretches that they have.
    begin, stop : int64 [B]
        Where the stretch of each begins and stops.
    room : int64 [B]
        Most tokens of the stretch.
    """

    batch: TokenBatch
    begin: Tensor
    stop: Tensor
    room: Tensor

    @property
    def rest(self) -> Tensor:
        """int64 [B]: tokens of the kept end."""
        return self.batch.length - self.stop

    def select(self, index: Tensor) -> KeptEnds:
        parts = (self.begin[index], self.stop[index], self.room[index])
        return KeptEnds(self.batch.select(index), *parts)

    def tokens(self, at: Tensor, end: int) -> Tensor:
        """int64 [B]: the token at a place of each text; ``end`` beyond it."""
        wide = self.batch.padded(self.batch.width + 1).ids
        token = wide.gather(1, at.clamp(max=self.batch.width)[:, None])[:, 0]
        return torch.where(at < self.batch.length, token, end)

    def joined(self, written: TokenBatch) -> TokenBatch:
        """What was written with the kept ends after it, without lock marks."""
        length = written.length + self.rest
        column = torch.arange(int(length.max()))
        from_end = (column - (written.length - self.stop)[:, None]).clamp(0, self.batch.width)
        kept = self.batch.padded(self.batch.width + 1).ids.gather(1, from_end)
        own = written.padded(len(column)).ids
        ids = torch.where(column < written.length[:, None], own, kept)
        return TokenBatch(ids, length, torch.zeros_like(ids))


@dataclass(frozen=True, eq=False)
class Rewritten:
    """Texts whose stretches were written anew."""

    batch: TokenBatch
    """[B], without lock marks"""
    log_q: Tensor
    """float64 [B]: of the stretch, given what was drawn beyond it; -inf if it is none"""


def rewritten(draws: Draws, target: Target, kept: KeptEnds, tries: int) -> Rewritten:
    """The texts as they are, and after them all with new stretches, so many times.

    [(1 + tries) · B]. What is drawn beyond a stretch decides how likely its length was, so it is
    drawn for the texts as they are, too. A stretch that they have and that could not have been
    drawn has −inf.
    """
    writing = _Writing(draws, target, kept, tries)
    while bool(writing.open.any()):
        writing.extend()
    return writing.cut()


class _Writing:
    """The rows of all tries, token by token."""

    def __init__(self, draws: Draws, target: Target, kept: KeptEnds, tries: int) -> None:
        self.draws, self.target, self.size = draws, target, len(kept.batch)
        self.kept = kept = kept.select(torch.arange(self.size).repeat(1 + tries))
        self.given = torch.arange(len(kept.batch)) < self.size
        self.rows = replace(kept.batch, length=kept.begin).padded(target.max_length + 1)
        self.state = _read(target, kept.batch, kept.begin)
        self.open = torch.ones(len(self.rows), dtype=torch.bool)
        self.step = 0
        shape = len(self.rows), int(kept.room.max()) + 1
        self.log_q = torch.zeros(shape, dtype=torch.float64)
        """Of the first tokens of each stretch, so many"""
        self.log_join = torch.full(shape, -torch.inf, dtype=torch.float64)
        """Of the kept end's first token, or of the end, after so many"""

    def extend(self) -> None:
        """Look at the next token of every open row, and draw it where there is room."""
        at = self.open.nonzero()[:, 0]
        log_prob = _next_log_prob(self.target, self.rows.select(at))
        self.log_join[at, self.step] = self._joining(at, log_prob)
        going = self.step < self.kept.room[at]
        law = torch.zeros(len(self.rows), log_prob.shape[1], dtype=torch.float64)
        law[at[going]] = self._law(at[going], log_prob[going])
        self.open = law.sum(1) > 0
        token, at = self._drawn(law), self.open.nonzero()[:, 0]
        self.step += 1
        if not len(at):
            return
        log_token = law[at, token[at]].log()
        self.log_q[at, self.step] = self.log_q[at, self.step - 1] + log_token
        rows = at.numpy()
        self.state[rows] = self.target.automaton.advance(self.state[rows], token[at].numpy())
        ids = self.rows.ids.scatter(1, self.rows.length[:, None], token[:, None])
        self.rows = replace(self.rows, ids=ids, length=self.rows.length + self.open)

    def _joining(self, at: Tensor, log_prob: Tensor) -> Tensor:
        """float64 [n]: log p of what comes first of the kept end; -inf where it cannot be read."""
        kept, automaton = self.kept.select(at), self.target.automaton
        first = kept.tokens(kept.stop, automaton.end)
        state = self.state[at.numpy()]
        state = _walked(self.target, state, kept.batch, kept.stop, kept.batch.length)
        ends = torch.from_numpy(automaton.advance(state, np.full(len(at), automaton.end)) >= 0)
        return log_prob.gather(1, first[:, None])[:, 0].masked_fill(~ends, -torch.inf)

    def _law(self, at: Tensor, log_prob: Tensor) -> Tensor:
        """float64 [n, V]: what the next token of each row is drawn from; zeros at a dead end."""
        need = _needs(self.target, self.state[at.numpy()], log_prob.shape[1])
        left = self.kept.room[at] - self.step - 1 + self.kept.rest[at]
        allowed = need <= left[:, None]
        allowed[:, self.target.automaton.end] = False
        log_prob = log_prob.masked_fill(~allowed, -torch.inf)
        law = log_prob.softmax(1)
        return law.masked_fill((log_prob.amax(1) == -torch.inf)[:, None], 0.0)

    def _drawn(self, law: Tensor) -> Tensor:
        """int64 [R]: a token of every open row; those that stand in the texts as they are."""
        at = self.kept.begin + self.step
        token = self.kept.tokens(at, self.target.automaton.end)
        sure = self.given & self.open & (at < self.kept.stop)
        token = torch.where(sure, token, 0)
        law = _settled(law, sure | ~self.open, token)
        return torch.cat([self.draws.categorical(part) for part in law.split(self.size)])

    def cut(self) -> Rewritten:
        """Draw the lengths of the stretches, and join the kept ends."""
        kept, total = self.kept, self.log_join.logsumexp(1)
        none = total == -torch.inf
        size = torch.where(self.given, kept.stop - kept.begin, 0)
        law = self.log_join.softmax(1)
        law = _settled(law, self.given | none, size)
        size = torch.cat([self.draws.categorical(part) for part in law.split(self.size)])
        log_size = self.log_join.gather(1, size[:, None])[:, 0] - total
        log_q = self.log_q.gather(1, size[:, None])[:, 0] + log_size
        batch = kept.joined(replace(self.rows, length=kept.begin + size))
        return Rewritten(batch, log_q.masked_fill(none, -torch.inf))


def _settled(law: Tensor, sure: Tensor, value: Tensor) -> Tensor:
    """float64 [R, N]: the law, certain of a value in some rows (bool [R])."""
    law = law.clone()
    law[sure] = 0.0
    law[sure, value[sure]] = 1.0
    return law


def _needs(target: Target, states: Ints, size: int) -> Tensor:
    """int32 [B, V]: fewer tokens cannot do after each next token; FAR where it may not follow."""
    distinct, which = np.unique(states, return_inverse=True)
    row, token, after = target.automaton.candidates(distinct)
    check_known(token, size)
    need = np.full((len(distinct), size), FAR, dtype=np.int32)
    need[row, token] = np.minimum(target.automaton.least(after), FAR - 1)
    return torch.from_numpy(need[which])


def _next_log_prob(target: Target, prefix: TokenBatch) -> Tensor:
    """float64 [B, V]: of the next tokens, computed once for rows that are the same."""
    number = {row: n for n, row in enumerate(dict.fromkeys(prefix.rows()))}
    which = torch.tensor([number[row] for row in prefix.rows()])
    distinct = TokenBatch.of(list(number))
    return target.scorer.next_log_prob(distinct, distinct.length)[which]


def _read(target: Target, batch: TokenBatch, cut: Tensor) -> Ints:
    """[B]: the automaton's states after the first ``cut`` tokens."""
    return _walked(target, target.automaton.start(len(batch)), batch, torch.zeros_like(cut), cut)


def _walked(target: Target, state: Ints, batch: TokenBatch, begin: Tensor, stop: Tensor) -> Ints:
    """[B]: the states after the tokens from ``begin`` to ``stop``."""
    wide = batch.padded(batch.width + 1).ids
    for step in range(int((stop - begin).max())):
        at = begin + step
        token = wide.gather(1, at.clamp(max=batch.width)[:, None])[:, 0]
        after = target.automaton.advance(state, token.numpy())
        state = np.where((at < stop).numpy(), after, state)
    return state
