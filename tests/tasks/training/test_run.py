"""The training loop by a learner of one number, and faults of the loop, each of which is caught."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ergotext.errors import InputError, ModelError
from ergotext.tasks.training import run as run_module
from ergotext.tasks.training.checkpoints import Checkpoints, File, Folders
from ergotext.tasks.training.log import Log
from ergotext.tasks.training.schedule import Pace
from tests.faulty import load_with_fault


class OneNumber:
    """Moves a number by batches drawn in turn and by torch's randomness; scores are a list."""

    def __init__(self, scores: list[float], slope: float = 0.1) -> None:
        self.network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(0.5))
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.1)
        self.rng, self.slope, self.score = random.Random(0), slope, iter(scores)

    def gradients(self, step: int) -> Tensor:
        out = self.network(torch.full((8, 1), self.rng.random()))
        loss = self.slope * (out**2).mean() + step
        loss.backward()
        return loss.detach()

    def scores(self) -> dict[str, float]:
        return {"EMF1": next(self.score, 0.0)}

    def chance(self) -> Any:
        return self.rng.getstate()

    def set_chance(self, state: Any) -> None:
        self.rng.setstate((state[0], tuple(state[1]), state[2]))


class Kept(File):
    """Every checkpoint stays."""

    weights = Checkpoints.weights

    def save(self, network: nn.Module, state: dict[str, Any]) -> None:
        number = next(n for n in count() if not self.at(n).exists())
        torch.save({**state, "weights": network.state_dict()}, self.at(number))

    def at(self, number: int) -> Path:
        return self.path.with_suffix(f".{number}")

    def places(self) -> list[Path]:
        return [self.at(n) for n in range(9, -1, -1) if self.at(n).exists()]


def made(
    module: ModuleType, folder: Path, scores: list[float], steps: int = 8, **named: Any
) -> tuple[Any, OneNumber]:
    folder.mkdir(exist_ok=True)
    learner = OneNumber(scores)
    nn.init.ones_(learner.network[0].weight)
    files = Kept(folder / "kept"), Log(folder / "log")
    pace = Pace(steps, rate=0.1, warm_up=0.5)
    return module.TrainingRun(learner, pace, *files, every=2, **named), learner


def weight(learner: OneNumber) -> float:
    return float(learner.network[0].weight.detach())


def check_resumed(module: ModuleType, folder: Path) -> None:
    """A run that goes on from any checkpoint ends with the same weight and as patiently."""
    scores = [1.0, 3.0, 3.0, 2.0, 1.0]
    with module.seeded(5):
        whole, learner = made(module, folder / "whole", scores, steps=40, patience=3)
        whole.go()
    assert whole.done == 10  # 3 is the best, and then 3, 2 and 1 are no better
    best = torch.load(Kept(folder / "whole" / "kept").at(1), weights_only=True)["weights"]
    assert weight(learner) == float(best["0.weight"])
    for number in range(5):
        with module.seeded(9):
            run, other = made(
                module, folder / str(number), scores[number + 1 :], steps=40, patience=3
            )
            for at in range(number + 1):
                Kept(folder / str(number) / "kept").at(at).write_bytes(
                    Kept(folder / "whole" / "kept").at(at).read_bytes()
                )
            run.restore(Kept(folder / str(number) / "kept").at(number))
            run.go()
        assert run.done == 10 and weight(other) == weight(learner)


def check_last(module: ModuleType, folder: Path) -> None:
    """Without patience all steps are taken; the last, too, is scored, and its weights stay."""
    with module.seeded(1):
        run, learner = made(module, folder, [9.0, 8.0], steps=5, logged=1)
        run.go()
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["step"] for line in lines if "eval_EMF1" in line] == [2, 4, 5]
    assert all(n - 1 <= line["loss"] < n for n, line in enumerate(lines, 1))
    last = torch.load(Kept(folder / "kept").at(2), weights_only=True)
    assert last["progress"]["global_step"] == 5
    assert float(last["weights"]["0.weight"]) == weight(learner)


