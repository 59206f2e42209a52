"""``ergotext train`` from questions to a folder that a retriever uses."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ergotext.cli import main
from ergotext.errors import InputError
from ergotext.lm.loading import load
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.training.checkpoints import CHECKPOINTS, Folders
from ergotext.tasks.training.result import Trained
from ergotext.tasks.training.run import InterruptedRunError, TrainingRun
from ergotext.tasks.training.seq2seq import train as module
from ergotext.tasks.training.seq2seq.learner import Seq2SeqLearner
from ergotext.tasks.training.seq2seq.train import train
from ergotext.tasks.training.settings import OBJECTIVES, Settings, Shape
from tests.tasks.little_base import LittleBase

SMALL = Settings(
    steps=4, batch_size=4, every=2, shape=Shape(d_model=32, d_ff=32, num_layers=1, num_heads=2)
)


@pytest.fixture(autouse=True)
def same_chance_as_before() -> Iterator[None]:
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def run(little: LittleBase, output: Path, settings: Settings = SMALL, **named: object) -> Trained:
    options: dict[str, object] = {"templates": [little.templates], "device": "cpu", **named}
    return train(little.questions, little.dev, little.index, output, settings, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def last_checkpoint(folder: Path) -> Path:
    return Folders(folder / CHECKPOINTS).places()[0]


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(little: LittleBase, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    folder = tmp_path_factory.mktemp("run") / "model"
    return run(little, folder), folder


def test_what_is_written(trained: tuple[Trained, Path]) -> None:
    told, folder = trained
    assert all(w.dtype == torch.float16 for w in weights(folder).values())
    assert not list(folder.glob("*.bin")) and (folder / "curve.png").stat().st_size > 1000
    log = log_of(folder)
    assert [line["step"] for line in log if "eval_EMF1" in line] == [2, 4]
    assert all(line["loss"] > 0 for line in log if "loss" in line)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["scores"] == told.scores and record["settings"]["steps"] == 4
    assert record["steps"] == told.steps == 4 and "torch" in record["versions"]
    assert f"{told.scores['EMF1']:.3f}" in told.text() and not told.complaints()


def test_a_retriever_uses_it(
    trained: tuple[Trained, Path], little: LittleBase, tmp_path: Path
) -> None:
    """And its own score of the dev questions is the one that training told."""
    told, folder = trained
    lm = load(str(folder), device="cpu")
    assert isinstance(lm, Seq2SeqLM)
    build(little.lines, tmp_path / "kb.ergo", tokenizer=str(folder))
    rows = [json.loads(line) for line in little.dev.read_text(encoding="utf-8").splitlines()]
    questions = [row["question"] for row in rows]
    found = Retriever(lm, tmp_path / "kb.ergo").retrieve(questions, k=1)
    right = [
        hits[0].fields["subject"] == row["answer"].split(" ||| ")[0]
        and hits[0].fields["predicate"] == row["answer"].split(" ||| ")[1]
        for hits, row in zip(found, rows, strict=True)
    ]
    assert 100 * sum(right) / len(right) == pytest.approx(told.scores["EM_All"], abs=1e-3)


def test_a_resumed_run_ends_where_a_whole_one_does(
    trained: tuple[Trained, Path], little: LittleBase, tmp_path: Path
) -> None:
    """Bit by bit, checkpoints of more steps than were asked for at first among them."""
    _, whole = trained
    # As if it had been ended right after the first checkpoint.
    plain = TrainingRun.step

    def step(self: TrainingRun) -> tuple[float, float]:
        if self.done == 3:
            raise KeyboardInterrupt
        return plain(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "step", step)
        with pytest.raises(InterruptedRunError) as error:
            run(little, tmp_path / "m")
    assert "checkpoint-2; continue with resume" in str(error.value)
    # One that was cut off while it was written counts for nothing.
    (tmp_path / "m" / CHECKPOINTS / "checkpoint-3").mkdir()
    assert last_checkpoint(tmp_path / "m").name == "checkpoint-2"
    again = run(little, tmp_path / "m", resume=True)
    for checkpoint in (tmp_path / "m" / CHECKPOINTS).glob("checkpoint-4"):
        one, other = weights(checkpoint), weights(whole / CHECKPOINTS / checkpoint.name)
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert again.steps == 4 and (tmp_path / "m" / CHECKPOINTS / "checkpoint-4").is_dir()
    assert [line["step"] for line in log_of(tmp_path / "m") if "eval_EMF1" in line] == [2, 4]


def test_sigint_keeps_the_last_checkpoint(
    little: LittleBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plain = TrainingRun.evaluate

    def evaluate(self: TrainingRun) -> dict[str, float]:
        if self.done == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self)

    monkeypatch.setattr(TrainingRun, "evaluate", evaluate)
    output = tmp_path / "m"
    options = ["--start", "new", "--only", "model", "--steps", "6", "--every", "2", "--width", "32",
               "--layers", "1", "--batch-size", "4", "-o", str(output)]  # fmt: skip
    assert main(["train", *little.arguments, *options]) == 130
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "interrupted at step 4" in message and "checkpoint-2; continue with --resume" in message
    assert last_checkpoint(output).is_dir() and not (output / "model.safetensors").exists()


@pytest.mark.parametrize("objective", OBJECTIVES[1:])
def test_other_objectives_go_on_from_a_model(
    objective: str, trained: tuple[Trained, Path], little: LittleBase, tmp_path: Path
) -> None:
    """Weights change from those that were started from, by a little; the best are kept."""
    _, folder = trained
    settings = replace(SMALL, objective=objective, rivals=3, steps=2, learning_rate=1e-4)
    told = run(little, tmp_path / "m", settings, start=str(folder))
    before, after = weights(folder), weights(last_checkpoint(tmp_path / "m"))
    change = max(float((before[n].float() - after[n].float()).abs().max()) for n in before)
    assert 0 < change < 0.05 and told.steps == 2
    scores = [line["eval_EMF1"] for line in log_of(tmp_path / "m") if "eval_EMF1" in line]
    assert len(scores) == 2 and told.scores["EMF1"] == pytest.approx(max(scores), abs=1e-3)


def test_it_stops_early(
    little: LittleBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second score that is no better than the first ends it; the weights of that are kept."""
    scores = iter([60.0, 50.0, 55.0])

    def score(*_: object) -> dict[str, float]:
        return dict.fromkeys(("EMF1", "EM_S", "EM_P"), next(scores, 1.0))

    monkeypatch.setattr(module.DevSet, "score", score)
    told = run(little, tmp_path / "m", replace(SMALL, steps=40, patience=2))
    assert told.steps == 6
    kept = load_file(tmp_path / "m" / CHECKPOINTS / "checkpoint-2" / "model.safetensors")
    assert all(torch.equal(w, kept[n].half()) for n, w in weights(tmp_path / "m").items())


