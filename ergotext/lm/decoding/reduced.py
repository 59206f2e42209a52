"""Copies of models that multiply in lower precision: faster, and a little off.

What such a copy proposes is weighed by the model itself afterwards, so what it is off by costs
draws and no truth (``samplers.weighted.rescoring``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from itertools import chain
from typing import Literal, cast, get_args
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ergotext.errors import InputError
from ergotext.lm.decoding.projection import ONEDNN, Projection

Precision = Literal["float32", "bfloat16", "int8"]
"""What the matrices of a model are multiplied in; sums are float32."""
LARGEST = 127
"""Of int8, on both sides of 0."""
_Copies = dict[Precision, tuple[PreTrainedModel, Projection]]
_KNOWN: WeakKeyDictionary[PreTrainedModel, _Copies] = WeakKeyDictionary()


def precision_of(name: str, device: torch.device) -> Precision:
    """A precision by its name; of ``auto`` the one that the machine is made for.

    That is told by what the processor says of itself and not by a race, so that a machine always
    takes the same: ``bfloat16`` where it multiplies that, which of the faster ones is off by least;
    ``int8`` where it adds products of bytes in one instruction (VNNI); else ``float32``. A GPU
    computes float32 as it is.

    Raises
    ------
    InputError
        Another name, or ``int8`` where PyTorch cannot multiply it.
    """
    known = get_args(Precision)
    if name == "auto":
        return _fastest() if device.type == "cpu" else "float32"
    if name not in known:
        raise InputError(f"no precision {name!r:.60}; choose one of auto, {', '.join(known)}")
    if name == "int8" and not _multiplies(device):
        raise InputError(
            f"PyTorch cannot multiply int8 on the device {device}; use bfloat16 or float32"
        )
    return cast(Precision, name)


def _fastest() -> Precision:
    if _has("_is_avx512_bf16_supported") or _has("_is_amx_tile_supported"):
        return "bfloat16"
    whole = _has("_is_vnni_supported") and _multiplies(torch.device("cpu"))
    return "int8" if whole else "float32"


def _has(name: str) -> bool:
    return bool(getattr(torch.cpu, name, bool)())


def _multiplies(device: torch.device) -> bool:
    """Whether PyTorch multiplies matrices of int8 there, and rightly."""
    a = torch.arange(-128, 128).view(-1, 16)
    # What PyTorch raises for a private function that it lacks, or has not for this device.
    try:
        one = a.to(device, torch.int8)
        found = torch._int_mm(one, one.t().contiguous())
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return bool((found.cpu() == a @ a.t()).all())


class Product(nn.Module, ABC):
    """``x @ weight.T + bias`` in lower precision."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = bias
        self.rows = len(weight)

    def forward(self, x: Tensor) -> Tensor:
        """[…, V] of x […, D], in the type of x."""
        found = self.multiply(x.reshape(-1, x.shape[-1]))
        if self.bias is not None:
            found = found + self.bias
        return found.view(*x.shape[:-1], self.rows).to(x.dtype)

    @abstractmethod
    def multiply(self, x: Tensor) -> Tensor:
        """float32 [N, V] of x [N, D]."""


class Int8Product(Product):
    """Each row of the weight and each row of what it is multiplied by has a scale of its own.

    So what a row gives does not depend on the rows beside it.

    Parameters
    ----------
    weight : [V, D]
    bias : [V] or None
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        whole, scale = _rounded(weight.float())
        self.whole = whole.t().contiguous()
        """int8 [D, V]"""
        self.scale = scale[:, 0].contiguous()
        """float32 [V]"""

    def multiply(self, x: Tensor) -> Tensor:
        whole, scale = _rounded(x.float())
        return torch._int_mm(whole, self.whole).mul(self.scale).mul_(scale)


class Bfloat16Product(Product):
    """Both sides are rounded to bfloat16.

    Parameters
    ----------
    weight : [V, D]
    bias : [V] or None
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        self.weight = weight.bfloat16()
        self.packed = ONEDNN and weight.device.type == "cpu"
        if self.packed:  # once, and not for every product
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    def multiply(self, x: Tensor) -> Tensor:
        x = x.bfloat16()
        if not self.packed:
            return nn.functional.linear(x, self.weight).float()
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "")
        return found.float()


class Int8Projection(Projection):
    """An output layer whose products are those of ``Int8Product``."""

    def __init__(self, of: Projection) -> None:
        self.whole, scale = _rounded(of.weight.float())
        super().__init__(self.whole, of.bias, of.softcap, of.scale)
        self.row_scale = scale[:, 0].contiguous()
        """float32 [V]"""

    def target_logits(self, hidden: Tensor, targets: Tensor) -> Tensor:
        whole, scale = _rounded(hidden.float())
        logits = (whole.float() * self.whole[targets].float()).sum(-1)
        logits = logits * self.row_scale[targets] * scale[:, 0]
        if self.bias is not None:
            logits = logits + self.bias[targets].float()
        return self._finish(logits)

    def _product(self, hidden: Tensor, block: slice) -> Tensor:
        whole, scale = _rounded(hidden.float())
        found = torch._int_mm(whole, self.whole[block].t())
        found = found.mul(self.row_scale[block]).mul_(scale)
        return found if self.bias is None else found.add_(self.bias[block])


class Bfloat16Projection(Projection):
    """An output layer in bfloat16."""

    def __init__(self, of: Projection) -> None:
        bias = None if of.bias is None else of.bias.bfloat16()
        super().__init__(of.weight.bfloat16(), bias, of.softcap, of.scale)
        self._whole = Bfloat16Product(of.weight, of.bias)

    def logits(self, hidden: Tensor) -> Tensor:
        return self._finish(self._whole(hidden.float()))


def reduced(
    model: PreTrainedModel, projection: Projection, precision: Precision
) -> tuple[PreTrainedModel, Projection]:
    """The model and its output layer with other products; what is not multiplied by is shared.

    Made once for each model.
    """
    known = _KNOWN.setdefault(model, {})
    if precision not in known:
        kind = Int8Product if precision == "int8" else Bfloat16Product
        # Numbers are shared until a product takes their place.
        shared = {id(one): one for one in chain(model.parameters(), model.buffers())}
        other = deepcopy(model, shared)
        for parent in list(other.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear | Conv1D):
                    weight = child.weight.detach()
                    weight = weight.t() if isinstance(child, Conv1D) else weight
                    bias = None if child.bias is None else child.bias.detach()
                    setattr(parent, name, kind(weight, bias))
        known[precision] = other, _projection(projection, precision)
    return known[precision]


def _projection(of: Projection, precision: Precision) -> Projection:
    if precision == "int8":
        return Int8Projection(of)
    return Bfloat16Projection(of)


def _rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """int8 [N, D] and float32 [N, 1]: each row as whole numbers times a scale."""
    scale = x.abs().amax(1, keepdim=True).div_(LARGEST).clamp_(min=torch.finfo(x.dtype).tiny)
    return (x / scale).round_().to(torch.int8), scale
