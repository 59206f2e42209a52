"""Energies: token sequences → nats, and how they add up.

``fluency(lm) + keywords(["summer", "beach"]) + length(14)`` is an energy; π(x) ∝ exp(−E(x)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, overload

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.locks import initial_rows, mark
from ergotext.lm.protocols import InputError
from ergotext.lm.words import holds_words

Function = Callable[[TokenBatch], Tensor]


class Term(ABC):
    """An energy. Add terms with ``+``, weigh them with ``*``; a plain callable joins a sum too."""

    name: str = "energy"

    @abstractmethod
    def __call__(self, batch: TokenBatch) -> Tensor:
        """float64 [B], in nats; +inf outside the support."""

    @property
    def scorer(self) -> CausalLM | None:
        """The language model behind this energy, if there is one."""
        return None

    def bind(self, scorer: CausalLM) -> Term:  # noqa: ARG002 - most terms need no model
        """The same term, knowing the model (and so the tokenizer) of the sum it stands in."""
        return self

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        """The energy term by term, each float64 [B]."""
        return {self.name: self(batch)}

    def initial(self, count: int) -> TokenBatch:
        """``count`` states to start from: empty texts, unless a term asks for more."""
        return TokenBatch.of([()] * count)

    def locked(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L]: which tokens move only as part of a keyword (none, here)."""
        return torch.zeros_like(batch.ids)

    def __add__(self, other: Term | Function) -> Sum:
        return Sum([(1.0, self), (1.0, _as_term(other))])

    def __radd__(self, other: Term | Function | int) -> Sum:
        # sum([...]) begins with 0.
        return Sum([(1.0, self)]) if other == 0 else Sum([(1.0, _as_term(other)), (1.0, self)])

    def __mul__(self, weight: float) -> Sum:
        return Sum([(float(weight), self)])

    __rmul__ = __mul__


class Sum(Term):
    """A weighted sum of energies; its terms are told apart by name.

    Raises
    ------
    InputError
        A weight is not a finite number, or not positive on a hard constraint.
    """

    def __init__(self, parts: Sequence[tuple[float, Term]]) -> None:
        self.parts: list[tuple[float, Term]]
        flat: list[tuple[float, Term]] = []
        for weight, term in parts:
            if not math.isfinite(weight):
                raise InputError(f"the weight of an energy must be a finite number, got {weight}")
            inner = term.parts if isinstance(term, Sum) else [(1.0, term)]
            flat += [(weight * w, t) for w, t in inner]
        models = [t.scorer for _, t in flat if isinstance(t, Fluency)]
        models += [t.scorer for _, t in flat if t.scorer is not None]
        if any(not m.vocabulary.same_as(models[0].vocabulary) for m in models[1:]):
            raise InputError(
                "the models in this sum have different tokenizers; one token sequence cannot be "
                "scored by both"
            )
        self._scorer = models[0] if models else None
        if self._scorer is not None:
            flat = [(w, t.bind(self._scorer)) for w, t in flat]
        for weight, term in flat:
            if isinstance(term, Keywords) and weight <= 0:
                raise InputError(f"keywords are a hard constraint; a weight of {weight} undoes it")
        if sum(isinstance(term, Keywords) for _, term in flat) > 1:
            raise InputError("give all keywords in one keywords(...) term, not in several")
        self.parts = flat
        self.names = _distinct([term.name for _, term in flat])

    @property
    def scorer(self) -> CausalLM | None:
        return self._scorer

    def __call__(self, batch: TokenBatch) -> Tensor:
        total = torch.zeros(len(batch), dtype=torch.float64)
        for value in self.terms(batch).values():
            total = total + value
        return total

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        return {
            name: _checked(name, term(batch), len(batch), weight) if weight else _zero(batch)
            for name, (weight, term) in zip(self.names, self.parts, strict=True)
        }

    def initial(self, count: int) -> TokenBatch:
        for _, term in self.parts:
            if isinstance(term, Keywords):
                return term.initial(count)
        return super().initial(count)

    def locked(self, batch: TokenBatch) -> Tensor:
        for _, term in self.parts:
            if isinstance(term, Keywords):
                return term.locked(batch)
        return super().locked(batch)


class Fluency(Term):
    """E(x) = −log p(x, end | context) under a causal language model."""

    name = "fluency"

    def __init__(self, lm: CausalLM) -> None:
        self.lm = lm

    @property
    def scorer(self) -> CausalLM:
        return self.lm

    def __call__(self, batch: TokenBatch) -> Tensor:
        return -self.lm.log_prob(batch)


class Length(Term):
    """E(x) = −log P(n), n the number of generated tokens: a normal law on n = 0, 1, 2, …"""

    name = "length"

    def __init__(self, mean: float, sd: float) -> None:
        if not (math.isfinite(mean) and mean >= 0):
            raise InputError(f"the mean length must be a number of tokens ≥ 0, got {mean}")
        if not (math.isfinite(sd) and sd > 0):
            raise InputError(f"the spread of the length must be > 0, got {sd}")
        self.mean, self.sd = float(mean), float(sd)
        support = torch.arange(int(mean + 40 * sd) + 2, dtype=torch.float64)
        self._log_z = self._exponent(support).logsumexp(0)

    def _exponent(self, n: Tensor) -> Tensor:
        return -((n - self.mean) ** 2) / (2 * self.sd**2)

    def __call__(self, batch: TokenBatch) -> Tensor:
        return self._log_z - self._exponent(batch.length.double())