def test_dev_questions_are_never_trained_on(
    little: LittleBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    plain = Seq2SeqLearner.loss

    def loss(self: Seq2SeqLearner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        ids = batch["input_ids"]
        seen.extend(begun[0].tokenizer.batch_decode(ids, skip_special_tokens=True))
        return plain(self, batch)

    begun = []
    make = module.started

    def started(*rest: object) -> object:
        begun.append(make(*rest))
        return begun[0]

    dev = tmp_path / "dev.json"
    told = {"id": 0, "question": "Mercury 秘密是什么", "answer": "Mercury ||| 颜色 ||| ?"}
    dev.write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")
    monkeypatch.setattr(module, "started", started)
    monkeypatch.setattr(Seq2SeqLearner, "loss", loss)
    train(little.questions, dev, little.index, tmp_path / "m", replace(SMALL, steps=6))
    assert len(seen) == 24 and not any("秘" in text for text in seen)


def test_minutes_end_a_run(little: LittleBase, tmp_path: Path) -> None:
    told = run(little, tmp_path / "m", replace(SMALL, steps=10**6, every=10**5), minutes=0.01)
    assert 1 <= told.steps < 10**4 and (tmp_path / "m" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"objective": "magic"}, "objective must be one of"),
        ({"rivals": 1}, "rivals must be at least 2, got 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"radius": float("nan")}, "radius must be"),
        ({"cool_down": 1.5}, "cool_down must be at most 1, got 1.5"),
    ],
)
def test_settings_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        replace(SMALL, **change)
    assert message in str(error.value)


