"""The training loop of both networks: steps, schedule, log, checkpoints, best weights."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ergotext.errors import ErgotextError, InputError, ModelError
from ergotext.lm.conversion import first_line
from ergotext.support.bars import bar
from ergotext.tasks.training.checkpoints import Checkpoints, State
from ergotext.tasks.training.log import Log
from ergotext.tasks.training.schedule import PacedRate, Schedule
from ergotext.tasks.training.settings import check_same

SCORE = "EMF1"
"""What early stopping and the choice of the best checkpoint go by."""
CLIPPED = 1.0
"""Largest norm of the gradient."""


class InterruptedRunError(ErgotextError, RuntimeError):
    """Training was interrupted by Ctrl-C; the message says which checkpoint was saved."""


class Learner(Protocol):
    """A network with its optimizer, its batches and its dev questions."""

    @property
    def network(self) -> nn.Module:
        """What learns."""

    @property
    def optimizer(self) -> Optimizer:
        """What moves the weights along the gradients."""

    def gradients(self, step: int) -> Tensor:
        """Set the gradients for the batch of a step, counted from 0; its loss in nats."""

    def scores(self) -> dict[str, float]:
        """Scores on the dev questions, ``SCORE`` among them."""

    def chance(self) -> Any:
        """State of the randomness of the batches, if their numbers alone do not decide on them."""

    def set_chance(self, state: Any) -> None:
        """Go back to a state."""


class TrainingRun:
    """A run of training, which continues from a checkpoint to the same weights, bit by bit.

    Randomness is torch's, as ``seeded`` sets it, and that of the learner.

    Parameters
    ----------
    learner : Learner
    schedule : Schedule
        Length and learning rate.
    checkpoints : Checkpoints
    log : Log
    every : int
        Steps between two scores, each with a checkpoint.
    logged : int, optional
        Steps between two lines of the log, besides those with scores.
    patience : int, optional
        Scores in succession, none of them better than the best, that end the run. The network
        then has the best weights; without patience, the last.
    by : str
        Name of the score that this goes by; more is better.
    first : bool
        Score the weights that the run starts from, too: then what comes of it is no worse.
    about : dict, optional
        Settings and data, for checkpoints without a ``settings.Record`` beside them.
    """

    def __init__(
        self,
        learner: Learner,
        schedule: Schedule,
        checkpoints: Checkpoints,
        log: Log,
        *,
        every: int,
        logged: int | None = None,
        patience: int | None = None,
        by: str = SCORE,
        first: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.learner, self.checkpoints, self.done = learner, checkpoints, 0
        self.log, self._every, self._logged = log, every, min(every, logged or every)
        self._patience, self._by, self._first = patience, by, first
        self._about = dict(about or {})
        self._best: float | None = None
        self._best_step: int | None = None
        self._stale = 0
        self._rate, self._steps = (
            PacedRate(learner.optimizer, schedule),
            getattr(schedule, "steps", None),
        )

    @property
    def spent(self) -> float:
        """Seconds of training, those of runs that this one continues among them."""
        return self._rate.spent

    @property
    def over(self) -> bool:
        """Whether there is nothing more to learn."""
        patient = self._patience is None or self._stale < self._patience
        return self._rate.over or not patient

    def go(self) -> None:
        """Take the steps that are left.

        Raises
        ------
        ModelError
            A loss is no number.
        InterruptedRunError
            Ctrl-C was pressed.
        """
        try:
            self._go()
        except KeyboardInterrupt as error:
            kept = next(iter(self.checkpoints.places()), None)
            said = (
                "no checkpoint was saved yet" if kept is None else f"the last checkpoint is {kept}"
            )
            raise InterruptedRunError(
                f"interrupted at step {self.done:,}; {said}; continue with resume"
            ) from error

    def _go(self) -> None:
        with bar(desc="training", total=self._steps, initial=self.done, unit="step") as shown:
            self._learn(shown)
        if self._patience is not None and self._best_step is not None:
            load_weights(self.learner.network, self.checkpoints.weights(self._best_step))

    def _learn(self, shown: Any) -> None:
        losses: list[float] = []
        if self._first and self._best is None:
            self.log.write(self.done, self.evaluate())
            self.checkpoints.save(self.learner.network, self.state())
        while not self.over:
            loss, norm = self.step()
            losses.append(loss)
            shown.update()
            scored = self.done % self._every == 0 or self._rate.over
            if scored or self.done % self._logged == 0:
                (rate,) = set(self._rate.get_last_lr())
                values = {"loss": sum(losses) / len(losses), "grad_norm": norm}
                scores = self.evaluate() if scored else {}
                self.log.write(self.done, {**values, "learning_rate": rate, **scores})
                losses = []
                best = "" if self._best is None else f", best score {self._best:.3g}"
                shown.set_postfix_str(f"loss {values['loss']:.3g}{best}", refresh=False)
            if scored:
                self.checkpoints.save(self.learner.network, self.state())

    def step(self) -> tuple[float, float]:
        """Learn from one batch; its loss and the norm of the gradient."""
        network, optimizer = self.learner.network, self.learner.optimizer
        network.train()
        optimizer.zero_grad()
        loss = float(self.learner.gradients(self.done))
        if not math.isfinite(loss):
            raise ModelError(
                f"training diverged at step {self.done + 1:,} (loss {loss}): use a lower "
                "learning rate"
            )
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), CLIPPED))
        optimizer.step()
        self._rate.step()
        self.done += 1
        return loss, norm

    def evaluate(self) -> dict[str, float]:
        """The scores as they stand in the log; whether they are the best is remembered."""
        self.learner.network.eval()
        scores = self.learner.scores()
        if self._best is None or scores[self._by] > self._best:
            self._best, self._best_step, self._stale = scores[self._by], self.done, 0
        else:
            self._stale += 1
        return {f"eval_{name}": value for name, value in scores.items()}

    def state(self) -> State:
        """All that decides on the rest of the run, but for the weights."""
        return {
            "progress": {
                "global_step": self.done,
                "best_metric": self._best,
                "best_global_step": self._best_step,
                "scores_without_improvement": self._stale,
            },
            "optimizer": self.learner.optimizer.state_dict(),
            "schedule": self._rate.state_dict(),
            "chance": {
                "torch": [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._cuda)],
                "batches": self.learner.chance(),
            },
            "about": self._about,
        }

    def restore(self, place: Path) -> None:
        """Go back to a checkpoint.

        Raises
        ------
        InputError
            It is of another run, or its files are whole and what they say is none of a run.
        """
        state = self.checkpoints.read(place)
        check_same(f"the run of {place}", state.get("about", self._about), self._about)
        try:
            self._restore(state)
        except Exception as error:  # whatever an edited file makes torch trip over
            kind = "folder" if place.is_dir() else "file"
            raise InputError(
                f"cannot resume from {place} ({type(error).__name__}: {first_line(error)}): "
                f"remove that {kind} to resume from the checkpoint before it"
            ) from error

    def _restore(self, state: State) -> None:
        load_weights(self.learner.network, state["weights"])
        self.learner.optimizer.load_state_dict(state["optimizer"])
        self._rate.load_state_dict(state["schedule"])
        progress = state["progress"]
        self.done, self._stale = progress["global_step"], progress["scores_without_improvement"]
        self._best, self._best_step = progress["best_metric"], progress["best_global_step"]
        self.learner.set_chance(state["chance"]["batches"])
        chance, *on_device = state["chance"]["torch"]
        torch.set_rng_state(chance)
        for device, chance in zip(self._cuda, on_device, strict=True):
            torch.cuda.set_rng_state(chance, device)

    @property
    def _cuda(self) -> list[torch.device]:
        """The devices with randomness of their own."""
        device = next(self.learner.network.parameters()).device
        return [device] if device.type == "cuda" else []


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch draw from a seed; afterwards the CPU's randomness is as if nothing was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set all weights of a network; of those that share memory one name is enough."""
    missing, unknown = network.load_state_dict(weights, strict=False)
    own = network.state_dict()
    known = {own[name].data_ptr() for name in weights if name in own}
    lost = [name for name in missing if own[name].data_ptr() not in known]
    if lost or unknown:
        raise ValueError(f"the weights {', '.join([*lost, *unknown])} do not match the network")


def report_damage(damaged: list[str], place: Path | None) -> None:
    """Say on stderr which checkpoints are damaged, and where the run begins instead."""
    following = "starting from scratch" if place is None else f"resuming from {place.name}"
    for fault in damaged:
        print(f"ergotext: {' '.join(fault.split())}; {following}", file=sys.stderr)
