"""What is known of the beginnings of contexts, so that those that begin alike are read once."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakKeyDictionary

from torch import Tensor
from transformers import PreTrainedModel

BLOCK = 64
"""Tokens that are read together. All contexts are read in such blocks, whatever was read before, so
that numbers do not depend on it."""
KEPT = 8
"""Beginnings whose caches are kept for each model: for SmolLM2 some 3 MB a block in float32."""

Beginning = tuple[int, ...]
_KNOWN: WeakKeyDictionary[PreTrainedModel, OrderedDict[tuple[str, Beginning], Tensor]] = (
    WeakKeyDictionary()
)


def blocks(opening: Beginning) -> list[Beginning]:
    """The beginnings of an opening that end with a block, and the whole of it."""
    ends = range(BLOCK, len(opening), BLOCK)
    return [opening[:end] for end in (*ends, len(opening))]


def known(model: PreTrainedModel, device: str, beginning: Beginning) -> Tensor | None:
    """The cache of whole blocks that were read before, if it is kept."""
    kept = _KNOWN.get(model, OrderedDict())
    if (device, beginning) in kept:
        kept.move_to_end((device, beginning))
    return kept.get((device, beginning))


def keep(model: PreTrainedModel, device: str, beginning: Beginning, cache: Tensor) -> None:
    """Keep the cache of whole blocks, [layers, 2, heads, S, head width]."""
    kept = _KNOWN.setdefault(model, OrderedDict())
    kept[device, beginning] = cache
    while len(kept) > KEPT:
        kept.popitem(last=False)
