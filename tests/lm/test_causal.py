"""CausalLM against the plain computation, on small models of several families."""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    GPTNeoConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MptConfig,
)

from ergotext.errors import InputError, ModelError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.protocols import NextTokenScorer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.testing.toy import ToyScorer
from tests.conftest import SMALL, reference_log_prob


def random_rows(count: int, longest: int = 12, seed: int = 0) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, longest + 1, (count,), generator=generator).tolist()
    return [tuple(torch.randint(4, 400, (n,), generator=generator).tolist()) for n in lengths]


@pytest.mark.parametrize("context", ["", "The summer sun"])
def test_log_prob_is_that_of_the_plain_computation(small_lm: CausalLM, context: str) -> None:
    lm = small_lm.given(context)
    rows = [*random_rows(24), ()]
    value = lm.log_prob(TokenBatch.of(rows))
    expected = torch.tensor([reference_log_prob(lm, row) for row in rows], dtype=torch.float64)
    assert value.dtype == torch.float64
    torch.testing.assert_close(value, expected, atol=2e-4, rtol=0)


def test_batch_equals_singles(small_lm: CausalLM) -> None:
    rows = random_rows(40, seed=2)
    small_lm.forget()
    together = small_lm.log_prob(TokenBatch.of(rows))
    alone = []
    for row in rows:
        small_lm.forget()
        alone.append(small_lm.log_prob(TokenBatch.of([row]))[0])
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-4, rtol=0)


def test_edited_rows_cost_only_their_tail_and_score_the_same(small_lm: CausalLM) -> None:
    """What is kept is found by the whole prefix: rows alike at the end or in length are not it."""
    small_lm.forget()
    base = tuple(range(10, 22))
    small_lm.log_prob(TokenBatch.of([base]))
    edits = [
        (*base[:5], 99, *base[6:]),
        (77, *base[1:]),
        base[:-1],
        (*base, 50),
        base[3:],
        (9, *base[:-1]),
    ]
    fed: list[int] = []
    handle = small_lm.model.base_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: fed.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    kept = [float(small_lm.log_prob(TokenBatch.of([row]))[0]) for row in edits]
    handle.remove()
    assert kept == pytest.approx([reference_log_prob(small_lm, row) for row in edits], abs=2e-4)
    # A shortened row needs no pass at all; the others read on from what they share.
    assert fed == [7, 12, 1, 9, 12]


def test_next_log_prob_and_candidates(small_lm: CausalLM) -> None:
    rows = [row for row in random_rows(12, seed=4) if len(row) > 3]
    batch = TokenBatch.of(rows)
    start = torch.tensor([i % len(row) for i, row in enumerate(rows)])
    law = small_lm.next_log_prob(batch, start)
    torch.testing.assert_close(law.logsumexp(-1), torch.zeros(len(rows)).double())
    tokens = torch.randint(4, 400, (len(rows), 5), generator=torch.Generator().manual_seed(1))
    for width, stop in ((0, start), (1, start + 1)):
        edited = [
            [(*row[:a], t, *row[a + width :]) for t in options]
            for row, a, options in zip(rows, start.tolist(), tokens.tolist(), strict=True)
        ]
        expected = torch.tensor(
            [[reference_log_prob(small_lm, e) for e in line] for line in edited]
        )
        score = small_lm.candidate_log_prob(batch, start, stop, tokens)
        torch.testing.assert_close(score, expected.double(), atol=3e-4, rtol=0)
        # With a horizon of one: prefix, candidate and the next token (or the end).
        near = small_lm.candidate_log_prob(batch, start, stop, tokens, horizon=1)
        for r, (row, a) in enumerate(zip(rows, start.tolist(), strict=True)):
            follower = (*row[a + width :], small_lm.end_id)[0]
            for k in range(5):
                prefix = TokenBatch.of([edited[r][k][: a + 1]])
                at = torch.tensor([a])
                first = small_lm.next_log_prob(prefix, at)[0, tokens[r, k]]
                second = small_lm.next_log_prob(prefix, at + 1)[0, follower]
                before = score_of_prefix(small_lm, row[:a])
                assert float(near[r, k]) == pytest.approx(float(before + first + second), abs=3e-4)
        none = small_lm.candidate_log_prob(batch, start, stop, tokens, horizon=0)
        gathered = law.gather(1, tokens)
        torch.testing.assert_close(
            none - none[:, :1], gathered - gathered[:, :1], atol=1e-4, rtol=0
        )


