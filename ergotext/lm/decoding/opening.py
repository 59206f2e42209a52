"""What is known of the beginnings of contexts, so that those that begin alike are read once."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from itertools import chain
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

BLOCK = 64
"""Tokens that are read together. All contexts are read in such blocks, whatever was read before, so
that numbers do not depend on it."""
KEPT = 16
"""Blocks that are kept for each model (for SmolLM2 some 3 MB each in float32), and that a context
is read in at most: what is beyond is read at once, so that no context drives out its own blocks."""
PLACES = 8
"""Numbers of each tensor of weights by which a change of the model is seen."""

Beginning = tuple[int, ...]
_KNOWN: WeakKeyDictionary[PreTrainedModel, OrderedDict[tuple[str, Beginning], Tensor]] = (
    WeakKeyDictionary()
)


def blocks(opening: Beginning) -> list[Beginning]:
    """The beginnings of an opening that end with a block, and the whole of it."""
    ends = range(BLOCK, min(len(opening), KEPT * BLOCK + 1), BLOCK)
    return [opening[:end] for end in (*ends, len(opening))]


@torch.inference_mode()
def state_of(model: PreTrainedModel) -> str:
    """What changes when a model is trained, cast or moved in place.

    A digest of some numbers of each of its tensors, which training changes everywhere.
    """
    tensors = [one.detach().flatten() for one in chain(model.parameters(), model.buffers())]
    some = [one[:: max(1, len(one) // PLACES)][:PLACES].double() for one in tensors]
    told = blake2b(f"{model.device} {model.dtype}".encode(), digest_size=16)
    for device in sorted({one.device for one in some}, key=str):
        together = torch.cat([one for one in some if one.device == device])
        told.update(together.cpu().numpy().tobytes())
    return told.hexdigest()


def known(model: PreTrainedModel, state: str, beginning: Beginning) -> Tensor | None:
    """The cache of the last block of a beginning, read before in this state, if it is kept."""
    kept = _KNOWN.get(model, OrderedDict())
    if (state, beginning) in kept:
        kept.move_to_end((state, beginning))
    return kept.get((state, beginning))


def keep(model: PreTrainedModel, state: str, beginning: Beginning, cache: Tensor) -> None:
    """Keep the cache of the last block of a beginning, [layers, 2, heads, block, head width]."""
    kept = _KNOWN.setdefault(model, OrderedDict())
    kept[state, beginning] = cache
    while len(kept) > KEPT:
        kept.popitem(last=False)
