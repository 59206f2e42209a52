"""The logits processor in transformers' own generate, against sequences scored one by one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from ergotext.errors import InputError, ModelError
from ergotext.lm.automata import Substrings, intersection, logits_processor, regex, union
from ergotext.lm.automata.generated_rows import DeadEndError, DeadEndWarning, WrittenRows
from ergotext.lm.automata.logits_processor import AutomatonLogitsProcessor
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import EditableTrie, TokenTrie, build
from tests.lm.automata.worlds import END, LATIN, PAD, Row, language

SIZE, BOS = 10, 3
KEYS: set[Row] = {(1,), (1, 2), (1, 2, 6), (5, 1, 9), (8, 8, 8), (7, 2)}
INPUTS = [(1, 5, 2), (6,), (7, 8, 9, 2, 1)]


def trie(keys: set[Row] = KEYS) -> TokenTrie:
    return build([(key, None) for key in sorted(keys)], LATIN.alphabet)


AUTOMATA: dict[str, Automaton] = {
    "trie": trie(),
    "crossing": trie({(1, 2, 6), (7, 2, 8), (5, 2, 9), (8, 2, 1, 2)}),
    "regex": regex("ab?a|ba", LATIN),
    "union": union(trie({(2,), (2, 6)}), Substrings([1, 1, 5], LATIN.alphabet)),
}


def t5() -> PreTrainedModel:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=SIZE, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
            decoder_start_token_id=PAD, pad_token_id=PAD, eos_token_id=END,
            initializer_factor=3.0,
        )
    )  # fmt: skip


def bart() -> PreTrainedModel:
    """Begins with its end token, and forces a second token before the first of the text."""
    model = BartForConditionalGeneration(
        BartConfig(
            vocab_size=SIZE, d_model=16, encoder_layers=1, decoder_layers=1, init_std=1.0,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24,
            decoder_ffn_dim=24, max_position_embeddings=32, pad_token_id=PAD, bos_token_id=3,
            eos_token_id=END, decoder_start_token_id=END,
        )
    )  # fmt: skip
    model.generation_config.forced_bos_token_id = BOS
    model.generation_config.forced_eos_token_id = None
    return model


def llama() -> PreTrainedModel:
    """Pads with its end token, as models without padding do."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=SIZE, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=32, initializer_range=0.8,
            bos_token_id=3, eos_token_id=END, pad_token_id=END,
        )
    )  # fmt: skip


MODELS = {"t5": t5, "bart": bart, "llama": llama}


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(3)
    return MODELS[request.param]().eval()


@pytest.fixture
def causal() -> PreTrainedModel:
    torch.manual_seed(3)
    return llama().eval()


@pytest.fixture(autouse=True)
def same_draws() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def log_law(model: PreTrainedModel, given: Row, written: Row) -> torch.Tensor:
    """float [len(written) + 1, V]: log p of every token behind each beginning, unpadded."""
    with torch.inference_mode():
        if not model.config.is_encoder_decoder:
            ids = torch.tensor([[*given, *written]])
            return model(ids).logits[0, len(given) - 1 :].double().log_softmax(-1)
        config = model.generation_config
        start = [config.decoder_start_token_id]
        start += [] if config.forced_bos_token_id is None else [config.forced_bos_token_id]
        decoder = torch.tensor([[*start, *written]])
        out = model(input_ids=torch.tensor([given]), decoder_input_ids=decoder)
        return out.logits[0, len(start) - 1 :].double().log_softmax(-1)


def log_prob(model: PreTrainedModel, given: Row, key: Row) -> float:
    law = log_law(model, given, key)
    return float(law[range(len(key) + 1), [*key, END]].sum())


def batch(model: PreTrainedModel, rows: list[Row] = INPUTS) -> dict[str, torch.Tensor]:
    """The inputs with padding: on the left for a causal model."""
    width = max(map(len, rows))
    left = not model.config.is_encoder_decoder
    ids = [[PAD] * (width - len(r)) + list(r) if left else [*r] + [PAD] * (width - len(r))
           for r in rows]  # fmt: skip
    seen = [[0] * (width - len(r)) + [1] * len(r) if left else [1] * len(r) + [0] * (width - len(r))
            for r in rows]  # fmt: skip
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(seen)}


