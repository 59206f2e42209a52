"""Tokens after which a sentence may end."""

from __future__ import annotations

import re
from functools import lru_cache

import torch
from torch import Tensor

from ergotext.lm.tokenizers.vocabulary import Vocabulary

_STOP = re.compile(r"""[.!?…。！？]+["'”’»)\]）」』】]*\Z""")


@lru_cache(maxsize=8)
def stops_of(vocabulary: Vocabulary | None) -> Tensor | None:
    """bool [V]: tokens whose text ends in a full stop, or a quote or bracket after one."""
    if vocabulary is None:
        return None
    stops = torch.zeros_like(vocabulary.allowed)
    for token in vocabulary.allowed.nonzero()[:, 0].tolist():
        stops[token] = _STOP.search(vocabulary.text([token])) is not None
    return stops
