"""The encoder-decoder in training: gradients of an objective, and the score on dev questions."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.optim import AdamW

from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.training.examples import Stream
from ergotext.tasks.training.seq2seq.batches import maker
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.initial_model import Started
from ergotext.tasks.training.seq2seq.objectives import (
    Loss,
    cross_entropy,
    listwise,
    shortfall,
    zeroth_order_gradient,
)
from ergotext.tasks.training.seq2seq.scoring import Batch
from ergotext.tasks.training.seq2seq.stream import Feed
from ergotext.tasks.training.settings import Settings

LOSSES: dict[str, Loss] = {
    "cross-entropy": cross_entropy,
    "listwise": listwise,
    "policy": shortfall,
    "zeroth-order": shortfall,
}
DECAY = 0.01
"""Weight decay; biases and the scales of layer norms have none."""


class Seq2SeqLearner:
    """A ``Learner`` whose batches are a function of the seed and their number.

    Parameters
    ----------
    begun : Started
    stream : Stream
    trie : TokenTrie
        The index.
    dev : DevSet
        By the first ``dev_limit`` questions of it the model is scored.
    settings : Settings
    bfloat16 : bool
        Whether products are taken in bfloat16; weights and losses are float32 in any case.
    """

    def __init__(
        self,
        begun: Started,
        stream: Stream,
        trie: TokenTrie,
        dev: DevSet,
        settings: Settings,
        bfloat16: bool,
    ) -> None:
        self.network = begun.model
        self._settings, self._coder = settings, begun.coder
        self._dev = dev.first(settings.dev_limit)
        self._feed = Feed(stream, settings.batch_size, maker(begun, trie, settings))
        self._loss = LOSSES[settings.objective]
        self._products = partial(
            torch.autocast, self.network.device.type, torch.bfloat16, enabled=bfloat16
        )
        named = list(self.network.named_parameters())
        plain = [p for name, p in named if p.ndim > 1 and "bias" not in name]
        rest = [p for name, p in named if p.ndim <= 1 or "bias" in name]
        self.optimizer = AdamW(
            [{"params": plain, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}],
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )

    def gradients(self, step: int) -> Tensor:
        """Set the gradients for the batch of a step; its loss."""
        batch = {name: part.to(self.network.device) for name, part in self._feed[step].items()}
        if self._settings.objective == "zeroth-order":
            self.network.eval()  # the same function on both sides
            return zeroth_order_gradient(
                self.network.parameters(),
                lambda: self.loss(batch),
                (self._settings.seed << 32) + step,
                self._settings.radius,
            )
        loss = self.loss(batch)
        loss.backward()
        return loss.detach()

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch on the device of the model."""
        with self._products():
            return self._loss(self.network, batch)

    def scores(self) -> dict[str, float]:
        """Scores on the first dev questions."""
        with self._products():
            return self._dev.score(self.network, self._coder)

    def chance(self) -> None:
        """Nothing: the number of a batch decides on it."""

    def set_chance(self, state: None) -> None:
        """Do nothing."""
