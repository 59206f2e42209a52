"""Texts scored, and what is no text or no list of texts refused in one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.automata import KeywordCoverage, Pieces
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.embedding import SentenceEncoder
from ergotext.lm.tokenizers.fast import FastTokenizer
from tests.conftest import reference_log_prob
from tests.lm.automata.worlds import LATIN
from tests.lm.tokenizers.test_fast import bart

TEXTS = ["The summer sun", " a dog", "海滩", ""]


def test_a_causal_model(placed_lm: CausalLM) -> None:
    found = et.score(placed_lm, TEXTS)
    rows = [tuple(placed_lm.vocabulary.encode(text)) for text in TEXTS]
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([reference_log_prob(placed_lm, r) for r in rows], 1e-4)
    assert et.score(placed_lm, []).shape == (0,)
    contexts = ["We ate", "a", "We ate", "b"]
    mixed = et.score(placed_lm, TEXTS, given=contexts).tolist()
    alone = [float(et.score(placed_lm.given(c), [t])) for c, t in zip(contexts, TEXTS, strict=True)]
    assert mixed == pytest.approx(alone, abs=1e-4)
    assert et.score(placed_lm, TEXTS[:1], given="We ate").tolist() == pytest.approx(mixed[:1], 1e-4)


def test_energies_and_masked_models(placed_lm: CausalLM) -> None:
    energy = et.fluency(placed_lm) + et.keywords(["dog"])
    assert et.score(energy, TEXTS).tolist() == pytest.approx(
        [math.inf, -float(et.score(placed_lm, TEXTS[1:2])), math.inf, math.inf], abs=1e-4
    )
    masked = et.load("tiny-masked")
    texts = ["The sun is hot.", "A dog ran."]
    rows = TokenBatch.of([masked.encode(text) for text in texts])
    expected = masked.pseudo_log_prob(rows).tolist()
    assert et.score(masked, texts).tolist() == pytest.approx(expected, abs=1e-4)
    found = et.score(et.pseudo_likelihood(masked), np.array(texts)).tolist()
    assert found == pytest.approx([-one for one in expected], abs=1e-4)


def test_what_only_looks_like_a_special_token_is_scored() -> None:
    """Where the tokenizer spells it out; that others are refused is tested below."""
    assert et.score(et.load("tiny-retriever"), ["a</s>b"], given="x").isfinite().all()
    assert et.score(et.load("tiny-causal"), ["<|endoftext|>"]).isfinite().all()


def test_an_encoder_decoder() -> None:
    lm = et.load("tiny-retriever")
    answers = ["苹果\t产地", "苹果公司\t创始人", "苹果\t产地"]
    inputs = ["苹果产自哪里？", "苹果公司是谁创立的？", "苹果公司是谁创立的？"]
    found = et.score(lm, answers, given=inputs)
    for answer, given, score in zip(answers, inputs, found, strict=True):
        target = [*lm.keys.encode(answer), lm.end]
        logits = lm.model(
            input_ids=torch.tensor([lm.encode(given)]),
            decoder_input_ids=torch.tensor([[lm.start_id, *target[:-1]]]),
        ).logits[0]
        steps = logits.double().log_softmax(-1)[torch.arange(len(target)), target]
        assert float(score) == pytest.approx(float(steps.sum().detach()), abs=1e-3)
    assert et.score(lm, answers, given=inputs[0])[0] == pytest.approx(float(found[0]), abs=1e-4)
    assert et.score(lm, [], given=inputs[0]).shape == (0,)
    with pytest.raises(InputError, match="pass the input"):
        et.score(lm, answers)


def test_texts_that_cannot_be_scored(placed_lm: CausalLM) -> None:
    energy = et.fluency(placed_lm) + et.length(3)
    for what, texts, given, message in [
        (placed_lm, "a dog", None, "put it into a list"),
        (energy, "a dog", None, "put it into a list"),
        (placed_lm, [["a"]], None, "must be one text"),
        (placed_lm, ["a</s>b"], None, "special token '</s>'"),
        (energy, ["<mask>"], None, "special token '<mask>'"),
        (placed_lm, ["a"], ["b", "c"], "has 2 texts for 1"),
        (energy, ["a"], "b", "drop given="),
        (et.length(3), ["a"], None, "has no tokenizer"),
        ("tiny-causal", ["a"], None, "neither a model nor an energy"),
    ]:
        with pytest.raises(InputError, match=message):
            et.score(what, texts, given=given)


def test_what_is_no_batch_no_text_and_no_energy(placed_lm: CausalLM, tmp_path: Path) -> None:
    one = torch.zeros(1, dtype=torch.int64)
    path = tmp_path / "kb.ergo"
    et.save_trie(one_key(placed_lm), path)
    masked, rows = et.load("tiny-masked"), TokenBatch.of([[7, 500]])
    energy = et.fluency(placed_lm) + et.keywords(["dog"])
    terms = [energy, et.fluency(placed_lm), et.length(3), et.matches(one_key(placed_lm))]
    terms += [et.custom(len, of="tokens"), et.keywords(["dog"]).bind(placed_lm)]
    asks = [
        *(lambda t=term: t(["a dog"]) for term in terms),
        lambda: energy.terms(["a dog"]),
        lambda: placed_lm.log_prob(["text"]),
        lambda: placed_lm.next_log_prob("text", one),
        lambda: placed_lm.candidate_log_prob(["text"], one, one, one[:, None]),
        lambda: placed_lm.decode(["text"]),
        lambda: masked.pseudo_log_prob(["text"]),
        lambda: masked.conditional_log_prob(["text"], one),
        lambda: masked.blank_log_prob(["text"], one),
    ]
    for ask in asks:
        with pytest.raises(
            InputError, match=r"is not a TokenBatch: to score texts, use ergotext\.sc"
        ):
            ask()
    for ask, message in [
        (lambda: placed_lm.log_prob(rows), "has token 500, but the model's tokens are 0 to 429"),
        (lambda: placed_lm.given(["a"]), r"\['a'\] is not a text"),
        (lambda: et.fluency(placed_lm, ["a"]), "is not a text"),
        (lambda: et.sample("hello"), "'hello' is not an energy"),
        (lambda: et.sample(placed_lm), "is not an energy: build one"),
        (lambda: TokenBatch.of(["a"]), "contains texts"),
        (lambda: TokenBatch.of("a"), "contains texts"),
        (
            lambda: et.build_trie(["a"], "t5"),
            r"'t5' is not a tokenizer for an index.*load_tokenizer",
        ),
        (lambda: et.build_trie(["a"], bart()), "FastTokenizer"),
        (lambda: et.load_trie(path, "t5"), "'t5' is not a tokenizer for an index"),
        (lambda: FastTokenizer(bart()).encode_many("ab"), "expected a list of texts"),
        (lambda: FastTokenizer(bart()).encode(["ab"]), r"\['ab'\] is not a text"),
        (lambda: et.CharacterTokenizer("ab").encode_many("ab"), "expected a list of texts"),
        (lambda: et.CharacterTokenizer("ab").encode(5), "5 is not a text"),
        (lambda: KeywordCoverage("cat", LATIN), "put it into a list"),
        (lambda: et.matches(["a", "b"]), "neither an automaton nor a regular expression"),
        (lambda: et.difference(["a"]), "is not a text"),
        (lambda: et.kept_words(["a"], placed_lm), "is not a text"),
        (lambda: SentenceEncoder(None).encode("a dog"), "put it into a list"),
    ]:
        with pytest.raises(InputError, match=message):
            ask()


def one_key(lm: CausalLM) -> et.TokenTrie:
    alphabet = Pieces.of(lm.vocabulary.tokenizer, size=430).alphabet
    return et.build_trie([(5, 6)], alphabet)
