"""Look-aheads by name, and the learned one at the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ergotext.cli import main
from ergotext.errors import InputError
from ergotext.lm.loading import load
from ergotext.lm.trie.file import load as load_trie
from ergotext.tasks.retrieval.candidates import Candidates, ManyPotential, Spotter
from ergotext.tasks.retrieval.lookahead import learned
from ergotext.tasks.retrieval.lookahead.features import Asked, Key
from ergotext.tasks.retrieval.lookahead.fitted import Fitted
from ergotext.tasks.retrieval.lookahead.learned import learned_digest, lookahead_named
from ergotext.tasks.retrieval.lookahead.network import CONFIG, Matcher
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.retriever import Retriever
from tests.tasks.retrieval import test_retriever_table
from tests.tasks.retrieval.table_reader import TableReader
from tests.tasks.retrieval.test_retriever_table import QUESTIONS
from tests.tiny_t5 import saved

KB = "香蕉\t产地\t海南\n香蕉\t颜色\t黄\n香蕉\t高度\t3米\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved(tmp_path / "model", [KB])
    (tmp_path / "kb.tsv").write_text(KB, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("kb.tsv", "kb.ergo")]
    model = str(tmp_path / "model")
    assert main(["index", "build", files[0], "-o", files[1], "--tokenizer", model]) == 0
    return tmp_path


def beside(folder: Path, predicate: str) -> None:
    """A matcher beside the model that always wants one predicate: it knows its characters only."""
    torch.manual_seed(0)
    matcher = Matcher(predicate, width=8, hidden=8, drop=0.0)
    optimizer = torch.optim.AdamW(matcher.parameters(), lr=0.02)
    names = dict.fromkeys([predicate, "产地", "颜色", "高度"])
    asked = [Asked("", "", [Key(name, "", "") for name in names])]
    for _ in range(60):
        loss = -matcher(matcher.read(asked)).log_softmax(0)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    matcher.save(folder / "model")


def test_names(folder: Path) -> None:
    model = str(folder / "model")
    assert lookahead_named("none", model) is None
    assert isinstance(lookahead_named("auto", model), StringMatch)
    with pytest.raises(InputError, match="has no look-ahead"):
        lookahead_named("learned", model)
    with pytest.raises(InputError, match="no look-ahead 'string'"):
        lookahead_named("string", model)
    Matcher("产地", width=8, hidden=8).save(folder / "model")
    for name in ("auto", "learned"):
        assert isinstance(lookahead_named(name, model), learned.Matched)
    assert isinstance(lookahead_named("strings", model), StringMatch)


@pytest.mark.parametrize("predicate", ["产地", "高度"])
def test_learned_at_the_command_line(
    folder: Path, predicate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    beside(folder, predicate)
    common = ["retrieve", "-i", str(folder / "kb.ergo"), "--model", str(folder / "model")]
    capsys.readouterr()
    assert main([*common, "--device", "cpu", "--json", "香蕉怎么样"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["results"][0]["fields"]["predicate"] == predicate


def test_damaged_matcher_is_told_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Matcher("产地", width=8, hidden=8).save(folder / "model")
    (folder / "model" / CONFIG).write_text("{", encoding="utf-8")
    common = ["retrieve", "-i", str(folder / "kb.ergo"), "--model", str(folder / "model")]
    capsys.readouterr()
    assert main([*common, "--device", "cpu", "香蕉"]) == 1
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize("together", [1, 5, 1000])
def test_many_questions_are_weighed_as_each_alone(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever keys the matcher reads together: each question has its own potentials."""
    monkeypatch.setattr(learned, "TOGETHER", together)
    reader = TableReader(test_retriever_table.KEYS)
    trie = replace(test_retriever_table.made(reader), tokenizer=reader.keys)
    found, _ = Spotter(trie, triples=True).find(QUESTIONS)
    torch.manual_seed(0)
    potential = learned.Matched(Matcher("abcxyz山水", width=8, hidden=8).eval())
    assert isinstance(potential, ManyPotential)
    told = potential.many(QUESTIONS, found)
    for question, keys, values in zip(QUESTIONS, found, told, strict=True):
        expected = np.full(len(keys), -np.inf)
        for rows, asked in learned.grouped(question, keys):
            expected[rows] = 10.0 * potential.matcher.scores([asked]).numpy()
        assert values == pytest.approx(expected, abs=1e-4)
        assert np.unique(values[values > -np.inf]).size > 3 or not len(keys)
    assert [len(values) for values in told].count(0) == 1


