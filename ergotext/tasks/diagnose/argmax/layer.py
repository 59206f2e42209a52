"""An output layer as rows of a cone, and the exact test of one direction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from ergotext.errors import InputError

BLOCK = 1 << 25
"""Most numbers of one block of scores (128 MB of float32)."""


class OutputLayer:
    """The rows of an output layer; with a bias each row has it as its last entry.

    A direction is then (h, t) with t ≥ 0 and stands for the hidden state h/t: the logits are
    rows @ direction, up to the factor t. So a bias needs no other treatment, and no bound on the
    size of h. A strict inequality that holds at t = 0 holds for small t > 0 too.

    Parameters
    ----------
    weight : [V, D]
        In any floating-point format; what is tested are these very numbers, in float64.
    bias : [V], optional

    Raises
    ------
    InputError
        The shapes do not fit, or a number is NaN or infinite.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        if weight.ndim != 2 or not weight.is_floating_point() or not weight.numel():
            raise InputError(
                "an output matrix of floating-point numbers, one row a token, is needed; got "
                f"{weight.dtype} of shape {tuple(weight.shape)}"
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            raise InputError(
                f"the bias has shape {tuple(bias.shape)}, but the output matrix {len(weight)} rows"
            )
        exact = torch.float64 if torch.float64 in (weight.dtype, _dtype(bias)) else torch.float32
        columns = [weight.detach().to(exact)]
        columns += [] if bias is None else [bias.detach().to(exact)[:, None]]
        self.rows = torch.cat(columns, 1)
        self.has_bias = bias is not None
        if not bool(torch.isfinite(self.rows).all()):
            raise InputError("the output matrix or its bias has numbers that are NaN or infinite")

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def centred(self) -> Tensor:
        """float32 [V, D]: the rows less their mean, which changes no difference of logits."""
        mean = self.rows.mean(0, dtype=torch.float64)
        return torch.cat([(part.double() - mean).float() for part in self.rows.split(8192)])

    @cached_property
    def whitening(self) -> Tensor:
        """float32 [D, D]: the inverse covariance of the rows, all but singular ones shifted."""
        covariance: Tensor = (self.centred.T @ self.centred).double() / len(self)
        shift = 1e-6 * covariance.diagonal().mean() + torch.finfo(torch.float32).tiny
        covariance.diagonal().add_(shift)
        inverse: Tensor = torch.linalg.inv(covariance)
        return inverse.float()

    @cached_property
    def twin(self) -> Tensor:
        """int64 [V]: the first token with the same row; most often the token itself."""
        first: dict[bytes, int] = {}
        rows = (self.rows + 0.0).cpu().numpy()  # −0.0 is 0.0
        keys = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows)
        return torch.tensor([first.setdefault(key, i) for i, key in enumerate(keys)])

    @cached_property
    def tied(self) -> Tensor:
        """bool [V]: tokens that share their row with another, so neither can be the only argmax."""
        shared: Tensor = torch.bincount(self.twin, minlength=len(self)) > 1
        return shared[self.twin]

    @cached_property
    def fingerprint(self) -> str:
        """Of all numbers, to tell one layer from another."""
        hashed = hashlib.blake2b(repr((self.rows.shape, self.has_bias)).encode(), digest_size=16)
        hashed.update(self.rows.cpu().numpy().tobytes())
        return hashed.hexdigest()

    def chunks(self, tokens: Tensor) -> Iterator[Tensor]:
        """The tokens in parts whose scores over all rows fit into a block."""
        yield from tokens.split(max(1, BLOCK // len(self)))

    def argmaxed(self, directions: Tensor, tokens: Tensor) -> Tensor:
        """bool [n]: whether each direction makes its token the only argmax, beyond all rounding.

        In float64, by a margin above (D + 8) ε (‖row_i‖ + max ‖row_j‖) ‖direction‖, more than the
        rounding errors of two products can add up to.

        Parameters
        ----------
        directions : [n, D]
        tokens : int64 [n]
        """
        directions = directions.to(self.rows.device).double()
        tokens = tokens.to(self.rows.device)
        others = torch.full((len(tokens),), -torch.inf, dtype=torch.float64).to(self.rows.device)
        own = (self.rows[tokens].double() * directions).sum(1)
        size = max(1, BLOCK // 2 // max(1, len(tokens), self.rows.shape[1]))
        for start in range(0, len(self), size):
            scores = directions @ self.rows[start : start + size].double().T
            here = ((tokens >= start) & (tokens < start + size)).nonzero()[:, 0]
            scores[here, tokens[here] - start] = -torch.inf
            others = torch.maximum(others, scores.amax(1))
        slack = rounding(torch.float64, self.rows.shape[1]) * directions.norm(dim=1)
        met: Tensor = own - others > slack * (self._norm[tokens] + self._norm.max())
        if self.has_bias:
            met &= directions[:, -1] >= 0
        return met

    @cached_property
    def _norm(self) -> Tensor:
        return torch.cat([part.double().norm(dim=1) for part in self.rows.split(8192)])


def rounding(dtype: torch.dtype, width: int) -> float:
    """Bound on the relative rounding error of a product of so many terms, with room to spare."""
    return (width + 8) * torch.finfo(dtype).eps


def _dtype(tensor: Tensor | None) -> torch.dtype | None:
    return None if tensor is None else tensor.dtype
