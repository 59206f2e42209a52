"""Base class of energies, and their weighted sums.

``fluency(lm) + keywords(["summer", "beach"]) + length(14)`` is an energy; π(x) ∝ exp(−E(x)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.combine import intersection
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.energies.values import numbers, weighed, zero
from ergotext.lm.protocols import Automaton, MaskedScorer
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.arrays import Floats, Ints
from ergotext.support.reprs import Listing, called, quoted, safe

Function = Callable[[TokenBatch], Tensor]


class Term(ABC):
    """An energy. Add terms with ``+``, weigh them with ``*``; a plain callable joins a sum too."""

    name: str = "energy"
    hard: ClassVar[bool] = False
    """A hard constraint: 0 or +inf. It says where chains start and which tokens are locked."""
    regular: ClassVar[bool] = False
    """A hard constraint equivalent to its ``automaton``."""
    lowest: float | None = None
    """Nats that this energy is never below, if that is known."""
    by_length_alone: ClassVar[bool] = False
    """Whether it depends on the number of tokens and on nothing else."""

    @safe
    def __repr__(self) -> str:
        return self.shown()

    def shown(self) -> str:
        """The term as one would write it; runs no model."""
        return self.name

    @abstractmethod
    def __call__(self, batch: TokenBatch) -> Tensor:
        """float64 [B], in nats; +inf outside the support."""

    @property
    def scorer(self) -> TextScorer | None:
        """The causal language model of this energy, if any."""
        return None

    @property
    def density(self) -> TextScorer | None:
        """The model whose −log p(x, end) this energy is, if it is that of one."""
        return None

    @property
    def masked(self) -> MaskedScorer | None:
        """The masked language model of this energy, if any."""
        return None

    @property
    def automaton(self) -> Automaton | None:
        """Automaton of the sequences that this term allows, if there is one."""
        return None

    @property
    def locking(self) -> bool:
        """Whether this is a constraint that may hold tokens in place: one at most in a sum."""
        return self.hard and not self.regular

    @property
    def soft(self) -> Function | None:
        """The energy without −log p and the automaton (``protocols.Energy``)."""
        return Sum([(1.0, self)]).soft

    @property
    def floor(self) -> float | None:
        """Nats that ``soft`` is never below, if that is known."""
        return Sum([(1.0, self)]).floor

    def bind(self, scorer: TextScorer) -> Term:  # noqa: ARG002 - most terms need no model
        """The same term, bound to the model (and tokenizer) of its sum."""
        return self

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        """The energy term by term, each float64 [B]."""
        return {self.name: self(batch)}

    def initial(self, count: int) -> TokenBatch:
        """``count`` initial states: empty texts, unless a term requires more."""
        return TokenBatch.of([()] * count)

    def forget(self) -> None:
        """Drop the model's cache of earlier calls."""
        if self.scorer is not None:
            self.scorer.forget()

    @property
    def marks(self) -> frozenset[int]:
        """The lock marks that every text has: those of the term's initial text.

        A term that can tell them without making one does.
        """
        return frozenset(self.initial(1).locked.unique().tolist()) - {0}

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
    """A weighted sum of energies, whose terms have distinct names.

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
        # A constraint may be bound to a model already; the terms that score by theirs go first.
        by_use = sorted((term for _, term in flat), key=lambda term: term.hard)
        models = [term.scorer for term in by_use if term.scorer is not None]
        if any(not m.vocabulary.same_as(models[0].vocabulary) for m in models[1:]):
            raise InputError(
                "the models in this sum have different tokenizers, so they cannot score the same "
                "tokens"
            )
        self._scorer = models[0] if models else None
        if self._scorer is not None:
            flat = [(w, t.bind(self._scorer)) for w, t in flat]
        for weight, term in flat:
            if term.hard and weight <= 0:
                raise InputError(
                    f"{term.name} is a hard constraint; a weight of {weight} would remove it"
                )
        if sum(term.locking for _, term in flat) > 1:
            raise InputError(
                "two keywords terms in one energy: give all keywords in one keywords(...)"
            )
        self.parts = flat
        self.names = _distinct([term.name for _, term in flat])

    def shown(self) -> str:
        """The sum as one would write it."""
        return " + ".join(
            term.shown() if weight == 1 else f"{weight:g} * {term.shown()}"
            for weight, term in self.parts
        )

    @safe
    def _repr_html_(self) -> str:
        kinds = ["constraint" if term.hard else "energy" for _, term in self.parts]
        rows = [
            [kind, f"{weight:g}", term.shown()]
            for kind, (weight, term) in zip(kinds, self.parts, strict=True)
        ]
        return Listing(f"energy of {len(rows)} terms", ["kind", "weight", "term"], rows).html()

    @property
    def scorer(self) -> TextScorer | None:
        return self._scorer

    def __call__(self, batch: TokenBatch) -> Tensor:
        total = torch.zeros(len(checked(batch)), dtype=torch.float64)
        for value in self.terms(batch).values():
            total = total + value
        return total

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        checked(batch)
        return {
            name: weighed(name, term(batch), len(batch), weight) if weight else zero(batch)
            for name, (weight, term) in zip(self.names, self.parts, strict=True)
        }

    @property
    def masked(self) -> MaskedScorer | None:
        return next((term.masked for _, term in self.parts if term.masked is not None), None)

    @cached_property
    def automaton(self) -> Automaton | None:
        """The intersection of the automata of all terms."""
        automata = [term.automaton for _, term in self.parts if term.regular]
        told = [automaton for automaton in automata if automaton is not None]
        return intersection(*told) if len(told) > 1 else told[0] if told else None

    @property
    def soft(self) -> Function | None:
        return self._beside if self._share or self._others else None

    @property
    def tempered(self) -> tuple[float, Function | None]:
        """The weight α of the scorer's −log p, and the energy beside α and the automaton."""
        return 1.0 + self._share, self._besides if self._others else None

    @property
    def by_length(self) -> Callable[[Ints], Floats] | None:
        """The energy of those terms that depend on the length alone; None if there is none."""
        terms = [(weight, term) for _, weight, term in self._others if term.by_length_alone]

        def energy(lengths: Ints) -> Floats:
            batch = TokenBatch.of([(0,) * length for length in lengths.tolist()])
            total: Floats = np.sum([weight * term(batch).numpy() for weight, term in terms], axis=0)
            return total

        return energy if terms else None

    @property
    def floor(self) -> float | None:
        total = 0.0
        for _, weight, term in self._others:
            if weight < 0 or term.lowest is None:
                return None
            total += weight * term.lowest
        # −log p is at least 0, and has no upper bound.
        return total if self._share >= 0 else None

    def _besides(self, batch: TokenBatch) -> Tensor:
        total = zero(batch)
        for name, weight, term in self._others:
            total = total + weighed(name, term(batch), len(batch), weight)
        return total

    def _beside(self, batch: TokenBatch) -> Tensor:
        total = self._besides(batch)
        if self._share and self._scorer is not None:
            total = total - self._share * self._scorer.log_prob(batch)
        return total

    @property
    def _share(self) -> float:
        """By how much the weight of the scorer's −log p is above 1; 0 without a scorer."""
        if self._scorer is None:
            return 0.0
        share = sum(w for w, term in self.parts if term.density is self._scorer) - 1.0
        return share if abs(share) > 1e-12 else 0.0

    @property
    def _others(self) -> list[tuple[str, float, Term]]:
        """The terms other than the scorer's −log p and the automaton."""
        return [
            (name, weight, term)
            for name, (weight, term) in zip(self.names, self.parts, strict=True)
            if weight and not term.regular and (term.density or term) is not self._scorer
        ]

    def initial(self, count: int) -> TokenBatch:
        """States that meet all constraints: of those that each of them would begin with.

        Raises
        ------
        InputError
            None of these meets them all.
        """
        hard = [term for _, term in self.parts if term.hard]
        if len(hard) < 2:
            return hard[0].initial(count) if hard else super().initial(count)
        for term in hard:
            batch = term.initial(max(count, 20))
            met = torch.isfinite(torch.stack([other(batch) for other in hard])).all(0)
            if bool(met.any()):
                batch = batch.select(met.nonzero()[torch.arange(count) % int(met.sum()), 0])
                return TokenBatch(batch.ids, batch.length, self.locked(batch))
        raise InputError(
            f"no text was found that satisfies {' and '.join(term.name for term in hard)} "
            "together: give an initial text (initial=)"
        )

    def forget(self) -> None:
        for _, term in self.parts:
            term.forget()

    @property
    def marks(self) -> frozenset[int]:
        return frozenset() if self._locking is None else self._locking.marks

    def locked(self, batch: TokenBatch) -> Tensor:
        return super().locked(batch) if self._locking is None else self._locking.locked(batch)

    @property
    def _locking(self) -> Term | None:
        """The one term that may hold tokens in place."""
        return next((term for _, term in self.parts if term.locking), None)