def processor(
    model: PreTrainedModel, automaton: Automaton, rows: list[Row] = INPUTS, **how: Any
) -> AutomatonLogitsProcessor:
    width = None if model.config.is_encoder_decoder else max(map(len, rows))
    return AutomatonLogitsProcessor(automaton, model, width, **how)


def run(model: PreTrainedModel, made: AutomatonLogitsProcessor, rows: list[Row], **how: Any) -> Any:
    return model.generate(
        **batch(model, rows), logits_processor=LogitsProcessorList([made]),
        return_dict_in_generate=True, output_scores=True,
        **{"max_new_tokens": 8, "do_sample": False, **how},
    )  # fmt: skip


def keys_of(made: AutomatonLogitsProcessor, sequences: torch.Tensor) -> list[Row]:
    rows = [row[: row.index(END)] for row in sequences[:, made.prompt_length :].tolist()]
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("name", AUTOMATA)
def test_beams_return_every_sequence_in_order(model: PreTrainedModel, name: str) -> None:
    keys = language(AUTOMATA[name], 5)
    made = processor(model, AUTOMATA[name])
    out = run(
        model, made, INPUTS, num_beams=len(keys), num_return_sequences=len(keys),
        length_penalty=0.0, early_stopping="never",
    )  # fmt: skip
    found = keys_of(made, out.sequences)
    assert made.accepted(out.sequences).all() and made.dead_ends == 0
    for number, given_ids in enumerate(INPUTS):
        part = slice(number * len(keys), (number + 1) * len(keys))
        scores = {key: log_prob(model, given_ids, key) for key in keys}
        assert found[part] == sorted(scores, key=scores.__getitem__, reverse=True)
        expected = sorted(scores.values(), reverse=True)
        assert out.sequences_scores[part].tolist() == pytest.approx(expected, abs=1e-4)


def test_greedy_search(model: PreTrainedModel) -> None:
    made = processor(model, trie())
    found = keys_of(made, run(model, made, INPUTS).sequences)
    for given_ids, row in zip(INPUTS, found, strict=True):
        written: Row = ()
        while True:
            law = log_law(model, given_ids, written)[-1]
            n = len(written)
            ways = {(*key, END)[n] for key in KEYS if key[:n] == written}
            best = max(ways, key=lambda token: float(law[token]))
            if best == END:
                break
            written = (*written, best)
        assert row == written