def test_bad_input_is_told_in_one_line(
    little: LittleBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, lines = tmp_path / "empty.json", tmp_path / "lines.tsv"
    empty.write_text("")
    lines.write_text("apple\nbanana\n")
    build(lines, tmp_path / "lines.ergo", columns="key")
    questions, dev, index = str(little.questions), str(little.dev), str(little.index)
    out, file, keys = str(tmp_path / "m"), tmp_path / "file", str(tmp_path / "lines.ergo")
    file.write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for given, message in {
        ("none", "--dev", dev, "-i", index, "-o", out): "cannot read the questions none",
        (str(empty), "--dev", dev, "-i", index, "-o", out): "contains no questions",
        (questions, "--dev", str(empty), "-i", index, "-o", out): "contains no questions",
        (questions, "--dev", dev, "-i", "none", "-o", out): "none",
        (questions, "--dev", dev, "-i", keys, "-o", out): "index of triples",
        (questions, "--dev", dev, "-i", index, "-o", str(file)): "cannot create the folder",
        (questions, "--dev", dev, "-i", index, "-o", str(tmp_path / "full")): "is not empty",
        (questions, "--dev", dev, "-i", index, "-o", out, "--resume"): "no run to resume",
        (questions, "--dev", dev, "-i", index, "-o", out, "--steps", "0"): "at least 1, got 0",
        (questions, "--dev", dev, "-i", index, "-o", out, "--templates", "none"): "templates none",
        (questions, "--dev", dev, "-i", index, "-o", out, "--start", "tiny-causal"): "not an enc",
        (questions, "--dev", dev, "-i", index, "-o", out, "--minutes", "nan"): "minutes is nan",
    }.items():  # fmt: skip
        assert main(["train", *given]) == 2, given
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1 and message in told[0], told
    assert file.read_text() == (tmp_path / "full" / "mine").read_text() == "mine"


def test_an_index_of_another_tokenizer_is_refused(
    trained: tuple[Trained, Path], little: LittleBase, tmp_path: Path
) -> None:
    """With its own tokenizer the index makes the model's; from another model it is refused."""
    _, folder = trained
    build(little.lines, tmp_path / "kb.ergo", tokenizer=str(folder))
    told = train(little.questions, little.dev, tmp_path / "kb.ergo", tmp_path / "a", SMALL)
    assert told.steps == 4
    other = tmp_path / "other"
    few = little.index.with_name("few.json")
    few.write_text(little.dev.read_text(encoding="utf-8"), encoding="utf-8")
    train(few, little.dev, little.index, other, replace(SMALL, steps=1))
    with pytest.raises(InputError, match="another tokenizer"):
        train(
            little.questions, little.dev, tmp_path / "kb.ergo", tmp_path / "b", SMALL,
            start=str(other),
        )  # fmt: skip


def test_another_run_is_not_gone_on_with(
    trained: tuple[Trained, Path], little: LittleBase, tmp_path: Path
) -> None:
    _, folder = trained
    before = weights(folder)
    other = tmp_path / "templates.tsv"
    other.write_text("born\twhen was {subject} born?\n")
    for settings in (replace(SMALL, seed=1), replace(SMALL, batch_size=5)):
        with pytest.raises(InputError, match="was started with"):
            run(little, folder, settings, resume=True)
    with pytest.raises(InputError, match="was started with templates 1"):
        run(little, folder, SMALL, resume=True, templates=[other])
    with pytest.raises(InputError, match=r"was started with templates 1 = [0-9a-f]+, not nothing"):
        run(little, folder, SMALL, resume=True, templates=[])
    assert all(torch.equal(before[n], w) for n, w in weights(folder).items())
