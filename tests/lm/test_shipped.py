"""The models that are part of the package: what they know, and what they weigh."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file

import ergotext as et
from ergotext.lm.sources import SHIPPED
from tests.paths import ROOT

DOCS = ROOT / "docs" / "masked.md"
FLUENT = [
    "The children played in the garden.",
    "He went to the door and opened it.",
    "It was a cold morning and the wind was strong.",
    "我们今天去学校。",
    "你可以使用这个命令。",
    "如果没有指定文件，那么从标准输入读取。",
]
KINDS = {
    "tiny-causal": "LlamaForCausalLM",
    "tiny-masked": "ModernBertForMaskedLM",
    "tiny-retriever": "T5ForConditionalGeneration",
}
TEXT = ("GPL", "CC-BY-SA", "public domain", "Apache-2.0", "held-out", "seed", "trigram")
CARDS = {
    "tiny-causal": TEXT,
    "tiny-masked": TEXT,
    "tiny-retriever": ("Apache-2.0", "KgCLUE", "seed", "EMF1", "cannot", "synonyms", "look-ahead"),
}


@pytest.fixture(scope="module")
def causal() -> et.CausalLM:
    return et.load("tiny-causal")


@pytest.fixture(scope="module")
def masked() -> et.MaskedLM:
    return et.load("tiny-masked")


def shuffled(row: list[int]) -> list[int]:
    order = torch.randperm(len(row), generator=torch.Generator().manual_seed(5)).tolist()
    return [row[k] for k in order]


def test_fluent_text_is_likely_and_shuffled_text_is_not(causal, masked) -> None:
    rows = [masked.encode(text) for text in FLUENT]
    fluent, other = (et.TokenBatch.of(batch) for batch in (rows, [shuffled(row) for row in rows]))
    for value in (causal.log_prob, masked.pseudo_log_prob):
        assert bool((value(fluent) > value(other) + 4.0).all()), value


def test_one_tokenizer_for_both_and_every_text_is_spelled(causal, masked) -> None:
    assert causal.vocabulary.same_as(masked.vocabulary)
    for text in (*FLUENT, "naïve Ω ≠ 犇 👍\u200d \x07\n\t'", ""):
        row = causal.vocabulary.encode(text)
        assert row == masked.encode(text) and causal.vocabulary.text(row) == text
        assert bool(causal.allowed[row].all())
    assert int(causal.allowed.sum()) == int(masked.allowed.sum()) == 8192 - 4
    assert (causal.max_positions, masked.max_positions) == (128, 128)
    energy = et.fluency(causal) + 0 * et.pseudo_likelihood(masked)
    assert energy.masked is masked and energy.scorer is causal


@pytest.mark.parametrize("name", SHIPPED)
def test_files(name: str) -> None:
    """Standard classes, half precision, a card, and no more than a few megabytes."""
    folder = SHIPPED[name]
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["architectures"] == [KINDS[name]]
    weights = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < (20_000_000 if name == "tiny-retriever" else 7_000_000)
    card = (folder / "README.md").read_text("utf-8")
    for told in CARDS[name]:
        assert told in card, told


def test_the_example_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    exec(code, {})
    told = capsys.readouterr().out
    assert "pseudo-likelihood" in told and told.count("tensor") >= 4


@pytest.mark.parametrize("sampler", ["gibbs", "mlm-gibbs", "mlm-mh"])
def test_gibbs_runs_out_of_the_box(causal, masked, sampler: str) -> None:
    """English and Chinese, toward the causal model's energy; what is kept is what is so."""
    energy = et.fluency(causal) + 0 * et.pseudo_likelihood(masked)
    initial = et.TokenBatch.of([masked.encode(FLUENT[0]), masked.encode(FLUENT[3])])
    run = et.sample(energy, sampler, chains=2, steps=12, seed=0, initial=initial, progress=False)
    last = run.trace.states[-1]
    assert last.rows() != initial.rows() and torch.equal(last.length, initial.length)
    assert all(bool(causal.allowed[list(row)].all()) for row in last.rows())
    causal.forget()
    torch.testing.assert_close(run.energy[-1], energy(last), atol=1e-4, rtol=0)
