"""Convert token ids of a key to a list of integers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from operator import index
from typing import Any, TypeGuard

from ergotext.errors import InputError

Key = str | Sequence[int]
"""A text (for a trie with a tokenizer) or token ids, in a list, tuple, array or tensor; the end
token is never written."""


def is_key(given: object) -> TypeGuard[Key]:
    """Whether this may be a key: a text, a sequence, or an array of one dimension or more."""
    if isinstance(given, (bytes, bytearray, memoryview)):
        return False
    return isinstance(given, Sequence) or bool(getattr(given, "ndim", 0))


def key_ids(given: Any) -> list[int]:
    """Token ids as plain integers.

    Raises
    ------
    InputError
        It is no sequence, or holds what is not an integer of 64 bits.
    """
    if not is_key(given) or isinstance(given, str):
        raise InputError(
            f"{given!r:.60} is not a sequence of token ids: give a list, tuple, array or tensor"
        )
    ids = given.tolist() if hasattr(given, "tolist") else list(given)
    if set(map(type, ids)) <= {int} and (not ids or -(1 << 63) <= min(ids) <= max(ids) < 1 << 63):
        return ids
    return [_whole(token) for token in ids]


def _whole(token: Any) -> int:
    """One id; a truth value is none, though Python can count with it."""
    kind = str(getattr(token, "dtype", type(token).__name__))
    if "bool" not in kind and not getattr(token, "ndim", 0) and hasattr(token, "__index__"):
        with suppress(TypeError):  # of tensors, those of floats
            number = index(token)
            if -(1 << 63) <= number < 1 << 63:
                return number
    raise InputError(f"{token!r} is not a token id: keys are texts or lists of integers")