class Keywords(Term):
    """0 where every word stands in the decoded text verbatim, +inf elsewhere."""

    name = "keywords"

    def __init__(
        self, words: Sequence[str], any_order: bool = False, scorer: CausalLM | None = None
    ) -> None:
        if isinstance(words, str):
            raise InputError(f"give the keywords as a list: [{words!r}], not {words!r}")
        if not words:
            raise InputError("no keyword given; name at least one word that must occur")
        self.words = [word.strip() for word in words]
        self.any_order = any_order
        self._scorer = scorer
        self._spelled = [] if scorer is None else [scorer.vocabulary.spell(w) for w in words]

    @property
    def scorer(self) -> CausalLM | None:
        return self._scorer

    def bind(self, scorer: CausalLM) -> Keywords:
        return self if self._scorer is scorer else Keywords(self.words, self.any_order, scorer)

    @property
    def spelled(self) -> list[list[int]]:
        """The tokens of each keyword."""
        self._known()
        return self._spelled

    def __call__(self, batch: TokenBatch) -> Tensor:
        held = [holds_words(t, self.words, self.any_order) for t in self._known().decode(batch)]
        return torch.where(torch.tensor(held, dtype=torch.bool), 0.0, torch.inf).double()

    def initial(self, count: int) -> TokenBatch:
        """The keywords side by side; in differing orders, if any order will do."""
        ids = TokenBatch.of(initial_rows(self.spelled, count, self.any_order))
        if not len(ids):
            raise InputError(
                f"the keywords {self.words} run into each other in every order; leave one out"
            )
        batch = TokenBatch(ids.ids, ids.length, self.locked(ids))
        if not torch.isfinite(self(batch)).all():
            raise InputError(
                f"the keywords {self.words} do not survive being written side by side "
                f"({self._known().decode(batch)[0].strip()!r}); change their order or spelling"
            )
        return batch

    def locked(self, batch: TokenBatch) -> Tensor:
        return mark(batch, self.spelled, self.any_order)

    def _known(self) -> CausalLM:
        if self._scorer is None:
            raise InputError(
                "these keywords know no tokenizer yet: add them to fluency(lm), or "
                "write keywords(words).bind(lm)"
            )
        return self._scorer


class Custom(Term):
    """A user's own function as an energy."""

    def __init__(
        self, function: Function | Callable[[list[str]], Sequence[float]], name: str, on_text: bool
    ) -> None:
        self._function = function
        self.name = name
        self._on_text = on_text
        self._decode: CausalLM | None = None

    def bind(self, scorer: CausalLM) -> Custom:
        bound = Custom(self._function, self.name, self._on_text)
        bound._decode = scorer
        return bound

    def __call__(self, batch: TokenBatch) -> Tensor:
        if not self._on_text:
            return torch.as_tensor(self._function(batch), dtype=torch.float64)  # type: ignore[arg-type]
        if self._decode is None:
            raise InputError(f"the energy {self.name!r} reads text: add it to fluency(lm)")
        texts = [text.strip() for text in self._decode.decode(batch)]
        return torch.as_tensor(self._function(texts), dtype=torch.float64)  # type: ignore[arg-type]


def fluency(lm: CausalLM, context: str | None = None) -> Fluency:
    """−log p(x, end token | context) in nats, under a causal language model.

    Parameters
    ----------
    lm : CausalLM
    context : str, optional
        A text that stands before x, conditioned on and never edited.
    """
    return Fluency(lm if context is None else lm.given(context))


def length(mean: float, sd: float = 1.0) -> Length:
    """−log of a discretised normal law over the number of generated tokens.

    Context and end token are not counted. Without a length prior a text shrinks to its keywords:
    every further token costs 2 to 4 nats of fluency, so the spread should be small (with sd = 1
    the likeliest single text is 2 to 4 tokens shorter than ``mean``).
    """
    return Length(mean, sd)


def keywords(words: Sequence[str], any_order: bool = False) -> Keywords:
    """A hard constraint: every word stands in the text verbatim, at word boundaries.

    Checked on the decoded text. Without ``any_order`` the words keep the order given.

    Raises
    ------
    InputError
        No word, an empty word, control characters, or a word the tokenizer cannot spell.
    """
    return Keywords(words, any_order)


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
    return Custom(function, name, of == "text")  # type: ignore[arg-type]


def _as_term(other: Term | Function | int) -> Term:
    if isinstance(other, Term):
        return other
    if callable(other):
        return Custom(other, getattr(other, "__name__", "custom"), on_text=False)
    raise InputError(f"cannot add {other!r} to an energy; add an energy or a callable")


def _checked(name: str, value: Tensor, count: int, weight: float) -> Tensor:
    """The weighted value of a term, or InputError if it is no energy."""
    if value.shape != (count,):
        raise InputError(
            f"the energy {name!r} returned shape {tuple(value.shape)}, expected ({count},)"
        )
    value = weight * value
    if torch.isnan(value).any() or (value == -torch.inf).any():
        raise InputError(f"the energy {name!r} returned NaN or -inf; it must be finite or +inf")
    return value


def _zero(batch: TokenBatch) -> Tensor:
    return torch.zeros(len(batch), dtype=torch.float64)


def _distinct(names: list[str]) -> list[str]:
    """Names made distinct by numbering repeats: fluency, fluency_2, …"""
    result: list[str] = []
    for name in names:
        number = 1
        while (label := name if number == 1 else f"{name}_{number}") in result:
            number += 1
        result.append(label)
    return result
