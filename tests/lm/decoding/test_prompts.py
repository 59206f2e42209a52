"""Prompts that are written behind: caches reordered on the way, against the model's own pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding.cached import CachedDecoding
from ergotext.lm.decoding.prompts import read_prompts
from tests.faulty import load_with_fault

SIZE = 430
PROMPTS = [(7, 9, 30, 11, 5), (5,), (), (5,), (8, 8)]


@torch.inference_mode()
def law(lm: CausalLM, row: tuple[int, ...]) -> torch.Tensor:
    """float64 [n + 1, V]: the law of each next token, by one pass of the whole model."""
    ids = torch.tensor([[lm.start_id, *lm.context, *row]])
    return lm.model(ids).logits[0, len(lm.context) :].double().log_softmax(-1)


def check_steps(lm: CausalLM, read: Callable[..., CachedDecoding] = read_prompts) -> None:
    """Rows are reordered, doubled and dropped on the way, and go on as the whole model does."""
    state, rows = read(lm._reader, PROMPTS), list(PROMPTS)
    for chosen, tokens in (([2, 0, 0, 1, 4], [9, 8, 7, 6, 5]), ([0, 1, 3, 4], [5, 5, 4, 6]),
                           ([2, 2, 0], [3, 9, 12]), ([0, 1, 2], [3, 9, 12])):  # fmt: skip
        every = torch.arange(len(rows)).repeat_interleave(SIZE)
        found = state.logits(every, torch.arange(SIZE).repeat(len(rows))).reshape(-1, SIZE)
        found = found - state.log_z()[:, None]
        for row, mine in zip(rows, found, strict=True):
            assert mine.tolist() == pytest.approx(law(lm, row)[-1].tolist(), abs=2e-4)
        runs = [(4, 6, lm.end_id), (lm.end_id,), (9, 4, 4, 5)]
        offsets = torch.tensor([0, 3, 4, 8])
        last = len(rows) - 1
        scores = state.rest_log_prob(
            torch.tensor([last, 0, 1]), torch.tensor([t for run in runs for t in run]), offsets
        )
        for row, run, score in zip(
            (rows[last], rows[0], rows[1]), runs, scores.split(offsets.diff().tolist()), strict=True
        ):
            whole = law(lm, (*row, *run))[len(row) :]
            wanted = [float(whole[i, token]) for i, token in enumerate(run)]
            assert score.tolist() == pytest.approx(wanted, abs=2e-4)
        state = state.advance(torch.tensor(chosen), torch.tensor(tokens))
        rows = [(*rows[r], t) for r, t in zip(chosen, tokens, strict=True)]


@pytest.mark.parametrize("context", ["", "The summer sun"])
@pytest.mark.parametrize("budget", [6, 1024])
def test_steps_are_those_of_the_whole_model(
    small_lm: CausalLM, context: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = small_lm.given(context)
    monkeypatch.setattr(lm._reader, "token_budget", budget)
    check_steps(lm)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("position = (self.real.sum(1, keepdim=True) +", "position = (self.real.shape[1] +"),
        ("& fresh[:, None]", ""),
        (".tril()", ""),
        ("self.real[:, None].expand(count, width, -1)",
         "torch.ones(count, width, self.real.shape[1], dtype=torch.bool)"),
        ("Continued(self.reader, layers, self.real[rows])",
         "Continued(self.reader, layers, self.real)"),
        ("torch.equal(rows, torch.arange(len(self.real)))", "len(rows) == len(self.real)"),
        ("torch.where(empty, hidden, states[:, -1])", "states[:, -1]"),
        ("read.select(rows)", "read"),
    ],
)  # fmt: skip
def test_fault_is_caught(old: str, new: str, placed_lm: CausalLM) -> None:
    broken = load_with_fault("lm.decoding.prompts", (old, new))
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        check_steps(placed_lm.given("The summer sun"), broken.read_prompts)


def test_equal_prompts_are_read_once_and_nothing_twice(small_lm: CausalLM) -> None:
    passes: list[int] = []
    hook = small_lm.model.base_model.register_forward_pre_hook(
        lambda _m, _a, given: passes.append(given["input_ids"].numel()), with_kwargs=True
    )
    state = small_lm.read([(7, 9, 30), (7, 9, 30), (5, 5)] * 10)
    for _ in range(3):
        state = state.advance(torch.arange(30), torch.full((30,), 6))
    hook.remove()
    assert passes == [2 * 3, 30, 30, 30] and len(state) == 30


def test_rows_up_to_the_last_position(small_lm: CausalLM) -> None:
    """96 positions, 64 of Gemma's window: one is the start token's, none the end token's."""
    most = small_lm.max_positions - 1
    full = tuple(4 + i % 7 for i in range(most))
    state = small_lm.read([full[:-2], (5,)])
    assert state.room.tolist() == [3, most]
    run = torch.tensor([*full[-2:], small_lm.end_id])
    score = state.rest_log_prob(torch.tensor([0]), run, torch.tensor([0, 3]))
    wanted = small_lm.token_log_prob(TokenBatch.of([full]))[0, -3:]
    assert score.tolist() == pytest.approx(wanted.tolist(), abs=2e-4)
    with pytest.raises(InputError, match="remove longer keys"):
        state.rest_log_prob(torch.tensor([0]), torch.full((4,), 5), torch.tensor([0, 4]))
    state = state.advance(torch.tensor([0]), torch.tensor([5]))
    state = state.advance(torch.tensor([0]), torch.tensor([5]))
    assert state.room.tolist() == [1]
    with pytest.raises(InputError, match=f"exceed the {most + 1} positions"):
        state.advance(torch.tensor([0]), torch.tensor([5]))
    with pytest.raises(InputError, match="token positions"):
        small_lm.read([full, (*full, 5)])


def test_no_prompts(small_lm: CausalLM) -> None:
    state = small_lm.read([])
    assert len(state) == 0 and state.log_z().shape == (0,)
    none = torch.zeros(0, dtype=torch.int64)
    assert state.logits(none, none).shape == (0,)


@pytest.mark.parametrize("prompts", [["text"], "text", [[3.5]], [[5], [-1]], [[430]]])
def test_prompts_that_are_no_ids(small_lm: CausalLM, prompts: object) -> None:
    with pytest.raises(InputError, match=r"input \d (is not a sequence of|contains ids)"):
        small_lm.read(prompts)


def test_prompts_as_tensors(small_lm: CausalLM) -> None:
    rows, tensor = small_lm.read([(5, 6), (7, 8)]), small_lm.read(torch.tensor([[5, 6], [7, 8]]))
    assert torch.equal(rows.log_z(), tensor.log_z())