def check_clipped(module: ModuleType, folder: Path) -> None:
    """However steep, the gradient of each step has norm 1; the caller's chance is as it was."""
    state = torch.get_rng_state()
    seen: list[float] = []
    with module.seeded(1):
        run, learner = made(module, folder, [])
        learner.slope = 1e6
        learner.optimizer.register_step_pre_hook(
            lambda *_: seen.append(float(learner.network[0].weight.grad.norm()))
        )
        _, norm = run.step()
        learner.slope = 0.0
        _, flat = run.step()
    assert norm > 1e3 and seen == pytest.approx([1.0, 0.0], rel=1e-4) and flat == 0.0
    assert torch.equal(state, torch.get_rng_state())


def check_diverged(module: ModuleType, folder: Path) -> None:
    """No step is taken by a loss that is no number."""
    run, learner = made(module, folder, [])
    run.step()
    before, learner.slope = weight(learner), float("nan")
    with pytest.raises(ModelError, match=r"diverged at step 2 \(loss nan\): use a lower"):
        run.go()
    assert weight(learner) == before and run.done == 1


def check_first(module: ModuleType, folder: Path) -> None:
    """What a run starts from is scored by what decides, once, and kept if nothing is better."""
    told = [{"EMF1": n, "other": -n} for n in (1.0, 2.0, 3.0)]
    options = {"steps": 40, "patience": 2, "by": "other", "first": True}
    for number, interrupted in enumerate((False, True)):
        with module.seeded(3):
            run, learner = made(module, folder / str(number), [], **options)
            scores = iter(told)
            learner.scores = lambda scores=scores: next(scores)  # type: ignore[method-assign]  # in place of a list of numbers
            if interrupted:
                run.evaluate()
                run.checkpoints.save(learner.network, run.state())
                run, learner = made(module, folder / str(number), [], **options)
                learner.scores = lambda scores=scores: next(scores)  # type: ignore[method-assign]  # as above
                run.restore(Kept(folder / str(number) / "kept").at(0))
            run.go()
        assert run.done == 4 and weight(learner) == 1.0
    lines = [json.loads(line) for line in (folder / "0" / "log").read_text().splitlines()]
    assert [(line["step"], line["eval_other"]) for line in lines] == [(0, -1), (2, -2), (4, -3)]


Check = Callable[[ModuleType, Path], None]
FAULTS: dict[str, tuple[Check, tuple[str, str]]] = {
    "torch's randomness starts anew": (check_resumed, ("torch.set_rng_state(chance)\n", "pass\n")),
    "the batches' randomness starts anew": (
        check_resumed, ("self.learner.set_chance(", "print("),
    ),
    "the optimizer forgets its moments": (
        check_resumed, ('self.learner.optimizer.load_state_dict(state["optimizer"])', "pass"),
    ),
    "the schedule starts anew": (
        check_resumed, ('self._rate.load_state_dict(state["schedule"])', "pass"),
    ),
    "patience starts anew": (
        check_resumed, ('progress["scores_without_improvement"]\n', "0\n"),
    ),
    "the best score is forgotten": (check_resumed, ('progress["best_metric"]', "None")),
    "an equal score is better": (check_resumed, ("scores[self._by] > self._best:",
                                                 "scores[self._by] >= self._best:")),
    "what a run starts from is scored again": (check_first, (" and self._best is None:", ":")),
    "what a run starts from is not kept": (
        check_first,
        ("            self.checkpoints.save(self.learner.network, self.state())\n        while",
         "        while"),
    ),
    "another score decides": (check_first, ("scores[self._by] > self._best:",
                                            "scores[SCORE] > self._best:")),
    "the last weights are kept": (check_resumed, ("if self._patience is not None and", "if 0 and")),
    "patience without end": (check_resumed, ("self._stale < self._patience", "True")),
    "the last step is not scored": (check_last, (" or self._rate.over", "")),
    "losses add up": (check_last, ("                losses = []\n", "")),
    "the best weights of a run without patience": (
        check_last, ("if self._patience is not None and", "if"),
    ),
    "gradients add up": (check_clipped, ("optimizer.zero_grad()", "pass")),
    "gradients are not clipped": (
        check_clipped,
        ("nn.utils.clip_grad_norm_(network.parameters(), CLIPPED)",
         "nn.utils.get_total_norm([p.grad for p in network.parameters()])"),
    ),
    "the caller's randomness is used up": (
        check_clipped, ("with torch.random.fork_rng(devices=[]):", "if True:"),
    ),
    "a step by a loss that is no number": (check_diverged, ("not math.isfinite(loss)", "False")),
}  # fmt: skip


