"""Keys drawn from the model: all of them, or enough to estimate sums over all without bias."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie import build
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.seq2seq.objectives import log_prob_of
from ergotext.tasks.training.seq2seq.sampled_keys import KeySampler
from ergotext.tasks.training.seq2seq.scoring import Coder
from ergotext.tasks.training.seq2seq.tokenizer import spelling_tokenizer
from tests.tiny_t5 import t5_of

SUBJECTS, PREDICATES = ("苹果", "果", "长江"), ("产地", "产", "颜色", "总长")
KEYS = sorted(f"{s}\t{p}" for s in SUBJECTS for p in PREDICATES)
QUESTIONS = ["苹果产自哪里", "有多长", "长江有多长"]
STANDING = [8, 12, 4]
"""Keys that may answer: 苹果 and 果; no subject, hence all; 长江."""
TOKENIZER = spelling_tokenizer(KEYS, least=1)


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return build([(key, f"of {key}") for key in KEYS], FastTokenizer(TOKENIZER))


def sampler(trie: TokenTrie, count: int) -> KeySampler:
    model = t5_of(TOKENIZER, seed=2)
    with torch.no_grad():  # a law that is not all but certain, else most draws tell nothing
        for parameter in model.parameters():
            parameter.mul_(0.35)
    return KeySampler(model, Coder(TOKENIZER), Spotter(trie, triples=True), count, 0)


def log_probs(one: KeySampler, question: str, keys: list[str]) -> torch.Tensor:
    batch = one.coder.batch([question], keys)
    with torch.no_grad():
        return log_prob_of(one.model, {**batch, "row": torch.zeros(len(keys), dtype=int)}).double()


def test_all_keys_come_with_certainty(trie: TokenTrie) -> None:
    drawn = sampler(trie, 12)(QUESTIONS, 0)
    assert [len(keys) for keys, _ in drawn] == STANDING
    assert all(chance == [0.0] * len(keys) for keys, chance in drawn)
    keys, _ = drawn[2]
    assert sorted(keys.keys) == [k for k in KEYS if k.startswith("长江")]
    assert keys.answers[0].object == f"of {keys.keys[0]}"


@pytest.mark.parametrize("number", [0, 1])
def test_sums_over_all_keys_are_estimated_without_bias(trie: TokenTrie, number: int) -> None:
    """Σ p(c) R(c) over all keys, from three drawn ones, within five standard errors."""
    one = sampler(trie, 3)
    question = QUESTIONS[number]
    may = [k for k in KEYS if number == 1 or k.startswith(("苹果", "果"))]
    worth = {key: n / len(KEYS) for n, key in enumerate(KEYS)}
    log_prob = dict(zip(may, log_probs(one, question, may).tolist(), strict=True))
    true = sum(math.exp(log_prob[key]) * worth[key] for key in may)
    found = []
    for batch in range(8):
        for keys, chance in one([question] * 64, batch):
            assert len(set(keys.keys)) == 3 and set(keys.keys) <= set(may)
            pairs = zip(keys.keys, chance, strict=True)
            found.append(sum(math.exp(log_prob[k] - c) * worth[k] for k, c in pairs))
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found) - true) < 5 * error and error < 0.1 * true


def test_a_batch_is_drawn_again_alike(trie: TokenTrie) -> None:
    one = sampler(trie, 3)
    assert one(QUESTIONS, 5) == one(QUESTIONS, 5)
    assert any(one(QUESTIONS, n) != one(QUESTIONS, 5) for n in range(5))
