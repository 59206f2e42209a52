"""A model under an ending rule: p', whose end token takes the mass of what the rule names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch, checked, microbatches
from ergotext.lm.endings.rule import EndingRule
from ergotext.lm.protocols import Reducible
from ergotext.lm.text_scorer import TextScorer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.reprs import brief, safe

BROKEN = "\ufffd"
"""What a tokenizer writes for bytes that are no character."""
ENDS_KEPT = 20_000
"""Rows whose end score is kept: chains see half of their proposals again."""
ROWS_AT_ONCE = 2048
"""Tokens of rows scored together, so that they are still cached when their ends are scored."""


class EndingScorer:
    """log p' of token sequences, where a text ends as a rule says (``NextTokenScorer``).

    Where the rule names tokens A after a prefix, p'(end) = p(end) + Σ_{v∈A} p(v), p'(v) = 0 for
    v in A, and p' = p for all others; elsewhere p' = p. So Σ_v p'(v) = 1 everywhere, and a row
    that goes on where it should have ended has log p' = −inf.

    Parameters
    ----------
    lm : TextScorer
        p, such as a ``CausalLM``.
    rule : EndingRule
    """

    def __init__(self, lm: TextScorer, rule: EndingRule) -> None:
        self.lm = lm
        self.rule = rule
        self._log_ends: dict[tuple[int, ...], float] = {}
        self._reduced: dict[int, EndingScorer] = {}

    @safe
    def __repr__(self) -> str:
        return f"EndingScorer({self.lm!r}, end={brief(self.rule)})"

    def __getattr__(self, name: str) -> Any:
        """What else the model has: its device, its dtype, its window."""
        if name == "lm":  # not yet made, as when unpickled
            raise AttributeError(name)
        return getattr(self.lm, name)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.lm.vocabulary

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may occur in a text."""
        return self.lm.allowed

    @property
    def end_id(self) -> int:
        return self.lm.end_id

    def given(self, context: str) -> EndingScorer:
        """The same conditioned on ``context``, a text before every row."""
        return EndingScorer(self.lm.given(context), self.rule)

    @property
    def precision(self) -> str:
        """What the model multiplies in.

        Written out, as from Python 3.12 ``isinstance`` finds no attribute by ``__getattr__``.
        """
        return self.lm.precision if isinstance(self.lm, Reducible) else "float32"

    def in_precision(self, name: str) -> EndingScorer:
        """The same over the model in lower precision, if it has one (``CausalLM.in_precision``)."""
        other: Any = self.lm
        if isinstance(self.lm, Reducible):
            other = self.lm.in_precision(name)
        if other is self.lm:
            return self
        if id(other) not in self._reduced:
            self._reduced[id(other)] = EndingScorer(other, self.rule)
        return self._reduced[id(other)]

    def decode(self, batch: TokenBatch) -> list[str]:
        """The texts, without bytes at their ends that the rule finds to be none of it."""
        texts, spare = self.lm.decode(batch), self.rule.spare(batch).tolist()
        return [t.rstrip(BROKEN) if cut else t for t, cut in zip(texts, spare, strict=True)]

    def forget(self) -> None:
        """Drop the caches of earlier calls."""
        for one in (self, *self._reduced.values()):
            one._log_ends.clear()
        self.lm.forget()

    def log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: log p'(row, end); no model is run for rows where that is −inf."""
        goes_on = ~self._refused(batch).any(-1)
        result = torch.full((len(batch),), -torch.inf, dtype=torch.float64)
        result[goes_on] = self.token_log_prob(batch.select(goes_on)).sum(-1)
        return result

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B, L + 1]: log p' of each token, then of the end; 0 elsewhere."""
        checked(batch, len(self.allowed))
        result = torch.zeros(len(batch), batch.width + 1, dtype=torch.float64)
        for group in microbatches(batch.length.tolist(), ROWS_AT_ONCE):
            result[group] = self._token_log_prob(batch.select(group))
        return result

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p'(token | the first ``position`` [B] tokens of each row)."""
        law = self.lm.next_log_prob(batch, position)
        kind = self.rule.kinds(batch).gather(1, position[:, None])[:, 0]
        at = kind.nonzero()[:, 0]
        return law.index_copy(0, at, self._ended(law[at], kind[at])) if len(at) else law

    def candidate_log_prob(
        self,
        batch: TokenBatch,
        start: Tensor,
        stop: Tensor,
        tokens: Tensor,
        horizon: int | None = None,
    ) -> Tensor:
        """float64 [B, K]: log p' with ``row[start:stop]`` replaced by one candidate.

        Of a horizon that takes in the end, rows that end as the rule says are read once more.
        """
        total = self.lm.candidate_log_prob(batch, start, stop, tokens, horizon).flatten()
        rows, whole = [], []
        for row, a, b, options in zip(
            batch.rows(), start.tolist(), stop.tolist(), tokens.tolist(), strict=True
        ):
            right = row[b:] if horizon is None else row[b : b + horizon]
            rows += [(*row[:a], token, *right) for token in options]
            seen = horizon is None or horizon > len(row) - b
            whole += [seen] * len(options)
        edited = TokenBatch.of(rows)
        kinds = self.rule.kinds(edited)
        last = kinds.gather(1, edited.length[:, None])[:, 0]
        at = ((last > 0) & torch.tensor(whole, dtype=torch.bool)).nonzero()[:, 0]
        plain, ended = self._ends(edited.select(at), last[at])
        total = total.index_add(0, at, ended - plain)
        if bool((lost := total.isnan()).any()):  # where the model itself never ends
            total[lost] = self.log_prob(edited.select(lost))
        refused = self._refused(edited, kinds).any(-1)
        return total.masked_fill(refused, -torch.inf).view(tokens.shape)

    def _refused(self, batch: TokenBatch, kinds: Tensor | None = None) -> Tensor:
        """bool [B, L]: tokens that stand where they would have ended the text."""
        kinds = self.rule.kinds(batch) if kinds is None else kinds
        return self.rule.absorbed[kinds[:, :-1], batch.ids] & batch.inside

    def _token_log_prob(self, batch: TokenBatch) -> Tensor:
        kinds = self.rule.kinds(batch)
        scores = self.lm.token_log_prob(batch)
        refused = torch.nn.functional.pad(self._refused(batch, kinds), (0, 1))
        scores = scores.masked_fill(refused, -torch.inf)
        last = kinds.gather(1, batch.length[:, None])[:, 0]
        at = last.nonzero()[:, 0]
        ends = self._log_end(batch.select(at), last[at])
        return scores.index_put((at, batch.length[at]), ends)

    def _log_end(self, batch: TokenBatch, kind: Tensor) -> Tensor:
        """float64 [B]: log p'(end) after whole rows, kept for the next time."""
        rows = batch.rows()
        missing = [r for r, row in enumerate(rows) if row not in self._log_ends]
        found = [self._log_ends.get(row, 0.0) for row in rows]
        _, fresh = self._ends(batch.select(missing), kind[missing])
        for r, value in zip(missing, fresh.tolist(), strict=True):
            found[r] = self._log_ends[rows[r]] = value
        while len(self._log_ends) > ENDS_KEPT:
            del self._log_ends[next(iter(self._log_ends))]
        return torch.tensor(found, dtype=torch.float64)

    def _ends(self, batch: TokenBatch, kind: Tensor) -> tuple[Tensor, Tensor]:
        """float64 [B] twice: log p(end) and log p'(end) after whole rows."""
        law = self.lm.next_log_prob(batch, batch.length)
        return law[:, self.end_id], self._ended(law, kind)[:, self.end_id]

    def _ended(self, law: Tensor, kind: Tensor) -> Tensor:
        """log p' [n, V] of log p [n, V] at places of these kinds."""
        ends = self.rule.absorbed[kind]
        ends[:, self.end_id] = True
        log_end = law.masked_fill(~ends, -torch.inf).logsumexp(-1)
        column = torch.full((len(law), 1), self.end_id)
        return law.masked_fill(ends, -torch.inf).scatter(1, column, log_end[:, None])