@pytest.mark.parametrize(
    "check", [check_resumed, check_last, check_clipped, check_diverged, check_first]
)
def test_our_loop_passes(check: Check, tmp_path: Path) -> None:
    check(run_module, tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, tmp_path: Path) -> None:
    check, change = FAULTS[fault]
    state = torch.get_rng_state()
    with pytest.raises((AssertionError, StopIteration, TypeError, pytest.fail.Exception)):
        check(load_with_fault("tasks.training.run", change), tmp_path)
    torch.set_rng_state(state)


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    run, _ = made(run_module, tmp_path, [1.0] * 9, about={"seed": 1})
    run.go()
    other, _ = made(run_module, tmp_path, [], about={"seed": 2})
    with pytest.raises(InputError, match="was started with seed = 1, not 2"):
        other.restore(Kept(tmp_path / "kept").at(0))


def test_weights_of_another_network_are_refused() -> None:
    network = nn.Linear(2, 1)
    for weights in ({}, {**network.state_dict(), "more": torch.zeros(1)}):
        with pytest.raises(ValueError, match="do not match the network"):
            run_module.load_weights(network, weights)


class Saved(nn.Linear):
    """Saves as transformers' models do."""

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        save_file(self.state_dict(), folder / "model.safetensors")


@pytest.mark.parametrize(
    ("best", "kept"),
    [
        ([2, 2, 2, 2], [[2], [4, 2], [6, 2], [8, 2]]),
        ([2, 4, 6, 8], [[2], [4, 2], [6, 4], [8, 6]]),
        ([2, 4, 4, 8], [[2], [4, 2], [6, 4], [8, 6]]),
    ],
)
def test_the_best_checkpoint_and_the_last_are_kept(
    best: list[int], kept: list[list[int]], tmp_path: Path
) -> None:
    """And one to fall back on, where these are the same."""
    checkpoints, network = Folders(tmp_path), Saved(2, 1)
    for step, one, wanted in zip((2, 4, 6, 8), best, kept, strict=True):
        progress = {"global_step": step, "best_global_step": one}
        state = {"optimizer": {}, "schedule": {}, "chance": {}, "progress": progress}
        checkpoints.save(network, state)
        assert [place.name for place in checkpoints.places()] == [f"checkpoint-{n}" for n in wanted]
        assert checkpoints.last_whole() == (tmp_path / f"checkpoint-{step}", [])
        assert checkpoints.weights(one).keys() == {"weight", "bias"}


def test_one_file_keeps_the_best_weights(tmp_path: Path) -> None:
    """Whatever comes after them, and where the last file is torn."""
    files, network = File(tmp_path / "one.pt"), nn.Linear(1, 1, bias=False)
    for step, best in ((0, 0), (2, 2), (4, 2), (6, 2)):
        nn.init.constant_(network.weight, float(step))
        files.save(network, {"progress": {"global_step": step, "best_global_step": best}})
        assert float(files.weights(best)["weight"]) == best
    assert float(files.read(files.path)["weights"]["weight"]) == 6.0
    files.path.write_bytes(files.path.read_bytes()[:100])
    assert float(files.weights(2)["weight"]) == 2.0
    nn.init.constant_(network.weight, 8.0)
    files.save(network, {"progress": {"global_step": 8, "best_global_step": 2}})
    assert float(files.weights(2)["weight"]) == 2.0
