"""Faults of prefix reuse, put into our code one at a time: each must be caught.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from ergotext.errors import ModelError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding import memo, packing, reader, tree
from tests.conftest import reference_log_prob
from tests.faulty import load_with_fault

FAULTS = {
    "17: rows see each other's prefixes": (
        "decoding.packing",
        ("= piece[:, None] == owner", "= True"),
    ),
    "17: rows see each other's tokens": (
        "decoding.packing",
        ("(piece[:, None] == piece) & (branch[:, None] == branch)", "(branch[:, None] == branch)"),
    ),
    "17: branches see each other": ("decoding.packing", ("& (branch[:, None] == branch) ", "")),
    "17: places counted from the start of the pass": (
        "decoding.packing",
        ("opening + before[piece] + step", "opening + longest + step"),
    ),
    "17: tokens of a tree see what follows": ("decoding.tree", (".tril()", "")),
    "17: rows of a tree see what others have read": (
        "decoding.tree",
        ("self.known[-1][:old] if old else []", "self.known[-1][:] if self.known else []"),
    ),
    "17: rows of a tree see tokens of others": (
        "decoding.tree",
        ("self.own[-1][: common - start]", "self.own[-1][start - common :]"),
    ),
    "17: the cache of other tokens": (
        "decoding.tree",
        ("range(self.width, self.width + start - old)", "range(start - old)"),
    ),
    "17: places counted from the start of a tree": (
        "decoding.tree",
        ("torch.tensor(tree.depth)", "torch.arange(count)"),
    ),
    "17: tokens of the first tree for those of all": ("decoding.tree", ("first + at", "at")),
    "18: prefixes found by their length": (
        "decoding.memo",
        ("self._by_prefix.get(tokens[:shared])", "self._by_prefix.get((shared,))"),
        ("self._by_prefix[tokens[:end]] = reading", "self._by_prefix[(end,)] = reading"),
    ),
    "18: prefixes found by their last tokens": (
        "decoding.memo",
        ("self._by_prefix.get(tokens[:shared])",
         "self._by_prefix.get(tokens[max(0, shared - 3) : shared])"),
        ("self._by_prefix[tokens[:end]] = reading",
         "self._by_prefix[tokens[max(0, end - 3) : end]] = reading"),
    ),
    "18: scores found by length": (
        "decoding.memo",
        ("return self._scores.get(tokens)", "return self._scores.get((len(tokens),))"),
        ("self._scores.setdefault(tokens, reading.token_log_prob)",
         "self._scores.setdefault((len(tokens),), reading.token_log_prob)"),
    ),
}  # fmt: skip


def check_scores(
    lm: CausalLM, modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that share beginnings, ends and lengths, against the plain computation."""
    base = tuple(range(10, 22))
    edits = [(*base[:5], 99, *base[6:]), (77, *base[1:]), base[3:], (9, *base[:-1]), base[:2]]
    many = [(60, 61, 62, n, *base[5:10]) for n in range(30, 45)]
    fresh = CausalLM(lm.model, lm.vocabulary, lm.start_id, lm.end_id)
    old = fresh._reader
    monkeypatch.setattr(reader, "pack", modules["decoding.packing"].pack)
    monkeypatch.setattr(reader, "forests", modules["decoding.tree"].forests)
    fresh._reader = reader.Reader(
        old.model, old.projection, old.opening, old.end_id, old.token_budget, old.max_positions
    )
    kept = fresh._reader.memo
    fresh._reader.memo = modules["decoding.memo"].PrefixMemo(kept.root, kept.capacity)
    for rows in ([base], edits, [(*row, 50) for row in edits], edits, many):
        value = fresh.log_prob(TokenBatch.of(rows)).tolist()
        assert value == pytest.approx([reference_log_prob(lm, row) for row in rows], abs=5e-4)
    start, token = torch.tensor([4, 2]), torch.tensor([[30, 31, 32], [33, 34, 35]])
    two = [base, edits[1][:7]]
    score = fresh.candidate_log_prob(TokenBatch.of(two), start, start + 1, token).flatten().tolist()
    edited = [
        (*row[:at], t, *row[at + 1 :])
        for row, at, tokens in zip(two, start.tolist(), token.tolist(), strict=True)
        for t in tokens
    ]
    assert score == pytest.approx([reference_log_prob(lm, row) for row in edited], abs=5e-4)


REAL = {"decoding.memo": memo, "decoding.packing": packing, "decoding.tree": tree}


def test_the_code_as_it_is_passes(small_lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    check_scores(small_lm, REAL, monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(small_lm: CausalLM, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *changes = FAULTS[fault]
    # Some are caught before any test is: the reader tries two rows side by side when it is made.
    with pytest.raises((AssertionError, ModelError)):
        check_scores(small_lm, REAL | {name: load_with_fault(f"lm.{name}", *changes)}, monkeypatch)