def score_of_prefix(lm: CausalLM, row: tuple[int, ...]) -> float:
    end = lm.next_log_prob(TokenBatch.of([row]), torch.tensor([len(row)]))[0, lm.end_id]
    return float(lm.log_prob(TokenBatch.of([row]))[0] - end)


def test_vocabulary_projection_never_sees_all_tokens_by_all_words(smollm2: CausalLM) -> None:
    """The largest tensor made while scoring is far below [tokens, vocabulary]."""
    rows = [tuple(range(100 + r, 130 + r)) for r in range(40)]
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            name = str(func)
            if isinstance(out, torch.Tensor) and ("mm" in name or "linear" in name):
                largest = max(largest, out.numel())
            return out

    smollm2.forget()
    with Watch():
        smollm2.log_prob(TokenBatch.of(rows))
    assert 0 < largest <= 512 * 4096 < 40 * 30 * 49152 / 20


def test_blocks_and_microbatches_change_nothing(
    small_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ergotext.lm.decoding import projection

    rows = random_rows(20, seed=8)
    tokens = torch.arange(10, 17).expand(len(rows), -1)
    start = torch.zeros(len(rows), dtype=torch.int64)

    def scores(lm: CausalLM) -> torch.Tensor:
        lm.forget()
        batch = TokenBatch.of(rows)
        return torch.cat(
            [lm.log_prob(batch)[:, None], lm.candidate_log_prob(batch, start, start, tokens)], dim=1
        )

    whole = scores(small_lm)
    tight = copy.copy(small_lm)
    tight.token_budget = 16
    monkeypatch.setattr(tight._reader, "token_budget", 16)
    monkeypatch.setattr(projection, "ROWS", 3)
    monkeypatch.setattr(projection, "COLUMNS", 37)
    torch.testing.assert_close(scores(tight), whole, atol=1e-4, rtol=0)


@pytest.fixture
def fresh_lm(small_lm: CausalLM) -> CausalLM:
    """The same model with a memory of its own, to be tampered with."""
    return CausalLM(small_lm.model, small_lm.vocabulary, small_lm.start_id, small_lm.end_id)


def watch_passes(lm: CausalLM) -> tuple[list[int], torch.utils.hooks.RemovableHandle]:
    """Token positions in each forward pass from now on, prefixes included."""
    passes: list[int] = []

    def note(_module, _args, kwargs) -> None:
        passes.append(kwargs["attention_mask"].shape[0] * kwargs["attention_mask"].shape[-1])

    return passes, lm.model.base_model.register_forward_pre_hook(note, with_kwargs=True)


def test_no_pass_is_larger_than_the_budget(fresh_lm: CausalLM) -> None:
    lm = CausalLM(fresh_lm.model, fresh_lm.vocabulary, 0, 1, token_budget=40)
    passes, handle = watch_passes(lm)
    rows = [row for row in random_rows(30, seed=5) if row]
    lm.log_prob(TokenBatch.of(rows))
    assert len(passes) > 1 and max(passes) <= 40 + 1  # and the start token
    passes.clear()
    batch, at = TokenBatch.of([tuple(range(20, 30))]), torch.tensor([3])
    lm.candidate_log_prob(batch, at, at, torch.arange(50, 90)[None])
    handle.remove()
    assert len(passes) > 1 and max(passes) <= 40 + 1


def test_memo_keeps_to_its_capacity_and_drops_the_oldest(fresh_lm: CausalLM) -> None:
    lm, memo = fresh_lm, fresh_lm._reader.memo
    memo.capacity = 30
    rows = [tuple(range(10 + r, 20 + r)) for r in range(8)]
    value = lm.log_prob(TokenBatch.of(rows))
    assert memo._size <= 30 and len(memo._by_prefix) <= memo._size
    assert [row for row in rows if memo.exact(row)] == rows[-3:]
    memo.exact(rows[-3])  # used again: now the youngest
    lm.log_prob(TokenBatch.of([tuple(range(50, 60))]))
    assert memo.exact(rows[-3]) and not memo.exact(rows[-2])
    torch.testing.assert_close(lm.log_prob(TokenBatch.of(rows)), value, atol=1e-4, rtol=0)
    lm.forget()
    assert memo._size == 0 and not memo._by_prefix and not memo._scores


def test_rows_that_grow_side_by_side_are_read_on_by_a_token(fresh_lm: CausalLM) -> None:
    """Also where all of them are more than the memory holds: no row is read from its start."""
    lm, memo = fresh_lm, fresh_lm._reader.memo
    memo.capacity = 20
    read = []

    def note(_module, args, kwargs) -> None:
        read.append((args[0] if args else kwargs["input_ids"]).numel())

    handle = lm.model.base_model.register_forward_pre_hook(note, with_kwargs=True)
    for length in range(1, 12):
        rows = TokenBatch.of([tuple(range(20 + 9 * r, 20 + 9 * r + length)) for r in range(8)])
        lm.next_log_prob(rows, rows.length)
    handle.remove()
    assert read == [8] * 11 and memo._size == 88
    lm.next_log_prob(TokenBatch.of([(5, 6)]), torch.tensor([2]))
    assert memo._size <= 20


def test_a_run_keeps_as_much_whatever_was_read_before(fresh_lm: CausalLM) -> None:
    """Else what is read anew differs in the last bits, and with it a run of the same seed."""
    lm, memo = fresh_lm, fresh_lm._reader.memo
    memo.capacity = 20
    rows = TokenBatch.of([tuple(range(20 + 9 * r, 28 + 9 * r)) for r in range(8)])
    lm.next_log_prob(rows, rows.length)
    assert memo._size == 64
    lm.forget()
    lm.log_prob(rows)
    assert memo._size <= 20


def test_scores_are_kept_when_readings_are_gone(fresh_lm: CausalLM) -> None:
    lm, memo = fresh_lm, fresh_lm._reader.memo
    memo.capacity = 20
    rows = [tuple(range(10 + r, 18 + r)) for r in range(12)]
    first = lm.log_prob(TokenBatch.of(rows))
    passes, handle = watch_passes(lm)
    assert torch.equal(lm.log_prob(TokenBatch.of(rows)), first) and not passes
    # The law at a place needs the reading itself, which is made anew.
    law = lm.next_log_prob(TokenBatch.of(rows[:1]), torch.tensor([3]))
    handle.remove()
    assert passes and float(law[0, rows[0][3]]) == pytest.approx(
        float(lm.token_log_prob(TokenBatch.of(rows[:1]))[0, 3]), abs=1e-4
    )
    memo.score_capacity = 5
    for last in range(5, 15):
        lm.log_prob(TokenBatch.of([(5, 6, last)]))
    assert len(memo._scores) <= 12 + 1 and memo.score((5, 6, 14)) is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "config",
    [
        GPTNeoConfig(
            vocab_size=430, hidden_size=32, num_layers=2, num_heads=4, window_size=40,
            attention_types=[[["global", "local"], 1]],
        ),
        MptConfig(vocab_size=430, d_model=32, n_layers=2, n_heads=4, max_seq_len=96),
        BloomConfig(vocab_size=430, hidden_size=32, n_layer=2, n_head=4),
        FalconConfig(
            vocab_size=430, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True
        ),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_models_that_count_places_on_their_own_are_refused(
    config, dtype, small_lm: CausalLM
) -> None:
    """ALiBi and local windows would misread rows that share a pass, without a word."""
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="ignores position ids"):
        CausalLM(AutoModelForCausalLM.from_config(config).to(dtype), small_lm.vocabulary, 0, 1)


@pytest.mark.slow
def test_rounding_is_not_taken_for_places_ignored() -> None:
    """Kernels without AVX-512 add in another order: SmolLM2 in bfloat16 was refused there."""
    code = "import ergotext as et; print(et.load('smollm2', dtype='bfloat16').dtype)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"ATEN_CPU_CAPABILITY": "avx2"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == "torch.bfloat16\n", done.stderr


def test_rope_that_changes_with_the_length_bounds_the_length(small_lm: CausalLM) -> None:
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "factor": 4.0, **factors}
    rope["original_max_position_embeddings"] = 24
    lm = CausalLM(
        LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters=rope)),
        small_lm.vocabulary,
        0,
        1,
    )
    assert lm.max_positions == 24


