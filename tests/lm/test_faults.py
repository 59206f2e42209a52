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
from ergotext.lm.decoding import memo, packing, reader
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
    fresh = CausalLM(lm.model, lm.vocabulary, lm.start_id, lm.end_id)
    old = fresh._reader
    monkeypatch.setattr(reader, "pack", modules["decoding.packing"].pack)
    fresh._reader = reader.Reader(
        old.model, old.projection, old.opening, old.end_id, old.token_budget, old.max_positions
    )
    kept = fresh._reader.memo
    fresh._reader.memo = modules["decoding.memo"].PrefixMemo(kept.root, kept.capacity)
    for rows in ([base], edits, [(*row, 50) for row in edits], edits):
        value = fresh.log_prob(TokenBatch.of(rows)).tolist()
        assert value == pytest.approx([reference_log_prob(lm, row) for row in rows], abs=5e-4)
    start, token = torch.tensor([4]), torch.tensor([[30, 31, 32]])
    score = fresh.candidate_log_prob(TokenBatch.of([base]), start, start + 1, token)[0].tolist()
    edited = [(*base[:4], int(t), *base[5:]) for t in token[0]]
    assert score == pytest.approx([reference_log_prob(lm, row) for row in edited], abs=5e-4)


REAL = {"decoding.memo": memo, "decoding.packing": packing}


def test_the_code_as_it_is_passes(small_lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    check_scores(small_lm, REAL, monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(small_lm: CausalLM, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *changes = FAULTS[fault]
    # Some are caught before any test is: the reader tries two rows side by side when it is made.
    with pytest.raises((AssertionError, ModelError)):
        check_scores(small_lm, REAL | {name: load_with_fault(f"lm.{name}", *changes)}, monkeypatch)