def test_a_narrow_beam_keeps_to_the_keys(model: PreTrainedModel) -> None:
    made = processor(model, trie())
    out = run(model, made, INPUTS, num_beams=3, num_return_sequences=2, length_penalty=0.0)
    assert made.accepted(out.sequences).all() and set(keys_of(made, out.sequences)) <= KEYS
    found = enumerate(keys_of(made, out.sequences))
    scores = [log_prob(model, INPUTS[n // 2], key) for n, key in found]
    assert out.sequences_scores.tolist() == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("beams", [1, 2])
def test_sampling(model: PreTrainedModel, beams: int) -> None:
    made = processor(model, trie(), INPUTS[:2])
    count = 1500 if beams == 1 else 2
    out = run(
        model, made, INPUTS[:2], do_sample=True, num_return_sequences=count, num_beams=beams,
        top_k=0,
    )  # fmt: skip
    found = keys_of(made, out.sequences)
    assert made.accepted(out.sequences).all() and set(found) <= KEYS
    if beams > 1:
        return
    for number, given_ids in enumerate(INPUTS[:2]):
        part = found[number * count : (number + 1) * count]
        for key in KEYS:
            expected = local_probability(model, given_ids, key)
            spread = (expected * (1 - expected) / count) ** 0.5
            assert part.count(key) / count == pytest.approx(expected, abs=5 * spread + 1e-9)


def local_probability(model: PreTrainedModel, given_ids: Row, key: Row) -> float:
    law, p = log_law(model, given_ids, key).exp(), 1.0
    for n, token in enumerate((*key, END)):
        ways = {(*other, END)[n] for other in KEYS if other[:n] == key[:n]}
        p *= float(law[n, token] / law[n, list(ways)].sum())
    return p


def test_left_padding_changes_nothing() -> None:
    torch.manual_seed(3)
    model = llama().eval()
    together = processor(model, trie())
    both = run(model, together, INPUTS, num_beams=4, length_penalty=0.0)
    for number, row in enumerate(INPUTS):
        alone = processor(model, trie(), [row])
        one = run(model, alone, [row], num_beams=4, length_penalty=0.0)
        assert keys_of(alone, one.sequences)[0] == keys_of(together, both.sequences)[number]


def test_one_processor_serves_several_calls(model: PreTrainedModel) -> None:
    made = processor(model, trie())
    for seed in range(3):
        torch.manual_seed(seed)
        out = run(model, made, INPUTS, do_sample=True, num_return_sequences=4)
        assert made.accepted(out.sequences).all()


def test_fewer_sequences_than_beams_are_told_apart(model: PreTrainedModel) -> None:
    keys = {(1,), (1, 2)}
    made = processor(model, trie(keys), INPUTS[:1])
    out = run(model, made, INPUTS[:1], num_beams=5, num_return_sequences=5, length_penalty=0.0)
    whole = made.accepted(out.sequences) & (out.sequences_scores > logits_processor.CLOSING)
    real = out.sequences_scores > logits_processor.CLOSING / 2
    assert set(keys_of(made, out.sequences[whole & real])) == keys
    assert (whole | ~real).all()


NOWHERE = intersection(trie({(1, 2), (5,)}), trie({(1, 6), (5,)}))
"""Behind token 1 nothing follows."""


def test_dead_ends_are_closed_and_told(model: PreTrainedModel) -> None:
    lost = intersection(trie({(1, 2)}), trie({(1, 6)}))
    for automaton in (lost, trie(set())):
        made = processor(model, automaton)
        with pytest.warns(DeadEndWarning, match="Nothing may follow"):
            out = run(model, made, INPUTS)
        assert made.dead_ends == len(INPUTS) and not made.accepted(out.sequences).any()
        assert len(set(keys_of(made, out.sequences))) == 1
        strict = processor(model, automaton, dead_ends="raise")
        with pytest.raises(DeadEndError, match="no way on"):
            run(model, strict, INPUTS)


def test_beams_leave_a_dead_end(model: PreTrainedModel) -> None:
    made = processor(model, NOWHERE)
    with pytest.warns(DeadEndWarning):
        out = run(model, made, INPUTS, num_beams=2, length_penalty=0.0, early_stopping="never")
    assert keys_of(made, out.sequences) == [(5,)] * 3
    expected = [log_prob(model, given_ids, (5,)) for given_ids in INPUTS]
    assert out.sequences_scores.tolist() == pytest.approx(expected, abs=1e-4)


def test_sampling_at_a_dead_end_does_not_go_astray(model: PreTrainedModel) -> None:
    made = processor(model, NOWHERE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadEndWarning)
        out = run(model, made, INPUTS, do_sample=True, num_return_sequences=20)
    whole = made.accepted(out.sequences).tolist()
    found = keys_of(made, out.sequences)
    assert set(found) <= {(1,), (5,)} and [key == (5,) for key in found] == whole


class Astray(LogitsProcessor):
    """Writes a token that no key goes on with behind the first one."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] != self.width:
            return scores
        return torch.full_like(scores, -torch.inf).index_fill_(1, torch.tensor([6]), 0.0)


def test_a_row_led_out_of_the_automaton_is_a_dead_end(model: PreTrainedModel) -> None:
    def generate(made: AutomatonLogitsProcessor) -> torch.Tensor:
        both = LogitsProcessorList([made, Astray(made.prompt_length + 1)])
        found: torch.Tensor = model.generate(
            **batch(model), logits_processor=both, max_new_tokens=8, do_sample=False
        )
        return found

    made = processor(model, trie())
    with pytest.warns(DeadEndWarning, match="led the row out"):
        sequences = generate(made)
    assert made.dead_ends == len(INPUTS) and not made.accepted(sequences).any()
    assert {key[1:] for key in keys_of(made, sequences)} == {(6,)}
    with pytest.raises(DeadEndError, match="led the row out"):
        generate(processor(model, trie(), dead_ends="raise"))


def test_what_other_processors_forbid_is_a_dead_end(model: PreTrainedModel) -> None:
    made = processor(model, trie({(1,)}))
    with pytest.warns(DeadEndWarning, match="minimum length"):
        out = run(model, made, INPUTS, min_new_tokens=7)
    assert made.dead_ends and (out.sequences[:, made.prompt_length :][:, :2] == 1).sum() == 3


def test_a_sequence_cut_off_is_told() -> None:
    torch.manual_seed(3)
    model = t5().eval()
    made = processor(model, trie({(8, 8, 8), (7, 2)}))
    out = run(model, made, INPUTS, max_new_tokens=2)
    assert not made.accepted(out.sequences).any()


def test_what_cannot_be() -> None:
    model = t5()
    with pytest.raises(InputError, match="generate stops at 4"):
        AutomatonLogitsProcessor(build([((1,), None)], Alphabet(10, 0, 5)), model)
    with pytest.raises(InputError, match="prompt_length"):
        AutomatonLogitsProcessor(trie(), llama())
    model.generation_config.eos_token_id = [9, END]
    AutomatonLogitsProcessor(trie(), model)
    wide = AutomatonLogitsProcessor(build([((11,), None)], Alphabet(12, 0, END)), model)
    with pytest.raises(InputError, match="allows token 11, but the model has only 10"):
        wide(torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, SIZE))


@pytest.mark.parametrize("given_length", [3, 4, 6])
def test_another_width_than_the_prompt_length_is_told(given_length: int) -> None:
    model = llama().eval()
    made = AutomatonLogitsProcessor(trie(), model, given_length)
    for _ in range(2):
        with pytest.raises(InputError, match=f"5 columns, but prompt_length is {given_length}"):
            run(model, made, INPUTS)


def test_a_batch_narrower_than_the_last_is_told() -> None:
    model = llama().eval()
    made = processor(model, trie())
    run(model, made, INPUTS)
    with pytest.raises(InputError, match="3 columns, but prompt_length is 5"):
        run(model, made, INPUTS[:2])


@pytest.mark.parametrize("own", [PAD, None])
@pytest.mark.parametrize("beams", [1, 4])
def test_an_automaton_may_pad_with_a_number_above_the_vocabulary(
    own: int | None, beams: int
) -> None:
    """As the tokenizer of GPT-2 does, which has no token but the end token to pad with."""
    torch.manual_seed(3)
    model = t5().eval()
    model.generation_config.pad_token_id = own
    pairs = [(key, None) for key in sorted(KEYS)]
    made = processor(model, build(pairs, Alphabet(SIZE + 1, SIZE, END)))
    inputs = [(a, b) for a in (1, 5, 7) for b in range(1, 4)]
    sequences = run(model, made, inputs, num_beams=beams, do_sample=True, top_k=0).sequences
    assert made.accepted(sequences).all() and set(keys_of(made, sequences)) <= KEYS
    assert len(set(map(len, keys_of(made, sequences)))) > 1  # some rows waited for others


def test_what_a_finished_row_writes_the_model_has() -> None:
    above = build([((1,), None)], Alphabet(SIZE + 1, SIZE, END))
    ids = torch.tensor([[PAD, 1, END]])
    for own, written in ((7, 7), (None, END), (SIZE, END)):
        model = t5()
        model.generation_config.pad_token_id = own
        masked = AutomatonLogitsProcessor(above, model, 1)
        masked(ids[:, :1], torch.zeros(1, SIZE))
        assert (masked(ids, torch.randn(1, SIZE))[0] > -torch.inf).nonzero().tolist() == [[written]]


def test_keys_with_and_without_the_forced_token() -> None:
    torch.manual_seed(3)
    model = bart().eval()
    found = []
    for before, length in (((), 2), ((BOS,), 1)):
        made = processor(model, trie({(*before, *key) for key in KEYS}))
        assert made.prompt_length == length
        out = run(
            model, made, INPUTS, num_beams=6, num_return_sequences=6, length_penalty=0.0,
            early_stopping="never",
        )  # fmt: skip
        assert made.accepted(out.sequences).all() and made.dead_ends == 0
        assert (out.sequences[:, 1] == BOS).all()
        found.append([key[len(before) :] for key in keys_of(made, out.sequences)])
        expected = [sorted((log_prob(model, i, k) for k in KEYS), reverse=True) for i in INPUTS]
        assert out.sequences_scores.reshape(3, 6).numpy() == pytest.approx(
            np.array(expected), abs=1e-4
        )
    assert found[0] == found[1] and set(found[0]) == KEYS
    for keys in ({(BOS, 1), (2,)}, set[Row]()):
        assert processor(model, trie(keys)).prompt_length == 2


def test_a_changed_automaton_is_asked_anew(model: PreTrainedModel) -> None:
    changing = EditableTrie(trie({(1, 2)}))
    made = processor(model, changing)
    for change, left in (
        (lambda: None, {(1, 2)}),
        (lambda: changing.add((5, 1)), {(1, 2), (5, 1)}),
        (lambda: changing.remove((1, 2)), {(5, 1)}),
        (changing.compact, {(5, 1)}),
        (lambda: changing.add((7,)), {(5, 1), (7,)}),
    ):
        change()
        out = run(model, made, INPUTS, num_beams=2, num_return_sequences=len(left))
        assert made.accepted(out.sequences).all() and set(keys_of(made, out.sequences)) == left


STILL = SimpleNamespace(
    config=SimpleNamespace(is_encoder_decoder=True),
    generation_config=SimpleNamespace(eos_token_id=END, forced_bos_token_id=None),
)
"""A model that is never called."""


def masks(automaton: Automaton, ids: torch.Tensor) -> list[tuple[set[int], bool]]:
    """What each row may write next, walked from its start, and whether at the model's score."""
    allowed = []
    for row in ids[:, 1:].tolist():
        state = automaton.start(1)
        for n, token in enumerate(row):
            if END in row[:n]:
                break
            state = automaton.advance(state, np.array([token]))
        if END in row:
            allowed.append(({PAD}, False))
        elif state[0] < 0:  # left the automaton: closed
            allowed.append(({END}, False))
        else:
            allowed.append((set(automaton.candidates(state)[1].tolist()), True))
    return allowed


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(list(AUTOMATA)), st.booleans())
def test_rows_may_be_moved_about(seed: int, name: str, collide: bool) -> None:
    check_moved_rows(seed, name, collide)


def check_moved_rows(seed: int, name: str, collide: bool) -> None:
    """Masks of rows that are reordered, copied and dropped, each against its own walk."""
    draw = torch.Generator().manual_seed(seed)

    def some(high: int, count: int) -> torch.Tensor:
        return torch.randint(high, (count,), generator=draw)

    made = AutomatonLogitsProcessor(AUTOMATA[name], STILL)
    ids = torch.zeros(4, 1, dtype=torch.int64)
    for _ in range(7):
        scores = torch.randn(len(ids), SIZE, generator=draw)
        kept = scores.clone()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeadEndWarning)
            masked = made(ids, scores)
        assert torch.equal(scores, kept)
        for row, (ways, scored) in enumerate(masks(AUTOMATA[name], ids)):
            allowed = masked[row] > -torch.inf
            assert set(allowed.nonzero()[:, 0].tolist()) == ways
            if scored:
                assert torch.equal(masked[row][allowed], scores[row][allowed])
        source = some(len(ids), int(some(5, 1)) + 1)
        law = masked[source].softmax(-1)
        token = torch.multinomial(law, 1, generator=draw)
        astray = torch.rand(len(source), 1, generator=draw) < 0.1
        token = torch.where(astray, some(SIZE, len(source))[:, None], token)
        ids = torch.cat([ids[source], token], dim=1)
        if collide and some(3, 1) == 0:  # as if another call had come between
            made(torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, SIZE))


