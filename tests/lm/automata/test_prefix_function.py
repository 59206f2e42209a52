"""``trie.prefix_fn(model)`` in transformers' own generate."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from ergotext.errors import InputError
from ergotext.lm.automata.generated_rows import DeadEndWarning
from ergotext.lm.automata.prefix_function import PrefixFunction
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie import EditableTrie, TokenTrie, build
from tests import tiny_t5, tokenizers
from tests.faulty import load_with_fault
from tests.lm.automata.test_logits_processor import (
    BOS,
    INPUTS,
    KEYS,
    MODELS,
    SIZE,
    batch,
    llama,
    log_prob,
    processor,
    run,
    t5,
    trie,
)
from tests.lm.automata.worlds import END, PAD, Row

make = PrefixFunction


@pytest.fixture(autouse=True)
def same_draws() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(3)
    return MODELS[request.param]().eval()


def width(model: PreTrainedModel, rows: list[Row]) -> int | None:
    return None if model.config.is_encoder_decoder else max(map(len, rows))


def generate(
    model: PreTrainedModel, allowed: PrefixFunction, rows: list[Row] = INPUTS, **how: Any
) -> Any:
    return model.generate(
        **batch(model, rows), prefix_allowed_tokens_fn=allowed, return_dict_in_generate=True,
        output_scores=True,
        **{"max_new_tokens": allowed.max_new_tokens, "do_sample": False, **how},
    )  # fmt: skip


def keys_of(allowed: PrefixFunction, sequences: torch.Tensor) -> list[Row]:
    rows = sequences[:, allowed.prompt_length :].tolist()
    return [tuple(row[: row.index(END)]) for row in rows]


def beams_are_exact(model: PreTrainedModel) -> None:
    """As many beams as keys return all keys, in the order of their probability."""
    allowed = make(trie(), model, width(model, INPUTS))
    out = generate(
        model, allowed, num_beams=6, num_return_sequences=6, length_penalty=0.0,
        early_stopping="never",
    )  # fmt: skip
    assert allowed.accepted(out.sequences).all() and allowed.dead_ends == 0
    found = keys_of(allowed, out.sequences)
    for number, given in enumerate(INPUTS):
        scores = {key: log_prob(model, given, key) for key in KEYS}
        part = slice(6 * number, 6 * number + 6)
        assert found[part] == sorted(scores, key=scores.__getitem__, reverse=True)
        expected = sorted(scores.values(), reverse=True)
        assert out.sequences_scores[part].tolist() == pytest.approx(expected, abs=1e-4)


def draws_are_those_of_the_processor(model: PreTrainedModel) -> None:
    """From the same random numbers the same keys, padded after their ends in the same way."""
    for beams in (1, 3):
        found = []
        for way in ("function", "processor"):
            torch.manual_seed(beams)
            how = {"do_sample": True, "num_return_sequences": 3, "num_beams": beams, "top_k": 0}
            if way == "processor":
                made = processor(model, trie())
                out = run(model, made, INPUTS, **how)
            else:
                out = generate(model, make(trie(), model, width(model, INPUTS)), **how)
            found.append(out.sequences)
        assert torch.equal(*found)


def finished_rows_are_padded(model: PreTrainedModel) -> None:
    """Whatever else a row wrote: between two calls beams move rows."""
    begun = model.generation_config.forced_bos_token_id
    start = [PAD] if begun is None else [END, begun]
    allowed = make(trie(), model, None if model.config.is_encoder_decoder else 1)
    for tail in ([], [1], [1, 2], [1, END], [1, END, PAD], [1, 2, END, END], [5]):
        ways = {(*key, END)[len(tail)] for key in KEYS if list(key[: len(tail)]) == tail}
        wanted = {PAD} if END in tail else ways
        for row in range(len(start), len(start) + len(tail)):
            allowed(0, torch.tensor([*start, *tail][:row]))
        assert set(allowed(0, torch.tensor([*start, *tail]))) == wanted


@pytest.mark.parametrize(
    "check", [beams_are_exact, draws_are_those_of_the_processor, finished_rows_are_padded]
)
def test_in_generate(model: PreTrainedModel, check: Any) -> None:
    check(model)


def test_one_function_serves_several_calls(model: PreTrainedModel) -> None:
    allowed = make(trie(), model, width(model, INPUTS))
    for rows in (INPUTS, INPUTS[:1] * 2, INPUTS):
        if width(model, rows) == width(model, INPUTS):
            out = generate(model, allowed, rows, num_beams=2)
            assert allowed.accepted(out.sequences).all()
            assert set(keys_of(allowed, out.sequences)) <= KEYS


def test_keys_with_and_without_the_forced_token() -> None:
    torch.manual_seed(3)
    model = MODELS["bart"]().eval()
    for before in ((), (BOS,)):
        allowed = make(trie({(*before, *key) for key in KEYS}), model)
        out = generate(model, allowed, num_beams=6, num_return_sequences=6, length_penalty=0.0)
        assert allowed.accepted(out.sequences).all()
        assert {key[len(before) :] for key in keys_of(allowed, out.sequences)} == KEYS


def test_the_method_of_both_tries() -> None:
    model = t5().eval()
    changing = EditableTrie(trie({(1, 2)}))
    allowed = changing.prefix_fn(model)
    changing.add((5, 1))
    changing.remove((1, 2))
    assert keys_of(allowed, generate(model, allowed).sequences) == [(5, 1)] * 3
    assert trie({(5,)}).prefix_fn(model)(0, torch.tensor([PAD])) == [5]


def test_a_forced_end_cuts_rows_off() -> None:
    """As BART's generation_config forces one at max_length: such rows are told apart."""
    torch.manual_seed(3)
    model = t5().eval()
    allowed = make(trie({(8, 8, 8), (7, 2)}), model)
    out = generate(model, allowed, max_new_tokens=2, forced_eos_token_id=END)
    assert not allowed.accepted(out.sequences).any()
    assert allowed.max_new_tokens == 4


