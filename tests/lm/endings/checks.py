"""What must hold of a model under an ending rule, whatever the rule is."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.target import Target
from ergotext.samplers.unconstrained import Unconstrained

EXACT = 1e-9
Row = tuple[int, ...]


def every_row(longest: int, tokens: int = 4) -> TokenBatch:
    """All rows of the tokens 1 to ``tokens`` of at most this length."""
    return TokenBatch.of(
        [r for n in range(longest + 1) for r in itertools.product(range(1, tokens + 1), repeat=n)]
    )


def check_mass(scorer: Any, longest: int = 3) -> None:
    """The mass of ended texts up to L, and of prefixes that go on at L, are 1 in all."""
    rows = every_row(longest)
    ended = scorer.log_prob(rows).exp().sum()
    longer = every_row(longest + 1)
    longer = longer.select(longer.length == longest + 1)
    going = scorer.token_log_prob(longer)[:, :-1].sum(-1).exp().sum()
    assert abs(float(ended + going) - 1) < EXACT


def check_definition(scorer: Any, ends_at: Any, longest: int = 3) -> None:
    """p'(x, end) against the model: Σ of p(x, v) over all v that end x, by a rule of the test.

    ``ends_at(row, token)`` says whether the token would end the text that the row writes.
    """
    rows = every_row(longest)
    plain = scorer.lm.next_log_prob(rows, rows.length).exp()
    prefix = scorer.lm.token_log_prob(rows)
    got = scorer.log_prob(rows)
    for r, row in enumerate(rows.rows()):
        gone = any(ends_at(row[:i], row[i]) for i in range(len(row)))
        last = plain[r, 0] + sum(plain[r, v] for v in range(1, 5) if ends_at(row, v))
        wanted = -math.inf if gone else float(prefix[r, : len(row)].sum() + last.log())
        assert got[r] == wanted or abs(float(got[r]) - wanted) < EXACT, row


def check_agreement(scorer: Any, rows: TokenBatch, tokens: torch.Tensor, near: float) -> None:
    """All four numbers are of one law: sums, rows, candidates with and without a horizon."""
    each, whole = scorer.token_log_prob(rows), scorer.log_prob(rows)
    assert_near(each.sum(-1), whole, near)
    wide = rows.padded(rows.width + 1)
    for column in range(rows.width + 1):
        at = (rows.length >= column).nonzero()[:, 0]
        some = rows.select(at)
        law = scorer.next_log_prob(some, torch.full((len(at),), column))
        assert_near(law.exp().sum(-1), torch.ones(len(at)).double(), 1e-6)
        target = wide.ids[at, column].where(some.length > column, scorer.end_id)
        assert_near(law.gather(1, target[:, None])[:, 0], each[at, column], near)
    some = rows.select(rows.length > 0)
    for start, gap in itertools.product((0, 1, 2), (0, 1)):
        part = some.select(some.length >= start + gap)
        a = torch.full((len(part),), start)
        options = tokens.expand(len(part), -1)
        for horizon in (None, 0, 1, 2, 50):
            got = scorer.candidate_log_prob(part, a, a + gap, options, horizon)
            assert_near(got, _edited(scorer, part, start, gap, tokens, horizon), near)


def _edited(
    scorer: Any, batch: TokenBatch, start: int, gap: int, tokens: torch.Tensor, horizon: int | None
) -> torch.Tensor:
    rows = [
        (*row[:start], token, *row[start + gap :])
        for row in batch.rows()
        for token in tokens.tolist()
    ]
    each = scorer.token_log_prob(TokenBatch.of(rows))
    upto = each.shape[1] if horizon is None else start + 1 + horizon
    return each[:, :upto].sum(-1).view(len(batch), len(tokens))


def assert_near(got: torch.Tensor, wanted: torch.Tensor, near: float) -> None:
    same = (got == wanted) | ((got - wanted).abs() < near)
    assert bool(same.all()), f"{got[~same][:5].tolist()} for {wanted[~same][:5].tolist()}"


def target_of(scorer: Any, longest: int) -> Target:
    """p' on rows of bounded length, for weighted samplers."""
    return Target(scorer, Unconstrained(scorer.allowed.numpy(), scorer.end_id), longest)
