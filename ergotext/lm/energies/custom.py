"""Functions of a user's own as energies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, overload

from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.term import Function, Term
from ergotext.lm.energies.values import numbers


class Custom(Term):
    """A user's own function as an energy."""

    def __init__(self, function: Callable[..., object], name: str, on_text: bool) -> None:
        self._function = function
        self.name = name
        self._on_text = on_text
        self._decode: CausalLM | None = None

    def bind(self, scorer: CausalLM) -> Custom:
        bound = Custom(self._function, self.name, self._on_text)
        bound._decode, bound.lowest = scorer, self.lowest
        return bound

    def __call__(self, batch: TokenBatch) -> Tensor:
        if not self._on_text:
            return numbers(self.name, self._function(checked(batch)))
        if self._decode is None:
            raise InputError(f"the energy {self.name!r} reads text: add it to fluency(lm)")
        texts = [text.strip() for text in self._decode.decode(batch)]
        return numbers(self.name, self._function(texts))


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
