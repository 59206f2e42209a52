"""Initialise a model from counts of its training text: takes seconds and saves many steps.

The embeddings are the leading singular vectors of the positive pointwise mutual information of
neighbouring tokens (Levy and Goldberg 2014). ``neighbours`` also sets the first layers of the
masked model, so that it predicts from the two adjacent tokens like a bilinear model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import ModernBertForMaskedLM, PreTrainedModel

SHARPNESS = 4.0  # length of a rotary pair of the query and key biases; 3 nats between positions
GAIN = 0.7  # of the head; at the start 0.5 and 1.0 are about as good, 0.25 and 2.0 worse


def pairs(rows: list[list[int]], size: int, apart: int) -> Tensor:
    """[V, V]: how often the second token occurs ``apart`` positions after the first."""
    flat = torch.tensor([token for row in rows for token in row])
    counts = torch.bincount(flat[:-apart] * size + flat[apart:], minlength=size * size)
    return counts.view(size, size).float()


def information(together: Tensor) -> Tensor:
    """[V, V]: positive pointwise mutual information of counted pairs, nats."""
    before, after = together.sum(1) + 1.0, together.sum(0) + 1.0
    expected = before[:, None] * after[None] / together.sum()
    return (together / expected).clamp(min=1e-9).log().clamp(min=0.0)


def embeddings(both_ways: Tensor, width: int, spread: float) -> Tensor:
    """[V, width]: leading singular vectors of a symmetric matrix, ``spread`` their deviation."""
    left, values, _ = torch.svd_lowrank(both_ways, q=width, niter=4)
    known = left * values.sqrt()
    return known * (spread / known.std())


def log_share(rows: list[list[int]], size: int) -> Tensor:
    """[V]: log share of each token in the text."""
    often = torch.bincount(torch.tensor([t for row in rows for t in row]), minlength=size) + 0.1
    return (often / often.sum()).log()


@torch.no_grad()
def informed(model: PreTrainedModel, rows: list[list[int]]) -> None:
    """Set the embeddings from co-occurrences at most two positions apart."""
    size = model.config.vocab_size
    together = pairs(rows, size, 1) + pairs(rows, size, 2) / 2
    known = embeddings(information(together + together.T), model.config.hidden_size, 0.04)
    model.get_input_embeddings().weight.copy_(known)


@torch.no_grad()
def neighbours(model: ModernBertForMaskedLM, rows: list[list[int]], mask: int) -> None:
    """Start as log p(token) + e(token) · (A e(previous token) + B e(next token)).

    A and B are least-squares fits to the mutual information. Half their ranks become the values and
    outputs of the first layer's heads, half those of the second's. Even heads attend one position
    back, odd heads one ahead, by rotary phases in the query and key biases. All of it is trained.
    """
    config = model.config
    size, width, heads = config.vocab_size, config.hidden_size, config.num_attention_heads
    each, half = width // heads, width // 2
    near = information(pairs(rows, size, 1))
    known = embeddings(near + near.T, width, 0.06)
    known[mask] = 0.0
    model.get_input_embeddings().weight.copy_(known)
    seen = torch.nn.functional.layer_norm(known, (width,))
    fits = [_fit(seen, law, known) for law in (near, near.T)]
    theta = config.rope_parameters["full_attention"]["rope_theta"]
    turn = theta ** -(torch.arange(each // 2) / (each // 2))
    for number, layer in enumerate(model.model.layers[:2]):
        bias = layer.attn.Wqkv.bias.view(3, heads, 2, each // 2)
        values = layer.attn.Wqkv.weight[2 * width :].view(heads, each, width)
        outputs = layer.attn.Wo.weight.view(width, heads, each)
        bias[1, :, 0] = SHARPNESS
        for side, (place, fit) in enumerate(zip((-1, 1), fits, strict=True)):
            bias[0, side::2, 0] = SHARPNESS * (place * turn).cos()
            bias[0, side::2, 1] = SHARPNESS * (place * turn).sin()
            left, strength, right = torch.linalg.svd(fit)
            ranks = slice(number * half, (number + 1) * half)
            root = strength[ranks].sqrt()
            values[side::2] = (left[:, ranks] * root).T.reshape(-1, each, width)
            outputs[:, side::2] = (right[ranks].T * root).reshape(width, -1, each)
    model.head.dense.weight.copy_(torch.eye(width))
    model.head.norm.weight.fill_(GAIN)
    model.decoder.bias.copy_(log_share(rows, size))


def _fit(seen: Tensor, law: Tensor, known: Tensor) -> Tensor:
    """[width, width]: W for which seen W knownᵀ is closest to ``law``, with a small ridge."""

    def inverse(table: Tensor) -> Tensor:
        square = table.T @ table
        ridge = 1e-3 * square.trace() / len(square)
        return torch.linalg.inv(square + ridge * torch.eye(len(square)))

    return inverse(seen) @ (seen.T @ law @ known) @ inverse(known)