def the_longest_key_is_whole() -> None:
    """Though generate would force another token than the end in its last place."""
    torch.manual_seed(3)
    model = t5().eval()
    for forced in (None, END, [END], 9):
        model.generation_config.forced_eos_token_id = forced
        allowed = make(trie({(8, 8, 8)}), model)
        assert allowed.accepted(generate(model, allowed).sequences).all()


def test_the_longest_key_is_whole() -> None:
    the_longest_key_is_whole()


def test_a_row_that_left_the_trie_is_closed() -> None:
    allowed = make(trie(), t5())
    assert set(allowed(2, torch.tensor([PAD]))) == {1, 5, 7, 8}
    with pytest.warns(DeadEndWarning, match="a row of generate left the trie and was closed"):
        assert allowed(2, torch.tensor([PAD, 6])) == [END]
    assert allowed.dead_ends == 1 and allowed(2, torch.tensor([PAD, 6, END])) == [PAD]
    assert not allowed.accepted(torch.tensor([[PAD, 6, END, PAD]])).any()


def test_fewer_keys_than_beams() -> None:
    torch.manual_seed(3)
    model = t5().eval()
    keys = {(1,), (1, 2)}
    allowed = make(trie(keys), model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadEndWarning)
        out = generate(model, allowed, num_beams=5, num_return_sequences=5)
    whole = allowed.accepted(out.sequences) & (out.sequences_scores > -1e8)
    assert set(keys_of(allowed, out.sequences[whole])) == keys


def test_what_cannot_be() -> None:
    model = t5()
    with pytest.raises(InputError, match="has no keys"):
        make(trie(set()), model)
    with pytest.raises(InputError, match="prompt_length is missing"):
        make(trie(), llama())
    with pytest.raises(InputError, match="prompt_length must be 0 or more, got -1"):
        make(trie(), llama(), -1)
    with pytest.raises(InputError, match="allows token 11, but the model has only 10"):
        make(build([((11,), None)], Alphabet(12, 0, END)), model)
    # A number after all tokens to pad with is no token of a key.
    wide = make(build([((9,), None)], Alphabet(SIZE + 1, SIZE, END)), model)
    assert wide(0, torch.tensor([PAD])) == [9]
    assert wide(0, torch.tensor([PAD, 9, END])) == [PAD]
    with pytest.raises(InputError, match="generate stops at 4"):
        make(build([((1,), None)], Alphabet(10, 0, 5)), model)


@pytest.mark.parametrize("given_length", [3, 4, 6])
def test_another_width_than_the_prompt_length(given_length: int) -> None:
    model = llama().eval()
    allowed = make(trie(), model, given_length)
    for _ in range(2):
        with pytest.raises(InputError, match=f"5 columns, but prompt_length is {given_length}"):
            generate(model, allowed)


def titles(tokenizer: Any, *texts: str) -> TokenTrie:
    return build(list(texts), FastTokenizer(tokenizer))


def test_what_load_gives_brings_its_tokenizer() -> None:
    own = tiny_t5.tokenizer_of(["Berlin", "Paris"])
    lm = Seq2SeqLM(tiny_t5.t5_of(own), own)
    allowed = titles(own, "Berlin", "Paris").prefix_fn(lm)
    ids = lm.model.generate(
        torch.tensor([own("nil")["input_ids"]]), prefix_allowed_tokens_fn=allowed,
        max_new_tokens=allowed.max_new_tokens, do_sample=False,
    )  # fmt: skip
    assert own.batch_decode(ids, skip_special_tokens=True)[0] in ("Berlin", "Paris")
    other = tiny_t5.tokenizer_of(["Berlin", "Pariz"])
    for given in ((lm,), (lm.model, None, own)):
        with pytest.raises(InputError, match="built with another tokenizer"):
            titles(other, "Berlin").prefix_fn(*given)
    make(trie(), SimpleNamespace(**vars(STILL)), 1)  # bare ids have no tokenizer


