"""Contexts that begin alike are read once, and every context gives what it gives alone."""

from __future__ import annotations

from copy import deepcopy
from types import ModuleType

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding import opening, reader
from tests.faulty import load_with_fault

ROW = TokenBatch.of([(5, 6, 7)])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BLOCK", 4)
    monkeypatch.setattr(opening, "_KNOWN", type(opening._KNOWN)())


def after(lm: CausalLM, *context: int) -> torch.Tensor:
    """Token scores of a row after these tokens."""
    other = lm.given("")
    other.context = context
    other._reader = other._read_by(trusted=True)
    return other.token_log_prob(ROW)


def alone(lm: CausalLM, *context: int) -> torch.Tensor:
    """The same by a model that is read in one piece."""
    return CausalLM(lm.model, lm.vocabulary, lm.start_id, lm.end_id, context).token_log_prob(ROW)


def check_close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)  # float32, in blocks or at once


def check_contexts(lm: CausalLM) -> None:
    shared = tuple(range(20, 31))
    for more in ((), (40,), (41, 42), tuple(range(40, 60)), (42, 41)):
        check_close(after(lm, *shared, *more), alone(lm, *shared, *more))
    for start in ((), (3,), (20, 21, 22), (20, 21, 99, 23, 24)):  # shorter than a block, and near
        check_close(after(lm, *start), alone(lm, *start))


def check_changes(lm: CausalLM) -> None:
    """A model that is trained in place, after its contexts were read, is read anew."""
    context = tuple(range(20, 31))
    own = copied(lm)
    for change in (
        lambda: [p.data.mul_(1.1) for p in own.model.parameters() if p.dim() == 2],
        own.model.train,
        own.model.double,
    ):
        before = after(own, *context)
        change()
        found = after(own, *context)
        check_close(found, alone(own, *context))
        assert own.model.training is False and torch.equal(found, after(own, *context))
        assert not torch.equal(found, before) or own.model.dtype == torch.float32


def copied(lm: CausalLM) -> CausalLM:
    return CausalLM(deepcopy(lm.model), lm.vocabulary, lm.start_id, lm.end_id)


def check_all(lm: CausalLM, module: ModuleType) -> None:
    check_contexts(lm)
    check_changes(lm)
    check_long(lm, module)
    for last in range(60, 90):
        after(lm, *range(20, 26), last, last, last, last)
    kept = module._KNOWN[lm.model]
    assert len(kept) == module.KEPT
    assert all(len(beginning) % 4 == 0 for _, beginning in kept)
    assert {block.shape[3] for block in kept.values()} == {4}


def check_long(lm: CausalLM, module: ModuleType) -> None:
    """A context of more blocks than are kept finds its own, and keeps no more."""
    long = tuple(20 + n % 60 for n in range(4 * module.KEPT + 9))
    check_close(after(lm, *long), alone(lm, *long))
    kept = {key: id(block) for key, block in module._KNOWN[lm.model].items()}
    after(lm, *long)
    assert kept == {key: id(block) for key, block in module._KNOWN[lm.model].items()}
    assert max(len(beginning) for _, beginning in kept) == 4 * module.KEPT


def test_contexts_give_what_they_give_alone(placed_lm: CausalLM) -> None:
    check_all(placed_lm, opening)


def test_numbers_do_not_depend_on_what_was_read_before(placed_lm: CausalLM) -> None:
    context = tuple(range(20, 40))
    first = after(placed_lm, *context)
    again = after(placed_lm, *context)  # from what is kept
    assert torch.equal(first, again)
    opening._KNOWN.clear()
    after(placed_lm, *context[:13], 99)
    assert torch.equal(after(placed_lm, *context), first)


def test_what_begins_alike_is_read_once(
    placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    run = reader.Reader.run
    monkeypatch.setattr(
        reader.Reader,
        "run",
        lambda self, ids, *rest: read.append(ids.shape[1]) or run(self, ids, *rest),
    )
    context = tuple(range(20, 37))  # 18 tokens with the start
    after(placed_lm, *context)
    assert read[:6] == [1, 4, 4, 4, 4, 2]  # the start alone, for the context that is none
    read.clear()
    after(placed_lm, *context[:15], 98, 99, 100)
    assert read[1] == 3  # behind four blocks that were read before


FAULTS = {
    "the wrong beginning": (
        "return kept.get((state, beginning))",
        "return next(iter(kept.values()), None)",
    ),
    "blocks that overlap": (
        "min(len(opening), KEPT * BLOCK + 1), BLOCK)",
        "min(len(opening), KEPT * BLOCK + 1), BLOCK - 1)",
    ),
    "kept for ever": ("while len(kept) > KEPT", "while len(kept) > 10 * KEPT"),
    "a model that changed": ("return told.hexdigest()", 'return "the same"'),
    "blocks without end": ("min(len(opening), KEPT * BLOCK + 1)", "len(opening)"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_faults_are_seen(placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    faulty = load_with_fault("lm.decoding.opening", FAULTS[name])
    faulty.BLOCK = 4
    for each in ("blocks", "known", "keep", "state_of"):
        monkeypatch.setattr(reader, each, getattr(faulty, each))
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        check_all(placed_lm, faulty)
