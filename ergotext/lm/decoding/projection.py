"""Vocabulary projection in blocks: log-normalisers without [tokens, vocabulary] in memory."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS, COLUMNS = 512, 4096
"""Rows of hidden states and columns of the vocabulary in one block (8 MB of float32 logits)."""

ONEDNN = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
)
"""Whether oneDNN's float32 product can be called; torch itself takes MKL's, a fifth slower here."""


class Projection:
    """The output layer of a language model, ``logits = hidden @ weight.T + bias``.

    Parameters
    ----------
    weight : [V, D]
    bias : [V] or None
    softcap : float or None
        Gemma's final-logit softcapping, ``softcap * tanh(logits / softcap)``.
    scale : float
        A constant that the logits are multiplied by (Granite, Cohere).
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        softcap: float | None = None,
        scale: float = 1.0,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.softcap = softcap
        self.scale = scale

    def logits(self, hidden: Tensor) -> Tensor:
        """float32 [N, V] for hidden [N, D]. For a handful of rows only."""
        return self._finish(self._product(hidden, slice(None)))

    def log_z(self, hidden: Tensor) -> Tensor:
        """float32 [N]: log Σ_v exp(logit_v), by an online maximum over blocks of the vocabulary.

        Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", algorithm 3.
        """
        return torch.cat(
            [self._log_z(rows) for rows in hidden.split(ROWS)] or [hidden.new_zeros(0).float()]
        )

    def target_logits(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """float32 [N]: the logit of one target token a row, the others never computed."""
        logits = (hidden.float() * self.weight[targets].float()).sum(-1)
        if self.bias is not None:
            logits = logits + self.bias[targets].float()
        return self._finish(logits)

    def _log_z(self, hidden: Tensor) -> Tensor:
        maximum = torch.full(hidden.shape[:1], -torch.inf, device=hidden.device)
        total = torch.zeros_like(maximum)
        for column in range(0, len(self.weight), COLUMNS):
            logits = self._finish(self._product(hidden, slice(column, column + COLUMNS)))
            higher = torch.maximum(maximum, logits.amax(-1))
            total = total * (maximum - higher).exp()
            total += logits.sub_(higher[:, None]).exp_().sum(-1)
            maximum = higher
        return maximum + total.log()

    def _product(self, hidden: Tensor, block: slice) -> Tensor:
        """[N, v]: of hidden [N, D] and a block of the vocabulary, in the weight's type."""
        bias = None if self.bias is None else self.bias[block]
        return _linear(hidden.to(self.weight.dtype), self.weight[block], bias)

    def _finish(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits


def _linear(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if ONEDNN and hidden.dtype == torch.float32 and hidden.device.type == "cpu":
        product: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, weight, bias, "none", [], "")
        return product
    return torch.nn.functional.linear(hidden, weight, bias)