def test_another_generate_with_wider_prompts(causal: PreTrainedModel) -> None:
    made = AutomatonLogitsProcessor(trie(), causal, 3)
    causal.generate(torch.tensor([[2, 3, 4]]), logits_processor=[made], max_new_tokens=8)
    for wider in ([[2, 9, 9, 1, 2]], [[2, 3, 4], [2, 9, 9]]):
        ids = torch.tensor([[*row, 1] for row in wider])
        with pytest.raises(InputError, match="set it to the width of input_ids"):
            made(ids, torch.zeros(len(ids), SIZE))


def test_another_token_at_which_generate_stops(causal: PreTrainedModel) -> None:
    """A key that goes on behind it would be cut off there."""
    model = SimpleNamespace(config=causal.config, generation_config=copy(causal.generation_config))
    model.generation_config.eos_token_id = [END, 5]
    held = AutomatonLogitsProcessor(trie({(1, 5, 6), (2,)}), model, 1)
    start = torch.full((1, 1), PAD)
    held(start, torch.zeros(1, SIZE))
    with pytest.raises(InputError, match="continues after token 5, where generate stops"):
        held(torch.tensor([[PAD, 1]]), torch.zeros(1, SIZE))
    AutomatonLogitsProcessor(trie({(1, 6), (2,)}), model, 1)(start, torch.zeros(1, SIZE))


