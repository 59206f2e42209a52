"""Seq2SeqLM against the model's own teacher-forced pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LEDConfig,
    LEDForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from ergotext.errors import InputError, ModelError
from ergotext.lm.decoding import cached
from ergotext.lm.protocols import Decoding
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import build
from ergotext.samplers.search.beam import beam

PAD, END, START = 0, 1, 2
SIZE = 40
ALPHABET = Alphabet(SIZE, PAD, END)
BART = {
    "vocab_size": SIZE, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32, "pad_token_id": PAD, "eos_token_id": END, "bos_token_id": START,
    "decoder_start_token_id": START, "max_position_embeddings": 24, "init_std": 0.5,
}  # fmt: skip


def t5(**more: object) -> PreTrainedModel:
    config = T5Config(
        vocab_size=SIZE, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=PAD,
        eos_token_id=END, decoder_start_token_id=START, initializer_factor=1.5, **more,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


def bart() -> PreTrainedModel:
    model = BartForConditionalGeneration(BartConfig(**BART))
    model.final_logits_bias.normal_()
    return model


def marian() -> PreTrainedModel:
    return MarianMTModel(MarianConfig(**BART, scale_embedding=True))


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "t5, tied and scaled": t5,
    "t5, untied": lambda: t5(tie_word_embeddings=False, scale_decoder_outputs=False),
    "bart, biased": bart,
    "marian": marian,
}
INPUTS = [[5, 9, 3, END], [7, END], [4, 4, 8, 30, 31, 6, END]]


@pytest.fixture(params=MODELS, scope="module")
def lm(request: pytest.FixtureRequest) -> Seq2SeqLM:
    torch.manual_seed(3)
    return Seq2SeqLM(MODELS[request.param]().eval())


@torch.inference_mode()
def laws(lm: Seq2SeqLM, given: list[int], answer: list[int]) -> torch.Tensor:
    """float64 [n + 1, V]: the law of each next token, by one pass of the whole model."""
    read = torch.tensor([[START, *answer]])
    logits = lm.model(input_ids=torch.tensor([given]), decoder_input_ids=read).logits
    return logits[0].double().log_softmax(-1)


def forced(lm: Seq2SeqLM, given: list[int], answer: list[int]) -> torch.Tensor:
    """float64 [n]: log p of each token of the answer."""
    return laws(lm, given, answer[:-1])[torch.arange(len(answer)), answer]


def test_steps_are_those_of_the_whole_model(lm: Seq2SeqLM) -> None:
    """Rows are reordered, doubled and dropped on the way."""
    state: Decoding = lm.read(INPUTS)
    assert isinstance(state, Decoding)
    written: list[tuple[int, list[int]]] = [(q, []) for q in range(3)]
    for rows, tokens in (([2, 0, 0, 1], [9, 8, 7, 6]), ([0, 1, 3], [5, 5, 4]), ([2, 2], [3, 9])):
        every = torch.arange(len(state)).repeat_interleave(SIZE)
        law = state.logits(every, torch.arange(SIZE).repeat(len(state)))
        law = law.reshape(len(state), SIZE) - state.log_z()[:, None]
        assert law.exp().sum(1).tolist() == pytest.approx([1.0] * len(state), abs=1e-5)
        few = torch.tensor([0]), torch.tensor([11])
        assert float(state.logits(*few) - state.log_z()[0]) == pytest.approx(
            float(law[0, 11]), abs=1e-4
        )
        for (q, answer), row in zip(written, law, strict=True):
            expected = laws(lm, INPUTS[q], answer)[-1]
            assert row.tolist() == pytest.approx(expected.tolist(), abs=1e-4)
        state = state.advance(torch.tensor(rows), torch.tensor(tokens))
        written = [(written[r][0], [*written[r][1], t]) for r, t in zip(rows, tokens, strict=True)]


@pytest.mark.parametrize("budget", [3, 4096])
def test_runs_are_scored_in_one_pass(
    lm: Seq2SeqLM, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "TOKEN_BUDGET", budget)
    state = lm.read(INPUTS).advance(torch.tensor([1, 2, 2]), torch.tensor([5, 6, 7]))
    runs = [(2, [9, 8, END]), (0, [END]), (0, [3, 4, 5, 6, END]), (1, [20, END])]
    sizes = torch.tensor([0] + [len(run) for _, run in runs])
    scores = state.rest_log_prob(
        torch.tensor([row for row, _ in runs]),
        torch.tensor([t for _, run in runs for t in run]),
        sizes.cumsum(0),
    )
    before = [(1, 5), (2, 6), (2, 7)]
    expected = [forced(lm, INPUTS[before[row][0]], [before[row][1], *run])[1:] for row, run in runs]
    assert scores.tolist() == pytest.approx(torch.cat(expected).tolist(), abs=1e-4)


def test_beam_finds_every_key_with_its_own_score(lm: Seq2SeqLM) -> None:
    rng = np.random.default_rng(0)
    keys = {tuple(rng.integers(3, 9, rng.integers(1, 8)).tolist()) for _ in range(60)}
    trie = build([(key, None) for key in keys], Alphabet(SIZE, PAD, END))
    every = [{key: float(forced(lm, q, [*key, END]).sum()) for key in keys} for q in INPUTS]
    for k in (len(keys), 4):
        for known, found in zip(every, beam(lm.read(INPUTS), trie, k=k), strict=True):
            got = [h.log_prob for h in found.hypotheses]
            assert got == pytest.approx([known[h.tokens] for h in found.hypotheses], abs=1e-4)
            assert found.exact or k == 4
            if found.exact:
                top = sorted(known.values(), reverse=True)[:k]
                assert got == pytest.approx(top, abs=1e-4)


def test_it_searches_as_the_model_does_not_lower(lm: Seq2SeqLM) -> None:
    """Against ``generate`` under the same trie: no score is lower, rank by rank."""
    rng = np.random.default_rng(1)
    keys = {tuple(rng.integers(3, 30, rng.integers(2, 8)).tolist()) for _ in range(400)}
    trie = build([(key, None) for key in keys], Alphabet(SIZE, PAD, END))
    found = beam(lm.read(INPUTS), trie, k=4)
    for given, ours in zip(INPUTS, found, strict=True):
        out = lm.model.generate(
            input_ids=torch.tensor([given]), num_beams=4, num_return_sequences=4,
            early_stopping="never", length_penalty=0.0, max_new_tokens=12, do_sample=False,
            prefix_allowed_tokens_fn=lambda _, ids: trie.get(
                [t for t in ids.tolist()[1:] if t not in (END, PAD)]
            ).tolist() if END not in ids.tolist() else [PAD],
        )  # fmt: skip
        theirs = [
            float(forced(lm, given, [*[t for t in row[1:] if t > 2], END]).sum())
            for row in out.tolist()
        ]
        scores = [h.log_prob for h in ours.hypotheses]
        assert all(a >= b - 1e-4 for a, b in zip(scores, sorted(theirs, reverse=True), strict=True))


def test_no_inputs_and_no_rows(lm: Seq2SeqLM) -> None:
    trie = build([((5,), None)], Alphabet(SIZE, PAD, END))
    assert beam(lm.read([]), trie, k=1) == []


def test_inputs_that_do_not_fit() -> None:
    lm = Seq2SeqLM(bart())
    with pytest.raises(InputError, match="input 2 has 25 tokens, but the model takes 1 to 24"):
        lm.read([[5, END], [5] * 25])
    with pytest.raises(InputError, match="input 1 has 0 tokens"):
        lm.read([[]])
    with pytest.raises(InputError, match="contains ids from 5 to 99"):
        lm.read([[5, 99]])


def test_keys_that_the_decoder_has_no_room_for_are_let_go() -> None:
    """The start token takes one of 24 places, the end token none."""
    lm = Seq2SeqLM(bart())
    fits, other = (5,) * 23, (7, 6)
    wanted = [(fits, None), ((5,) * 24, None), ((6,) * 40, None), (other, None)]
    for trie in (build(wanted, Alphabet(SIZE, PAD, END)), build(wanted[:3], ALPHABET)):
        found = beam(lm.read([[5, END]]), trie, k=4)[0]
        assert {h.tokens for h in found.hypotheses} == {fits, other} & set(trie.keys())
        assert not found.exact
    state = lm.read([[5, END]])
    with pytest.raises(InputError, match="remove longer keys"):
        state.rest_log_prob(torch.tensor([0]), torch.full((25,), 5), torch.tensor([0, 25]))


def test_runs_of_unequal_length_are_not_padded_to_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = Seq2SeqLM(t5())
    passes: list[int] = []
    state = lm.read([[5, END]])
    lm.decoder.register_forward_pre_hook(
        lambda _m, _a, given: passes.append(given["input_ids"].numel()), with_kwargs=True
    )
    sizes = torch.tensor([2] * 300 + [400])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    monkeypatch.setattr(cached, "TOKEN_BUDGET", 700)
    ids = torch.full((int(sizes.sum()),), 6)
    state.rest_log_prob(torch.zeros(301, dtype=torch.int64), ids, offsets)
    assert passes == [300, 399]


def test_a_model_with_places_of_its_own_names() -> None:
    config = LEDConfig(
        **{k: v for k, v in BART.items() if k != "max_position_embeddings"}, attention_window=4,
        max_encoder_position_embeddings=32, max_decoder_position_embeddings=24,
    )  # fmt: skip
    lm = Seq2SeqLM(LEDForConditionalGeneration(config))
    assert (lm.max_input, lm.max_answer) == (32, 24)
    with pytest.raises(InputError, match="takes 1 to 32"):
        lm.read([[5] * 33])


def test_models_that_are_none() -> None:
    config = LlamaConfig(
        vocab_size=SIZE, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    with pytest.raises(ModelError, match="not an encoder-decoder"):
        Seq2SeqLM(LlamaForCausalLM(config))


class Curved(T5ForConditionalGeneration):
    def forward(self, *args: object, **kwargs: object) -> object:
        out = super().forward(*args, **kwargs)
        out.logits = torch.tanh(out.logits)
        return out


def test_a_head_that_is_no_projection_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="not a known projection"):
        Seq2SeqLM(Curved(t5().config))
