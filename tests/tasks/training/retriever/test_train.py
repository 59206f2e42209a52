"""``ergotext train`` from questions to a folder that answers them, interrupted anywhere."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ergotext.cli import main
from ergotext.errors import InputError
from ergotext.lm.trie.file import load
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.lookahead.learned import Matched, learned_folder
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.training.folder_lock import alone_in
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.lookahead.train import CHECKPOINT, RECORD
from ergotext.tasks.training.retriever import train as module
from ergotext.tasks.training.retriever.beginning import Beginning
from ergotext.tasks.training.retriever.own_index import index_for
from ergotext.tasks.training.retriever.train import REPORT, TrainedRetriever, train_retriever
from ergotext.tasks.training.run import InterruptedRunError, TrainingRun
from ergotext.tasks.training.settings import Settings, Shape
from tests.tasks.little_base import LittleBase

SETTINGS = Settings(
    steps=4, batch_size=4, every=2, shape=Shape(d_model=32, d_ff=32, num_layers=1, num_heads=2)
)
RECIPE = Recipe(steps=4, batch_size=4, warm_up=2, width=8, hidden=8, every=2)
FILES = (
    "model.safetensors",
    "matcher.safetensors",
    "retriever.json",
    "calibration.json",
    "mentions.json",
)


def run(little: LittleBase, output: Path, **named: Any) -> TrainedRetriever:
    given = {"start": "new", "settings": SETTINGS, "recipe": RECIPE, "device": "cpu", **named}
    return train_retriever(
        little.questions, little.index, output, little.dev, templates=[little.templates], **given
    )


def command(little: LittleBase, output: Path, *more: str) -> int:
    small = ["--steps", "2", "--lookahead-steps", "2", "--batch-size", "4", "--device", "cpu"]
    given = [str(little.questions), "-i", str(little.index), "-o", str(output)]
    return main(["train", *given, *small, *more])


def interrupt(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(little: LittleBase, tmp_path_factory: pytest.TempPathFactory) -> TrainedRetriever:
    return run(little, tmp_path_factory.mktemp("whole") / "m")


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("part", ["", "model", "lookahead"])
def test_two_processes_do_not_train_into_one_folder(
    part: str, resume: bool, little: LittleBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "m"
    more = [*(["--only", part] if part else []), *(["--resume"] if resume else [])]
    with alone_in(folder):  # its lock is a file's, as that of another process
        assert command(little, folder, *more) == 2
    assert "another process is training into" in capsys.readouterr().err
    assert not folder.exists()
    with alone_in(folder):  # nobody holds it any more
        pass


def test_what_is_written(whole: TrainedRetriever, little: LittleBase) -> None:
    folder = whole.folder
    assert all((folder / name).is_file() for name in FILES)
    told = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    assert whole.comparison is not None and told["scores"] == whole.comparison.scores()
    assert set(told["scores"]) == {str(folder), "tiny-retriever", "string matching"}
    held = told["questions"]
    assert held["trained on"] == 30 and held["chosen by"] + held["scored"] == 6
    assert Matched.load(folder).scale == whole.scale == told["scale"]
    assert whole.text().startswith("30 questions to train on, ")
    assert not whole.complaints()


def test_the_index_is_written_in_its_tokens(whole: TrainedRetriever, little: LittleBase) -> None:
    """The one that was given has a token for each of its characters."""
    assert whole.index == whole.folder / little.index.name
    index = Retriever(module.load(str(whole.folder), device="cpu"), whole.index).trie
    assert len(index) == len(load(little.index)) and index["苹果\t产地\t水果"] == ["产地0"]
    assert index_for(whole.index, str(whole.folder), whole.folder / "none") == whole.index


def test_its_calibration_is_its_own(whole: TrainedRetriever) -> None:
    """Too few answers to fit one: it stays that of the included model, but is used with this."""
    assert "fewer than 50 answers" in whole.text()
    first = Calibration.load(learned_folder("tiny-retriever") / "calibration.json")
    own = Calibration.load(whole.folder / "calibration.json")
    assert own.weights == first.weights and own.temperature == first.temperature
    assert own.sets is None and first.sets is not None  # which were measured with the other model
    retriever = Retriever(module.load(str(whole.folder), device="cpu"), whole.index)
    (hits,) = retriever.retrieve(
        ["长江有多长？"], lookahead=Matched.load(whole.folder), threshold=0
    )
    assert not any("fitted with another" in note for note in hits.notes) and hits.none > 0


STAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before the first step": lambda patch: patch.setattr(TrainingRun, "step", interrupt),
    "in the encoder-decoder": lambda patch: interrupt_step(patch, 3, RECIPE.width),
    "between the two": lambda patch: patch.setattr(module, "train_lookahead_on", interrupt),
    "in the first steps of the look-ahead": lambda patch: interrupt_step(patch, 1, 32),
    "in the look-ahead": lambda patch: interrupt_step(patch, 3, 32),
    "while the index is written": lambda patch: patch.setattr(module, "index_for", interrupt),
    "while the scale is fitted": lambda patch: patch.setattr(module, "fit_scale", interrupt),
    "while it is calibrated": lambda patch: patch.setattr(module, "fit_calibration", interrupt),
    "while it is scored": lambda patch: patch.setattr(module, "compare", interrupt),
}


def interrupt_step(patch: pytest.MonkeyPatch, at: int, other: int) -> None:
    """Ctrl-C after so many steps of the network that has not this width."""
    step = TrainingRun.step

    def interrupted(self: TrainingRun) -> tuple[float, float]:
        width = getattr(self.learner.network, "sizes", {"width": 32})["width"]
        if self.done == at and width != other:
            raise KeyboardInterrupt
        return step(self)

    patch.setattr(TrainingRun, "step", interrupted)


@pytest.mark.parametrize("stage", STAGES)
def test_it_goes_on_at_any_stage(
    stage: str, whole: TrainedRetriever, little: LittleBase, tmp_path: Path
) -> None:
    """To the same weights, bit by bit, and to what is fitted to them."""
    with pytest.MonkeyPatch.context() as patch:
        STAGES[stage](patch)
        with pytest.raises((InterruptedRunError, KeyboardInterrupt)):
            run(little, tmp_path / "m")
    again = run(little, tmp_path / "m", resume=True)
    for name in ("model.safetensors", "matcher.safetensors"):
        one, other = (load_file(folder / name) for folder in (whole.folder, tmp_path / "m"))
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert again.scale == whole.scale
    assert again.comparison is not None and whole.comparison is not None
    assert [*again.comparison.scores().values()] == [*whole.comparison.scores().values()]


def test_a_look_ahead_without_its_record_is_not_taken_for_a_whole_one(
    whole: TrainedRetriever, little: LittleBase, tmp_path: Path
) -> None:
    """Killed between the weights and the record that says that they are all."""
    folder = Path(shutil.copytree(whole.folder, tmp_path / "m"))
    (folder / RECORD).unlink()
    run(little, folder, resume=True)
    one, other = (load_file(place / "matcher.safetensors") for place in (whole.folder, folder))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert (folder / RECORD).is_file() and not (folder / CHECKPOINT).exists()
    (folder / RECORD).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is no record of a run"):
        run(little, folder, resume=True)


def test_other_settings_are_not_gone_on_with(
    whole: TrainedRetriever, little: LittleBase, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole.folder, tmp_path / "m"))
    other = Recipe(steps=4, batch_size=5, width=8, hidden=8)
    for named in ({"recipe": other}, {"start": "tiny-retriever"}):
        with pytest.raises(InputError, match="was started with"):
            run(little, folder, resume=True, **named)
    with pytest.raises(InputError, match="contains a run; continue it with resume"):
        run(little, folder)


def test_minutes_hold_for_all_of_it(little: LittleBase, tmp_path: Path) -> None:
    settings, recipe = Settings(steps=10**6, batch_size=2, shape=SETTINGS.shape), Recipe(
        steps=10**6, batch_size=2, width=8, hidden=8
    )  # fmt: skip
    began = time.process_time()  # a busy machine makes it take longer, not do more
    done = run(little, tmp_path / "m", settings=settings, recipe=recipe, minutes=0.2)
    # Fitting and scoring come after the 12 s; without a limit it would take days.
    assert time.process_time() - began < 24 and done.seconds < 300
    assert 1 <= done.model.steps < 10**5 and 1 <= done.lookahead.steps < 10**5
    assert done.model.spent == pytest.approx(3, abs=2.5)


def test_the_command_from_the_included_model(
    little: LittleBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a new user types, with an index in the tokens of the included model."""
    index = tmp_path / "kb.ergo"
    build(little.lines, index, tokenizer="tiny-retriever")
    output = tmp_path / "mine"
    small = ["--steps", "1", "--lookahead-steps", "1", "--batch-size", "2", "--device", "cpu"]
    assert main(["train", str(little.questions), "-i", str(index), "-o", str(output), *small]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert "questions to train on" in lines[0] and "nothing was chosen by" in told.out
    assert lines[-1] == f'use it: ergotext retrieve -i {index} --model {output} "…"'
    assert any("score the same" in line or "is better than" in line for line in lines)
    assert not told.err and not (output / "kb.ergo").exists()
    for folder in ("lookaheads/english", ""):
        assert (output / folder / "matcher.safetensors").is_file()
    assert main(["retrieve", "-i", str(index), "--model", str(output), "长江有多长？"]) == 0
    assert "长江\t总长" in capsys.readouterr().out
    # Nothing was learned in a step, and what was started from is no worse: it is kept.
    record = json.loads((output / "training.json").read_text(encoding="utf-8"))
    assert record["settings"]["objective"] == "listwise" and "start" in record["data"]


def test_the_look_ahead_that_reads_the_questions_is_trained(
    little: LittleBase, tmp_path: Path
) -> None:
    """The included model has one for English, which it keeps beside the main one."""
    english = tmp_path / "english.jsonl"
    asked = [
        {"id": n, "question": f"who founded {s}?", "answer": f"{s} ||| founder ||| x"}
        for n, s in enumerate(["Mercury", "Acme", "Apple", "Orange"] * 6)
    ]
    english.write_text("".join(json.dumps(one) + "\n" for one in asked), encoding="utf-8")
    lines = tmp_path / "kb.tsv"
    names = ("Mercury", "Acme", "Apple", "Orange")
    rows = [f"{s}\t{p}\t{p} of {s}\n" for s in names for p in ("founder", "height", "color")]
    lines.write_text("".join(rows), encoding="utf-8")
    build(lines, tmp_path / "kb.ergo", tokenizer="tiny-retriever")
    data = module.TrainingData.parted(english, None, tmp_path / "kb.ergo", [], 500)
    first = Beginning.of("tiny-retriever", data)
    folder = learned_folder("tiny-retriever")
    assert first.trained == folder / "lookaheads" / "english" and first.folder == folder
    assert first.place(tmp_path / "m") == tmp_path / "m" / "lookaheads" / "english"
    (tmp_path / "m").mkdir()
    first.complete(tmp_path / "m")
    assert (tmp_path / "m" / "matcher.safetensors").read_bytes() == (
        folder / "matcher.safetensors"
    ).read_bytes()
    assert not (tmp_path / "m" / "lookaheads").exists()  # it is trained there
    chinese = module.TrainingData.parted(little.questions, little.dev, little.index, [], 500)
    other = Beginning.of("tiny-retriever", chinese)
    assert other.trained == folder and other.place(tmp_path) == tmp_path
    other.complete(tmp_path)
    assert (tmp_path / "lookaheads" / "english" / "matcher.safetensors").is_file()
    assert Beginning.of("tiny-causal", chinese).folder == folder  # which has none of its own
    assert Beginning.of("new", chinese).trained is None


def test_bad_input_is_one_line(
    little: LittleBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, absent = tmp_path / "few.jsonl", tmp_path / "absent.jsonl"
    few.write_text(little.dev.read_text(encoding="utf-8"), encoding="utf-8")
    rows = [{"id": n, "question": f"question {n}", "answer": ""} for n in range(30)]
    absent.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    index = ["-i", str(little.index), "-o", str(tmp_path / "m")]
    for given, message in (
        (
            [str(few), *index],
            "has 6 questions with an answer: to choose by some and score others t",
        ),
        ([str(absent), *index], "no question of"),
        ([str(little.questions), *index, "--dev", str(absent)], "no question of"),
        ([str(little.questions), *index, "--start", "tiny-causal"], "is not an encoder-decoder"),
        ([str(little.questions), *index, "--start", "./none"], "the folder ./none does not exist"),
        ([str(little.questions), *index, "--minutes", "0"], "minutes is 0.0; it must be above 0"),
        ([str(little.questions), *index, "--lookahead-steps", "0"], "steps must be at least 1"),
        ([str(little.questions), *index, "--every", "0"], "every must be at least 1"),
        ([str(little.questions), *index, "--resume"], "no run to resume"),
        ([str(little.questions), *index, "--only", "none"], "Invalid value for '--only'"),
    ):
        assert main(["train", *given, "--device", "cpu"]) == 2, given
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1 and message in told[0], told
    assert not (tmp_path / "m" / "model.safetensors").exists()