@pytest.mark.parametrize("how", [{"prompt_length": -3}, {"dead_ends": "rasie"}])
def test_arguments_that_mean_nothing(causal: PreTrainedModel, how: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(how))} must be"):
        AutomatonLogitsProcessor(trie(), causal, **{"prompt_length": 1, **how})


def test_nan_is_no_dead_end() -> None:
    made = AutomatonLogitsProcessor(trie(), STILL)
    ids = torch.tensor([[PAD, 1, 2], [PAD, 1, END]])
    broken = torch.full((2, SIZE), torch.nan)
    with pytest.raises(ModelError, match=r"returned NaN after the tokens \[\] in row 0"):
        made(ids[:, :1], broken)
    scores = torch.zeros(2, SIZE)
    scores[1, 5] = torch.nan
    with pytest.raises(ModelError, match="in row 1"):
        made(ids[:, :1], scores)
    with pytest.raises(ModelError, match=r"after the tokens \[1, 2\] in row 0"):
        made(ids, broken)
    assert made.dead_ends == 0
    scores = torch.zeros(2, SIZE)
    scores[0, 3], scores[1] = torch.nan, torch.nan  # of what may not follow
    assert (made(ids, scores) > -torch.inf).nonzero().tolist() == [[0, END], [0, 6], [1, PAD]]
    scores[1] = 0.0
    assert set((made(ids[:, :1], scores)[0] > -torch.inf).nonzero()[:, 0].tolist()) == {1, 5, 7, 8}


def test_rows_that_share_a_hash_are_not_taken_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Zeros:
        def integers(self, *_: Any, size: int, **__: Any) -> np.ndarray:
            return np.zeros(size, dtype=np.uint64)

    monkeypatch.setattr(np.random, "default_rng", lambda _: Zeros())
    ids = np.array([[1, 2], [3, 4], [1, 2]])
    assert logits_processor._same_rows(np.array([[3, 4], [1, 2]]), ids).tolist() == [-1, 0]


def test_no_row_is_walked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    model = t5().eval()
    made = processor(model, trie())
    walked: list[int] = []
    walk = WrittenRows.walk

    def counted(automaton: Automaton, ids: np.ndarray) -> WrittenRows:
        walked.append(ids.shape[1])
        return walk(automaton, ids)

    monkeypatch.setattr(WrittenRows, "walk", counted)
    run(model, made, INPUTS, num_beams=6)
    assert walked == [0]