class Custom(Term):
    """A user's own function as an energy."""

    def __init__(self, function: Callable[..., object], name: str, on_text: bool) -> None:
        self._function = function
        self.name = name
        self._on_text = on_text
        self._decode: TextScorer | None = None
        self.reference = ""
        """A text that this is a comparison with, if it is one."""

    def shown(self) -> str:
        if self.reference:
            return called(self.name, quoted(self.reference))
        return called("custom", quoted(self.name))

    def bind(self, scorer: TextScorer) -> Custom:
        bound = Custom(self._function, self.name, self._on_text)
        bound.reference = self.reference
        bound._decode, bound.lowest = scorer, self.lowest
        return bound

    def __call__(self, batch: TokenBatch) -> Tensor:
        if not self._on_text:
            return numbers(self.name, self._function(checked(batch)))
        if self._decode is None:
            raise InputError(f"the energy {self.name!r} reads text: add it to fluency(lm)")
        texts = [text.strip() for text in self._decode.decode(batch)]
        return numbers(self.name, self._function(texts))


def _as_term(other: Term | Function | int) -> Term:
    if isinstance(other, Term):
        return other
    if callable(other):
        return Custom(other, getattr(other, "__name__", "custom"), on_text=False)
    raise InputError(f"cannot add {other!r} to an energy; add an energy or a callable")


def _distinct(names: list[str]) -> list[str]:
    """Names made distinct by numbering repeats: fluency, fluency_2, …"""
    result: list[str] = []
    for name in names:
        number = 1
        while (label := name if number == 1 else f"{name}_{number}") in result:
            number += 1
        result.append(label)
    return result