LATIN = "abcdefghijklmnopqrstuvwxyzMW? "
LINES = [
    "Mars\tmoon\tPhobos", "Mars\tcolour\tred", "Venus\tcolour\tyellow", "Venus\tmoon\tnone",
    "香蕉\t产地\t海南", "香蕉\tcolour\tyellow",
]  # fmt: skip
SPOKEN = {
    "What colour is Mars?": True,
    "香蕉的产地": False,
    "What is the colour of Venus?": True,
    "what colour has 香蕉": False,  # it has a predicate of the other script
    "Mars or 香蕉, which moon?": False,  # one question, one matcher
    "Mars的卫星": False,
}


def test_each_question_goes_to_the_matcher_that_knows_its_characters(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "TOGETHER", 3)
    (folder / "two.tsv").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    assert main(["index", "build", str(folder / "two.tsv"), "-o", str(folder / "two.ergo")]) == 0
    found, _ = Spotter(load_trie(folder / "two.ergo"), triples=True).find(list(SPOKEN))
    torch.manual_seed(0)
    for characters in (f"{LATIN},的产地卫星", LATIN):
        path = folder / "model" / (f"{learned.OTHERS}/latin" if characters == LATIN else "")
        path.mkdir(parents=True, exist_ok=True)
        Matcher(characters, width=8, hidden=8).save(path)
        digest = learned_digest(str(folder / "model"))
    potential = learned.Matched.load(folder / "model")
    first, (latin,) = potential.matcher, potential.others
    told = potential.many(list(SPOKEN), found)
    for (question, other), keys, values in zip(SPOKEN.items(), found, told, strict=True):
        expected = np.full(len(keys), -np.inf)
        for rows, asked in learned.grouped(question, keys):
            matcher = latin if other else first
            expected[rows] = potential.scale * matcher.scores([asked]).numpy()
        assert values == pytest.approx(expected, abs=1e-4) and len(set(values)) == len(values) > 1
        assert potential(question, keys) == pytest.approx(expected, abs=1e-4)
    latin.embedding.weight.data += 1
    latin.save(folder / "model" / learned.OTHERS / "latin")
    assert learned_digest(str(folder / "model")) != digest


def test_a_look_ahead_must_answer_every_question() -> None:
    reader = TableReader(test_retriever_table.KEYS)
    retriever = Retriever(reader, test_retriever_table.made(reader), triples=True)
    with pytest.raises(InputError, match="returned 1 arrays for 3 questions"):
        retriever.retrieve(QUESTIONS, lookahead=Forgetful())


class Forgetful:
    """It gives what the first question's keys are worth, and no more."""

    def __call__(self, question: str, keys: Candidates) -> np.ndarray:
        return np.zeros(len(keys))

    def many(self, questions: Sequence[str], keys: Sequence[Candidates]) -> list[np.ndarray]:
        return [np.zeros(len(keys[0]))]


def test_predictions_of_another_scale_are_not_mixed_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside(folder, "产地")
    asked = '{"id": 1, "question": "香蕉怎么样", "answer": "香蕉 ||| 产地 ||| 海南"}\n'
    (folder / "dev.json").write_text(asked, encoding="utf-8")
    output = folder / "told.jsonl"
    common = ["evaluate", str(folder / "dev.json"), "-i", str(folder / "kb.ergo")]
    common += ["-o", str(output), "--model", str(folder / "model"), "--device", "cpu"]
    assert main(common) == 0 and main(common) == 0
    told = output.read_bytes()
    Fitted(scale=3.0).save(folder / "model")
    capsys.readouterr()
    assert main(common) == 2 and "the look-ahead changed since" in capsys.readouterr().err
    assert output.read_bytes() == told
    assert main([*common, "--lookahead", "strings"]) == 2


def test_long_groups_are_read_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts, the scores are the same."""
    retriever = Retriever(load(str(folder / "model"), device="cpu"), folder / "kb.ergo")
    (keys,), _ = Spotter(retriever.trie, triples=True).find(["香蕉有多高"])
    torch.manual_seed(0)
    ahead = learned.Matched(Matcher("产地颜色高度", width=8, hidden=8).eval(), scale=2.0)
    whole = ahead("香蕉有多高", keys)
    sizes: list[int] = []
    plain = Matcher.scores

    def scores(matcher: Matcher, asked: list[Asked]) -> torch.Tensor:
        sizes.append(sum(len(one.keys) for one in asked))
        return plain(matcher, asked)

    monkeypatch.setattr(Matcher, "scores", scores)
    monkeypatch.setattr(learned, "TOGETHER", 2)
    np.testing.assert_allclose(ahead("香蕉有多高", keys), whole, rtol=1e-5)
    assert sizes == [2, 1] and len(set(whole)) == 3
