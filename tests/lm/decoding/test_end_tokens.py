"""Rows that several tokens may end."""

from __future__ import annotations

import itertools

import pytest
import torch

from ergotext.lm.decoding.end_tokens import ClosedBy
from ergotext.lm.trie import build
from ergotext.samplers.search.beam import beam
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import END, LATIN, TableDecoding

SIZE, CLOSING = 10, (3, 9)
KEYS = [(1,), (1, 2), (5, 1, 8), (7,), (5, 1)]


def log_prob(table: TableDecoding, key: tuple[int, ...]) -> float:
    """The sum over all tokens that may end it."""
    ways = [table.table[[[0, *key]], [[*key, last]]].sum() for last in (END, *CLOSING)]
    return float(torch.stack(ways).logsumexp(0))


def check(kind: type[ClosedBy]) -> None:
    table = TableDecoding.of(SIZE, [0, 6])
    closed = kind(table, CLOSING)
    assert closed.end == END and closed.size == SIZE and len(closed) == 2
    every = torch.arange(2).repeat_interleave(SIZE), torch.arange(SIZE).repeat(2)
    law = closed.logits(*every).view(2, SIZE) - closed.log_z()[:, None]
    assert law.exp().sum(1).tolist() == pytest.approx([1.0, 1.0])
    assert (law[:, CLOSING] == -torch.inf).all()
    ends = table.table[torch.tensor([0, 6])][:, [END, *CLOSING]].logsumexp(1)
    assert law[:, END].tolist() == pytest.approx(ends.tolist())
    later = closed.advance(torch.tensor([1, 0]), torch.tensor([2, 5]))
    other = kind(TableDecoding(table.table, torch.tensor([2, 5])), CLOSING)
    assert torch.equal(later.logits(*every), other.logits(*every))
    runs, rows = [(1, 2, END), (END,), (5, 1)], torch.tensor([0, 1, 1])
    flat = torch.tensor(list(itertools.chain(*runs)))
    offsets = torch.tensor([0, 3, 4, 6])
    scores = closed.rest_log_prob(rows, flat, offsets)
    assert scores[:3].sum().item() == pytest.approx(log_prob(table, (1, 2)))
    assert scores[3].item() == pytest.approx(float(ends[1]))
    assert scores[4:].tolist() == table.rest_log_prob(rows, flat, offsets)[4:].tolist()
    trie = build(KEYS, LATIN.alphabet)  # whose tails a search jumps along
    (found,) = beam(kind(TableDecoding.of(SIZE, [0]), CLOSING), trie, k=5)
    expected = {key: pytest.approx(log_prob(table, key)) for key in KEYS}
    assert {one.tokens: one.log_prob for one in found.hypotheses} == expected


def test_probabilities_of_all_ends_add_up() -> None:
    check(ClosedBy)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{*closing, decoding.end}", "set(closing)"),
        ("self._inner.logits(rows, tokens)\n        found = found.masked_fill("
         "torch.isin(tokens, self._closing), -torch.inf)", "self._inner.logits(rows, tokens)"),
        ("rows[ends].repeat_interleave(len(self._closing))",
         "rows[ends].repeat(len(self._closing))"),
        ("total = torch.logaddexp(total, score)", "total = torch.maximum(total, score)"),
        ("ClosedBy(self._inner.advance(rows, tokens), self._closing.tolist())",
         "ClosedBy(self._inner.advance(rows, tokens), [])"),
    ],
)  # fmt: skip
def test_faults_are_seen(old: str, new: str) -> None:
    module = load_with_fault("lm.decoding.end_tokens", (old, new))
    with pytest.raises(AssertionError):
        check(module.ClosedBy)
