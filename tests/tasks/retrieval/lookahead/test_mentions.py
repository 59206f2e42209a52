"""Which mention is meant: features, weights, and questions answered together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ergotext.errors import ModelError
from ergotext.lm.trie.spotted import EVIDENCE, Naming
from ergotext.tasks.retrieval.candidates import Mention, Spotter
from ergotext.tasks.retrieval.lookahead.mentions import (
    ALIKE,
    FEATURES,
    NAME,
    MentionWeights,
    features,
)
from tests.lm.trie.names.names_cases import CASES, LINES, made

TOLD = (10.0, 20.0, 0.5, 0.25, 0.125, 0.75, 1.0, 0.0)
SHIPPED = Path(__file__).parents[4] / "ergotext" / "models" / "tiny-retriever"


def told(kind: Naming) -> dict[str, float]:
    found = features(Mention("x", 0, 1, kind, evidence=TOLD))
    return {name: value for name, value in zip(FEATURES, found.tolist(), strict=True) if value}


def test_features_of_each_kind() -> None:
    exact = {"exact": 1.0, "exact mass": 2.0, "exact length": 2.0}
    assert told(Naming.EXACT) == exact and told(Naming.OTHER) == {
        **exact,
        "other letters": 1.0,
    }
    assert told(Naming.VALUE) == {"value": 1.0, "value length": 2.0}
    near = dict(zip(EVIDENCE, TOLD, strict=True)) | {"mass": 2.0, "length": 2.0}
    assert told(Naming.NEAR) == {f"near {name}": value for name, value in near.items() if value}
    assert features(Mention("x", 0, 1)).tolist() == [1.0] + [0.0] * (len(FEATURES) - 1)


def test_a_weight_counts_for_all_keys_of_its_mention(tmp_path: Path) -> None:
    spotter = Spotter(made(tmp_path, LINES), triples=True)
    (keys,), _ = spotter.find(["Mars or guerncia?"], near="always")
    weights = MentionWeights(dict.fromkeys(FEATURES, 0.0) | {"exact": 3.0})
    kinds = np.array([mention.kind for mention in keys.mentions])[keys.mention]
    assert weights(keys).tolist() == np.where(kinds == Naming.EXACT, 3.0, 0.0).tolist()
    assert {Naming.EXACT, Naming.NEAR} <= set(kinds.tolist()) and not ALIKE(keys).any()


def test_questions_asked_together_have_the_keys_that_each_has_alone(tmp_path: Path) -> None:
    """One names a subject, the other a value of one of its keys."""
    spotter = Spotter(made(tmp_path, LINES), triples=True)
    texts = [text for text, *_ in CASES] + ["Leonardo da Vinci", "who painted the last supper?"]
    together, _ = spotter.find(texts, other_letters=True, near="always")
    for text, keys in zip(texts, together, strict=True):
        (alone,), _ = spotter.find([text], other_letters=True, near="always")
        assert keys.ordinals.tolist() == alone.ordinals.tolist() and keys.rests == alone.rests
        assert keys.mentions == alone.mentions and np.array_equal(keys.mention, alone.mention)
        for number, rest in enumerate(keys.rests):
            subject = keys.mentions[keys.mention[number]].subject
            assert f"{subject}\t{rest}\t" in {line[: len(f"{subject}\t{rest}\t")] for line in LINES}


def test_the_weights_that_are_shipped_put_what_is_written_first() -> None:
    weights = MentionWeights.load(SHIPPED).weights
    assert set(weights) == set(FEATURES) and weights["exact"] > 4 > weights["value"]


@pytest.mark.parametrize("text", ["{", "{}", '{"weights": {"exact": 1}}', '{"weights": 3}'])
def test_damaged_weights(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="fit it again"):
        MentionWeights.load(tmp_path)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    none = dict.fromkeys(FEATURES, 0.0)
    for told in (
        {"weights": dict.fromkeys(FEATURES, float("inf"))},
        {"weights": dict.fromkeys(FEATURES, 10**400)},
        {"weights": none, "reach": 10**400},
        {"weights": none, "reach": float("nan")},
    ):
        (tmp_path / NAME).write_text(json.dumps(told), encoding="utf-8")
        with pytest.raises(ModelError, match="fit it again"):
            MentionWeights.load(tmp_path)
    assert not MentionWeights.load(tmp_path / "none").weights
