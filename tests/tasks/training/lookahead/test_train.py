"""``ergotext train --only lookahead`` from questions to a look-ahead beside a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ergotext.cli import main
from ergotext.errors import InputError, ModelError
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.lookahead.network import CONFIG, DROP, WEIGHTS
from ergotext.tasks.training.lookahead.learner import MatcherLearner
from ergotext.tasks.training.lookahead.pairs import Examples
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.lookahead.train import CHECKPOINT, LOG, RECORD, train_lookahead
from ergotext.tasks.training.result import Trained
from ergotext.tasks.training.run import InterruptedRunError, TrainingRun
from tests.tasks.little_base import LittleBase

SMALL = Recipe(steps=6, batch_size=4, warm_up=2, width=8, hidden=8, every=2)


def run(little: LittleBase, output: Path, recipe: Recipe = SMALL, resume: bool = False) -> Trained:
    return train_lookahead(
        little.questions, little.dev, little.index, output, recipe,
        templates=[little.templates], device="cpu", resume=resume,
    )  # fmt: skip


def other_objects(little: LittleBase, folder: Path) -> LittleBase:
    """The same keys, of which one has another object."""
    lines = folder / "other.tsv"
    lines.write_text(little.lines.read_text(encoding="utf-8").replace("作者1", "作者2"), "utf-8")
    build(lines, folder / "other.ergo")
    return replace(little, index=folder / "other.ergo")


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ctrl-C in the middle of a step."""
    plain = TrainingRun.step

    def step(run: TrainingRun) -> tuple[float, float]:
        loss = plain(run)
        if run.done == at:
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(TrainingRun, "step", step)


def test_what_is_written(little: LittleBase, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    (tmp_path / "config.json").write_text("a model", encoding="utf-8")
    told = run(little, tmp_path)
    assert torch.equal(state, torch.get_rng_state())
    assert (tmp_path / "config.json").read_text(encoding="utf-8") == "a model"
    assert Matched.load(tmp_path).matcher.sizes["width"] == 8
    log = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4, 6] and all(line["loss"] > 0 for line in log)
    record = json.loads((tmp_path / RECORD).read_text(encoding="utf-8"))
    assert record["scores"] == told.scores and record["recipe"]["steps"] == told.steps == 6
    assert set(record["data"]) == {"questions", "index", "objects", "templates 1"}
    assert not (tmp_path / CHECKPOINT).exists()
    with pytest.raises(InputError, match=f"already contains {CONFIG}"):
        run(little, tmp_path)


def test_goes_on_to_the_same_weights(
    little: LittleBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(little, tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupted(patch, at=5)
        with pytest.raises(
            InterruptedRunError, match=r"at step 5; .*checkpoint is .*lookahead\.pt"
        ):
            run(little, tmp_path / "parts")
    with pytest.raises(InputError, match="of another run; continue that run with resume"):
        run(little, tmp_path / "parts")
    with pytest.raises(InputError, match="started with steps = 6, not 8"):
        run(little, tmp_path / "parts", replace(SMALL, steps=8), resume=True)
    with pytest.raises(InputError, match=r"started with templates 1 = [0-9a-f]+, not nothing"):
        train_lookahead(
            little.questions, little.dev, little.index, tmp_path / "parts", SMALL, device="cpu",
            resume=True,
        )  # fmt: skip
    with pytest.raises(InputError, match="started with objects"):
        run(other_objects(little, tmp_path), tmp_path / "parts", resume=True)
    run(little, tmp_path / "parts", resume=True)
    one, other = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_goes_on_from_another(
    little: LittleBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights and sizes are the first; with next to no learning rate they are the last, too."""
    first = run(little, tmp_path / "first").folder
    drawn: list[float] = []
    plain, draw = MatcherLearner.gradients, Examples.draw

    def gradients(learner: MatcherLearner, step: int) -> torch.Tensor:
        left_out = {m.p for m in learner.network.modules() if isinstance(m, torch.nn.Dropout)}
        assert left_out == {learner.network.drop} == {DROP}
        return plain(learner, step)

    monkeypatch.setattr(MatcherLearner, "gradients", gradients)
    monkeypatch.setattr(Examples, "draw", lambda self, t: drawn.append(t) or draw(self, t))
    still = Recipe(steps=1, batch_size=4, learning_rate=1e-12, templated=1.0)
    told = train_lookahead(
        little.questions, little.dev, little.index, tmp_path / "next", still,
        templates=[little.templates], start=str(first), device="cpu",
    )  # fmt: skip
    assert drawn == [1.0] * 4
    one, other = (load_file(folder / WEIGHTS) for folder in (first, told.folder))
    assert all(torch.equal(one[name], other[name]) for name in one)
    record = json.loads((told.folder / RECORD).read_text(encoding="utf-8"))
    assert "start" in record["data"]
    assert (record["recipe"]["width"], record["recipe"]["hidden"]) == (8, 8)
    with pytest.raises(InputError, match="has no look-ahead"):
        train_lookahead(
            little.questions, little.dev, little.index, tmp_path / "none", still,
            start="tiny-causal", device="cpu",
        )  # fmt: skip


def test_nothing_to_go_on_from(little: LittleBase, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="start without resume"):
        run(little, tmp_path, resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="damaged"):
        run(little, tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == b"no checkpoint"


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"width": 0},
        {"warm_up": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1},
        {"templated": 1.5},
        {"templated": float("nan")},
        {"seed": -1},
        {"seed": 1 << 64},
    ],
)
def test_recipes(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Recipe(**wrong)


def test_command(little: LittleBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["train", *little.arguments, "--only", "lookahead", "--start", "new"]
    options = ["-o", str(tmp_path / "m"), "--lookahead-steps", "2", "--lookahead-width", "8"]
    assert main([*common, *options]) == 0
    assert "dev EMF1" in capsys.readouterr().out
    assert main([*common, *options]) == 2
    assert "already" in capsys.readouterr().err
    assert main([*common, *options, "--every", "0"]) == 2


def test_a_run_that_comes_apart_ends(little: LittleBase, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="use a lower learning rate"):
        run(little, tmp_path, Recipe(steps=6, batch_size=4, learning_rate=1e30, width=8, hidden=8))
    assert not (tmp_path / CONFIG).exists()