def test_a_causal_model_with_its_tokenizer() -> None:
    sort = tokenizers.gpt2()
    lm = sort.lm()
    keys = build(["ab", "abc", "ba"], FastTokenizer(sort.tokenizer, causal=True))
    prompts = torch.tensor([sort.tokenizer("cab")["input_ids"]] * 2)
    allowed = keys.prefix_fn(lm, prompt_length=prompts.shape[1])
    ids = lm.model.generate(
        prompts, prefix_allowed_tokens_fn=allowed, max_new_tokens=allowed.max_new_tokens,
        do_sample=False, num_beams=3, num_return_sequences=3,
    )  # fmt: skip
    written = sort.tokenizer.batch_decode(ids[:, prompts.shape[1] :], skip_special_tokens=True)
    assert set(written) == {"ab", "abc", "ba"}


FAULTS = {
    "18: a row is found by its last token": (
        "key = ids.tobytes()", "key = ids[:, -1:].tobytes()",
    ),
    "the first row of another call is kept": ("if not ids.shape[1]:", "if False:"),
    "21: a finished row begins anew": (
        "return [self._padding(self._size)]",
        "return self.automaton.candidates(self.automaton.start(1))[1].tolist()",
    ),
    "22: the forced first token is read as one of the key": (
        "super().__init__(trie, network, prompt_length)",
        "super().__init__(trie, network, prompt_length); self.prompt_length = 1",
    ),
    "24: a row that left the trie goes on unconstrained": (
        "return [self.automaton.end]", "return list(range(self._size))",
    ),
    "another forced end cuts the longest key off": ("+ self._forces_another", ""),
    "21: max_new_tokens cuts the longest key off": (
        "self._trie.longest + self._begun", "self._trie.longest - 1 + self._begun",
    ),
}  # fmt: skip


def moved_rows_are_found() -> None:
    """Rows of one last token, moved by beams, and a second call whose rows are as wide."""
    allowed = make(trie({(1, 2, 6), (7, 2, 8), (5, 2, 9)}), t5())
    for order in ((1, 7, 5), (5, 1, 7)):
        allowed(0, torch.tensor([PAD]))
        for token in order:
            allowed(0, torch.tensor([PAD, token]))
        ways = [allowed(0, torch.tensor([PAD, token, 2])) for token in order[::-1]]
        assert ways == [[{1: 6, 7: 8, 5: 9}[token]] for token in order[::-1]]


def lost_rows_are_closed() -> None:
    allowed = make(trie(), t5())
    allowed(0, torch.tensor([PAD]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadEndWarning)
        assert allowed(0, torch.tensor([PAD, 6])) == [END]


def changed_tries_are_asked_anew() -> None:
    """Between two calls of generate a trie may change."""
    changing = EditableTrie(trie({(1, 2), (5, 1)}))
    allowed = make(changing, t5())
    assert set(allowed(0, torch.tensor([PAD]))) == {1, 5}
    changing.remove((1, 2))
    changing.add((1, 6))
    changing.add((8, 6))
    changing.compact()  # its states are numbered anew
    assert set(allowed(0, torch.tensor([PAD]))) == {1, 5, 8}
    assert allowed(0, torch.tensor([PAD, 1])) == [6]


def generate_is_exact() -> None:
    for name in ("t5", "bart"):
        torch.manual_seed(3)
        beams_are_exact(MODELS[name]().eval())


CHECKS = (
    generate_is_exact, the_longest_key_is_whole, moved_rows_are_found, lost_rows_are_closed,
    changed_tries_are_asked_anew,
    lambda: finished_rows_are_padded(t5().eval()),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.automata.prefix_function", FAULTS[fault])
    monkeypatch.setattr(sys.modules[__name__], "make", faulty.PrefixFunction)
    seen = 0
    for check in CHECKS:
        try:
            check()
        except (AssertionError, ValueError, IndexError, RuntimeError, UserWarning):
            seen += 1
    assert seen


def test_without_a_fault() -> None:
    for check in CHECKS:
        check()


STILL = SimpleNamespace(
    config=SimpleNamespace(
        is_encoder_decoder=True, get_text_config=lambda: SimpleNamespace(vocab_size=SIZE)
    ),
    generation_config=SimpleNamespace(eos_token_id=END, forced_bos_token_id=None),
)
"""A model that is never called."""
