"""Trainer of transformers over numbered batches, with early stopping on the dev score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from ergotext.tasks.training.run import SCORE
from ergotext.tasks.training.schedule import Pace, PacedRate
from ergotext.tasks.training.seq2seq.objectives import zeroth_order_gradient
from ergotext.tasks.training.seq2seq.scoring import Batch


class Loop(Trainer):
    """A run of training.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    feed : Dataset of Batch
        Batch i of the run.
    loss : function of model and batch
        What is to become small: a scalar.
    score : function of model
        Scores on the dev questions, ``SCORE`` among them.
    pace : Pace
    folder : Path
        Of the checkpoints.
    every : int
        Steps between two checkpoints, each of which is scored.
    patience : int
        Scores in succession, none of them better than the best, that end the run.
    bfloat16 : bool
        Whether products are taken in bfloat16; weights and losses are float32 in any case.
    seed : int
    device : str
    radius : float, optional
        If given, gradients are those of ``zeroth_order_gradient`` with it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        feed: Dataset[Batch],
        loss: Callable[[PreTrainedModel, Batch], Tensor],
        score: Callable[[PreTrainedModel], dict[str, float]],
        pace: Pace,
        folder: Path,
        *,
        every: int,
        patience: int,
        bfloat16: bool,
        seed: int,
        device: str,
        radius: float | None = None,
    ) -> None:
        self._loss, self._score, self._pace = loss, score, pace
        self._autocast, self._radius = bfloat16, radius
        self.stepped = False
        """whether the run has begun, or gone on"""
        super().__init__(
            model=model,
            args=TrainingArguments(
                output_dir=str(folder),
                max_steps=pace.steps,
                learning_rate=pace.rate,
                per_device_train_batch_size=1,
                optim="adamw_torch_fused",
                adam_beta2=0.98,
                weight_decay=0.01,
                max_grad_norm=1.0,
                eval_strategy="steps",
                eval_steps=every,
                save_strategy="steps",
                save_steps=every,
                save_total_limit=2,
                logging_strategy="steps",
                logging_steps=min(every, 50),
                load_best_model_at_end=True,
                metric_for_best_model=SCORE,
                greater_is_better=True,
                use_cpu=device == "cpu",
                seed=seed,
                report_to=[],
                disable_tqdm=True,
                remove_unused_columns=False,
            ),
            train_dataset=feed,
            eval_dataset=feed,  # asked for, never read: ``evaluate`` is ours
            callbacks=[EarlyStoppingCallback(patience), _Clock(self)],
        )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.paced: PacedRate | None = None

    def get_train_dataloader(self) -> DataLoader[Batch]:
        """Batches by number; those before a checkpoint are skipped."""
        feed: Any = self.train_dataset
        return DataLoader(
            feed, batch_size=1, sampler=SequentialSampler(feed), collate_fn=lambda rows: rows[0]
        )

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> Any:
        """The rate by steps or by the clock; ``num_training_steps`` is that of the pace."""
        if self.lr_scheduler is None:
            assert num_training_steps == self._pace.steps
            scheduled: Any = optimizer if optimizer is not None else self.optimizer
            self.paced = PacedRate(scheduled, self._pace)
            held: Any = self
            held.lr_scheduler = self.paced
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Batch, *_: object, **__: object) -> Any:
        """The loss of a batch, on the device of the model."""
        with self._products():
            return self._loss(model, inputs)

    def training_step(self, model: nn.Module, inputs: Batch, *rest: Any, **named: Any) -> Tensor:
        """Set the gradients for a batch; its loss."""
        self.stepped = True
        if self._radius is None:
            loss: Tensor = super().training_step(model, inputs, *rest, **named)
            return loss
        model.eval()  # the same function on both sides
        given = self._prepare_inputs(inputs)
        return zeroth_order_gradient(
            model.parameters(),
            lambda: self.compute_loss(model, given),
            (self.args.seed << 32) + self.state.global_step,
            self._radius,
        )

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """The scores on the dev questions."""
        assert isinstance(self.model, PreTrainedModel)
        self.model.eval()
        with self._products():
            metrics = {f"eval_{name}": value for name, value in self._score(self.model).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _products(self) -> torch.autocast:
        return torch.autocast(self.args.device.type, torch.bfloat16, enabled=self._autocast)


class _Clock(TrainerCallback):
    """Ends a run whose time is up, with a last score and checkpoint."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers names them
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> TrainerControl:
        paced = self._loop.paced
        over = paced is not None and paced.over
        if over or state.global_step >= state.max_steps:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = control.should_log = True
        return control