def test_token_log_prob_adds_up(small_lm: CausalLM) -> None:
    rows = random_rows(9, seed=12)
    batch = TokenBatch.of(rows)
    parts = small_lm.token_log_prob(batch)
    assert parts.shape == (9, batch.width + 1)
    torch.testing.assert_close(parts.sum(-1), small_lm.log_prob(batch))
    for row, part in zip(rows, parts, strict=True):
        assert (part[len(row) + 1 :] == 0).all() and (part[: len(row) + 1] < 0).all()


def test_a_long_context_is_kept_once(small_lm: CausalLM) -> None:
    lm = small_lm.given("The summer sun shone on the beach and we ate ice cream all day long.")
    assert len(lm.context) > 15
    reading = lm._reader.read([(10, 11, 12)])[0]
    assert reading.keys_values.shape[3] == 3


def test_no_position_beyond_the_last_is_asked_for(small_lm: CausalLM) -> None:
    """A long row that shares much and a shorter one that shares nothing, in one pass."""
    small_lm.forget()
    lm, long = small_lm, tuple(range(10, small_lm.max_positions - 6))
    lm.log_prob(TokenBatch.of([long]))
    rows = [(*long, 5), tuple(range(100, 140))]
    value = lm.log_prob(TokenBatch.of(rows)).tolist()
    assert value == pytest.approx([reference_log_prob(lm, row) for row in rows], abs=5e-4)
    full = TokenBatch.of([range(10, 10 + lm.max_positions - 1)])
    at, token = torch.tensor([3]), torch.tensor([[7]])
    with pytest.raises(InputError, match="token positions"):
        lm.candidate_log_prob(full, at, at, token)
    assert lm.candidate_log_prob(full, at, at + 1, token).shape == (1, 1)


