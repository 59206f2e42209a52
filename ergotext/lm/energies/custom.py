"""Use a Python function as an energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, overload

from torch import Tensor

from ergotext.lm.energies.term import Custom, Function


@overload
def custom(function: Function, name: str = ..., *, of: Literal["tokens"]) -> Custom: ...
@overload
def custom(
    function: Callable[[list[str]], Sequence[float]], name: str = ..., *, of: Literal["text"] = ...
) -> Custom: ...
def custom(
    function: Callable[..., Tensor | Sequence[float]],
    name: str = "custom",
    *,
    of: Literal["text", "tokens"] = "text",
) -> Custom:
    """A function of your own as an energy, in nats: a list of B texts (or a TokenBatch) → [B].

    It must be deterministic; +inf forbids a text.
    """
    return Custom(function, name, of == "text")
