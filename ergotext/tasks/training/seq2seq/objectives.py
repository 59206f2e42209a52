"""Training objectives: cross-entropy, and losses over candidate keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ergotext.tasks.training.seq2seq.scoring import IGNORED, Batch, encoded, key_log_prob

Loss = Callable[[PreTrainedModel, Batch], Tensor]


def cross_entropy(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Mean −log p(token | question, tokens before it) over the tokens of all keys, in nats."""
    output: Any = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        labels=batch["labels"],
        use_cache=False,
    )
    loss: Tensor = output.loss
    return loss


def listwise(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Cross-entropy, plus the mean −log p(true key | question, its keys), as one of them is meant.

    The batch is one of ``choices.Choices``.

    References
    ----------
    Cao et al. 2007, "Learning to rank: from pairwise approach to listwise approach", top-one.
    """
    log_prob, true = log_prob_of(model, batch), batch["true"]
    tokens = (batch["labels"][true] != IGNORED).sum()
    chosen = log_softmax_by(log_prob, batch["row"], len(true))[true].mean()
    return -log_prob[true].sum() / tokens - chosen


def shortfall(model: PreTrainedModel, batch: Batch) -> Tensor:
    """1 − the expected score of a key drawn by its probability: its gradient is that of the policy.

    The mean over the questions of a batch of ``choices.Choices``.
    """
    score = expected_score(
        log_prob_of(model, batch) - batch["log_chance"],
        batch["worth"],
        batch["row"],
        len(batch["true"]),
    )
    return 1 - score.mean()


def expected_score(log_weight: Tensor, worth: Tensor, row: Tensor, count: int) -> Tensor:
    """[count]: Σ_c p(c | question) · R(c) over the keys c of each question.

    The gradient is Σ_c p(c) (R(c) − Σ p R) ∇log p(c): REINFORCE with its best constant baseline,
    summed over the keys instead of sampled. Of keys that were drawn without replacement,
    ``log_weight`` is log p less the log of the chance that each was drawn: then this is the
    self-normalised estimate, and exact where all were drawn.

    Parameters
    ----------
    log_weight : [N], nats
    worth : [N]
        R(c).
    row : int64 [N]
        The question that each key is of.
    count : int
        Questions.

    References
    ----------
    Williams 1992, "Simple statistical gradient-following algorithms"; Kool, van Hoof and Welling
    2020, "Estimating gradients for discrete random variables by sampling without replacement".
    """
    share = log_softmax_by(log_weight, row, count).exp()
    return torch.zeros(count, dtype=share.dtype, device=share.device).index_add(
        0, row, share * worth.to(share.dtype)
    )


def log_softmax_by(values: Tensor, row: Tensor, count: int) -> Tensor:
    """[N]: log-softmax of ``values`` among those of the same row (0 ≤ row < count)."""
    highest = torch.full((count,), -torch.inf, dtype=values.dtype, device=values.device)
    highest = highest.scatter_reduce(0, row, values.detach(), "amax")
    total = torch.zeros_like(highest).index_add(0, row, (values - highest[row]).exp())
    return values - highest[row] - total.log()[row]


@torch.no_grad()
def zeroth_order_gradient(
    parameters: Iterable[nn.Parameter], value: Callable[[], Tensor], seed: int, radius: float
) -> Tensor:
    """Set the gradients to (f(θ + εz) − f(θ − εz)) / 2ε · z, z ~ N(0, 1), and give the mean of f.

    On average over seeds this is ∇f up to terms in ε². No graph is kept: f may be anything. The
    noise is made again from its seed instead of being kept.

    Parameters
    ----------
    parameters : iterable of Parameter
        θ; as they were afterwards, to the last bits of a sum.
    value : function
        f(θ), a scalar: the same draws of chance at both places.
    seed : int
    radius : float
        ε.

    References
    ----------
    Spall 1992, "Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation"; Malladi et al. 2023, "Fine-tuning language models with just forward passes".
    """
    kept = [p for p in parameters if p.requires_grad]

    def moved(factor: float) -> None:
        chance = torch.Generator().manual_seed(seed)
        for parameter in kept:
            noise = torch.randn(parameter.shape, generator=chance).to(parameter)
            parameter.add_(noise, alpha=factor)

    moved(radius)
    above = value()
    moved(-2 * radius)
    below = value()
    moved(radius)
    slope = float(above - below) / (2 * radius)
    chance = torch.Generator().manual_seed(seed)
    for parameter in kept:
        parameter.grad = slope * torch.randn(parameter.shape, generator=chance).to(parameter)
    return (above + below) / 2


def log_prob_of(model: PreTrainedModel, batch: Batch) -> Tensor:
    """[N]: log p(key | its question) of a batch of ``choices.Choices``, in nats."""
    questions = {name: batch[name] for name in ("input_ids", "attention_mask")}
    states = encoded(model, questions)
    return key_log_prob(model, questions, states, batch["row"], batch["labels"])
