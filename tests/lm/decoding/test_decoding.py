from __future__ import annotations

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.protocols import Decoding
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import build
from ergotext.samplers.search.beam import beam
from tests.decoding import CausalDecoding

PROMPTS = [(7, 9, 30), (5,), ()]


@pytest.mark.parametrize("context", ["", "The summer sun"])
def test_beam_finds_every_key_with_its_own_score(small_lm: CausalLM, context: str) -> None:
    lm = small_lm.given(context)
    rng = np.random.default_rng(0)
    keys = {tuple(rng.integers(4, 9, rng.integers(1, 7)).tolist()) for _ in range(40)}
    trie = build([(key, None) for key in keys], Alphabet(430, pad=0, end=lm.end_id))
    assert isinstance(lm.read(PROMPTS), Decoding)
    found = beam(lm.read(PROMPTS), trie, k=len(keys))
    for prompt, result in zip(PROMPTS, found, strict=True):
        rows = [(*prompt, *h.tokens) for h in result.hypotheses]
        assert {row[len(prompt) :] for row in rows} == keys and result.exact
        scores = lm.token_log_prob(TokenBatch.of(rows))[:, len(prompt) :].sum(1)
        assert [h.log_prob for h in result.hypotheses] == pytest.approx(scores.tolist(), abs=1e-4)


def test_an_end_inside_a_run(small_lm: CausalLM) -> None:
    run = torch.tensor([small_lm.end_id, 5])
    decoding = CausalDecoding.of(small_lm, small_lm.end_id, PROMPTS)
    with pytest.raises(InputError, match="stands inside"):
        decoding.rest_log_prob(torch.tensor([0]), run, torch.tensor([0, 2]))