def test_empty_batch(small_lm: CausalLM) -> None:
    none = TokenBatch.of([])
    assert small_lm.log_prob(none).shape == (0,)
    assert small_lm.next_log_prob(none, torch.zeros(0, dtype=torch.int64)).shape == (0, 430)


def test_too_long_a_row_says_so(small_lm: CausalLM) -> None:
    with pytest.raises(InputError, match="token positions"):
        small_lm.log_prob(TokenBatch.of([[5] * 200]))


def test_it_is_a_next_token_scorer(small_lm: CausalLM) -> None:
    assert isinstance(small_lm, NextTokenScorer)


def test_special_and_unused_tokens_are_never_allowed(small_lm: CausalLM) -> None:
    allowed = small_lm.allowed
    assert not allowed[:4].any() and not allowed[420:].any()
    size = len(small_lm.vocabulary.tokenizer)
    assert allowed[4:size].all() and not allowed[size:].any() and size > 260


def test_models_that_cannot_be_driven_are_refused(tokenizer) -> None:
    mamba = MambaForCausalLM(MambaConfig(vocab_size=430, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(ModelError, match="key-value cache"):
        CausalLM(mamba, Vocabulary(tokenizer, 430), 0, 1)

    class Strange(LlamaForCausalLM):
        def forward(self, *args, **kwargs):
            out = super().forward(*args, **kwargs)
            out.logits = out.logits.square()
            return out

    config = LlamaConfig(vocab_size=430, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                         num_attention_heads=2, initializer_range=0.5)  # fmt: skip
    with pytest.raises(ModelError, match="not a known projection"):
        CausalLM(Strange(config), Vocabulary(tokenizer, 430), 0, 1)


def test_rows_that_grow_go_through_the_vocabulary_once(
    small_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token at a time; laws and scores are those of whole rows read afresh."""
    whole = [(30, 40, 50, 60), (31, 41, 51, 61), (30, 40, 52, 62)]
    small_lm.forget()
    small_lm.next_log_prob(TokenBatch.of([()] * 3), torch.tensor([0, 0, 0]))
    blocked: list[int] = []
    log_z = small_lm.projection.log_z

    def watched(hidden: torch.Tensor) -> torch.Tensor:
        blocked.append(len(hidden))
        return log_z(hidden)

    monkeypatch.setattr(small_lm.projection, "log_z", watched)
    laws = []
    for n in range(1, 5):
        batch = TokenBatch.of([row[:n] for row in whole])
        laws.append(small_lm.next_log_prob(batch, batch.length))
    scores = small_lm.token_log_prob(TokenBatch.of(whole))
    assert blocked == []
    small_lm.forget()
    assert torch.allclose(small_lm.token_log_prob(TokenBatch.of(whole)), scores, atol=1e-4)
    for n, law in enumerate(laws, 1):
        small_lm.forget()
        afresh = small_lm.next_log_prob(TokenBatch.of(whole), torch.full((3,), n))
        assert torch.allclose(law, afresh, atol=1e-4) and blocked


def test_a_position_behind_its_row_is_refused(small_lm: CausalLM) -> None:
    for scorer in (small_lm, ToyScorer()):
        with pytest.raises(InputError, match="position"):
            scorer.next_log_prob(TokenBatch.of([(1,), (1, 2)]), torch.tensor([2, 2]))
