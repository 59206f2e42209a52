"""Questions answered by a random T5 and a tabled model, against scoring every key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie.lines import key_text
from ergotext.tasks.index import build
from ergotext.tasks.retrieve import Retriever
from tests.tiny_t5 import saved

SUBJECTS = ["苹果", "苹果（公司）", "苹果（水果）", "香蕉", "香", "Apple Pie", "Apple", "天安门"]
PREDICATES = ["产地", "颜色", "创始人", "founder", "colour", "高度"]
LINES = [f"{s}\t{p}\t{s}的{p}" for s in SUBJECTS for p in PREDICATES] + ["香蕉\t产地\t海南"]
QUESTIONS = [
    "苹果的产地是哪里？", "Who is the founder of Apple Pie?", "香蕉什么颜色", "没有的东西",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, an index of triples, one of triples without objects, and one of titles."""
    folder = tmp_path_factory.mktemp("retrieve")
    saved(folder / "model", LINES)
    name = str(folder / "model")
    for file, lines, columns in (
        ("facts", LINES, "subject,predicate,object"),
        ("bare", [line.rpartition("\t")[0] for line in LINES], "subject,predicate"),
        ("titles", [s + more for s in SUBJECTS for more in ("", " A", " 产地")], "key"),
    ):
        (folder / f"{file}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        build(folder / f"{file}.tsv", folder / f"{file}.ergo", tokenizer=name, columns=columns)
    return folder


@pytest.fixture(scope="module")
def lm(folder: Path) -> Seq2SeqLM:
    model = et.load(str(folder / "model"), device="cpu")
    assert isinstance(model, Seq2SeqLM)
    return model


@torch.inference_mode()
def every(lm: Seq2SeqLM, question: str, keys: Sequence[str]) -> dict[str, float]:
    """log p of each key by one plain pass of the whole model."""
    found = {}
    for key in keys:
        answer = [*lm.keys.encode(key), 1]
        logits = lm.model(
            input_ids=torch.tensor([lm.encode(question)]),
            decoder_input_ids=torch.tensor([[0, *answer[:-1]]]),
        ).logits[0]
        law = logits.double().log_softmax(-1)
        found[key] = float(law[torch.arange(len(answer)), answer].sum())
    return found


def text_of(fields: dict[str, str]) -> str:
    return "\t".join(fields.values())


@pytest.mark.parametrize("exhaustive", [1000, 0])
def test_all_keys_in_the_order_of_their_log_prob(
    lm: Seq2SeqLM, folder: Path, exhaustive: int
) -> None:
    retriever = Retriever(lm, folder / "facts.ergo", exhaustive=exhaustive)
    count = len(retriever.trie)
    found = retriever.retrieve(QUESTIONS, k=count + 5, spans=False, samples=64)
    keys = [lm.keys.decode(key) for key in retriever.trie.keys(())]
    for question, hits in zip(QUESTIONS, found, strict=True):
        known = every(lm, question, keys)
        mass = np.logaddexp.reduce(list(known.values()))
        ranked = sorted(known.values(), reverse=True)
        assert [h.log_prob for h in hits] == pytest.approx(ranked, abs=1e-4)
        assert hits.exact and len(hits) == count
        for hit in hits:
            key = key_text(hit.fields["subject"], hit.fields["predicate"])
            assert hit.log_prob == hit.score == pytest.approx(known[key], abs=1e-4)
            assert hit.probability == pytest.approx(math.exp(known[key] - mass), abs=1e-5)
            assert hit.probability_stderr == 0.0
            assert hit.text == text_of(hit.fields)
