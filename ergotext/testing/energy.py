"""Check an energy of one's own: its numbers, its batches, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Custom, Sum, Term
from ergotext.testing.require import require

ABSOLUTE, RELATIVE = 1e-4, 1e-6
"""Nats by which two readings of one text may differ in float32."""


def check_energy(
    energy: Term | Callable[[TokenBatch], Any],
    texts: TokenBatch | Sequence[str] | Sequence[Sequence[int]],
) -> None:
    """Check that an energy keeps what samplers rely on, on some texts.

    It gives one finite float64 (or +inf) a text, the same every time, whatever the other texts of
    a batch, its padding and its lock marks, and leaves the texts as they are; its terms add up to
    it; it is never below the lowest value that it states; a hard constraint is 0 or +inf, starts
    inside its own support, and is finite exactly where its automaton accepts.

    Parameters
    ----------
    energy : Term or callable
        An energy, or a function from a ``TokenBatch`` to numbers.
    texts : TokenBatch, or list of str, or list of token ids
        At least two, of differing lengths. Texts need an energy with a language model, such as
        ``fluency(lm) + mine``, to be encoded by.

    Raises
    ------
    AssertionError
        With a sentence that says what is wrong.
    InputError
        Fewer than two texts, or nothing to encode them by.
    """
    term = energy if isinstance(energy, Term) else Custom(energy, "energy", on_text=False)
    batch = _encoded(term, texts)
    given = TokenBatch(batch.ids.clone(), batch.length.clone(), batch.locked.clone())
    value = term(batch)
    same = all(
        torch.equal(getattr(batch, name), getattr(given, name))
        for name in ("ids", "length", "locked")
    )
    require(same, "it changed the texts that it was given; it must leave them as they are")
    _check_numbers(value, batch)
    _check_alone(term, batch, value)
    total = torch.stack(list(term.terms(batch).values())).sum(0)
    same = torch.allclose(total, value, RELATIVE, ABSOLUTE)
    require(same, f"its terms add up to {total.tolist()}, and the energy is {value.tolist()}")
    for part in [one for _, one in term.parts] if isinstance(term, Sum) else [term]:
        _check_stated(part, batch)
        if part.hard:
            _check_hard(part, batch)
    if term.soft is not None and term.floor is not None:
        _check_floor("soft", term.soft(batch), term.floor, batch)


def _encoded(term: Term, texts: Any) -> TokenBatch:
    if not isinstance(texts, TokenBatch):
        vocabulary = getattr(term.scorer, "vocabulary", None)
        if vocabulary is None and any(isinstance(text, str) for text in texts):
            raise InputError(
                "this energy has no language model to encode texts by: give lists of token ids, "
                "or check fluency(lm) + energy"
            )
        rows = [vocabulary.encode(t) if vocabulary and isinstance(t, str) else t for t in texts]
        texts = TokenBatch.of(rows)
    batch: TokenBatch = texts
    if len(batch) < 2:
        raise InputError(f"give two texts or more, of differing lengths; got {len(batch)}")
    return batch


def _check_numbers(value: Any, batch: TokenBatch) -> None:
    require(isinstance(value, Tensor), f"it must return a tensor and returned {value!r:.60}")
    fine = value.dtype == torch.float64 and value.shape == (len(batch),)
    require(
        fine,
        f"it must return float64 [{len(batch)}], one number a text, and returned "
        f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}",
    )
    for row, number in zip(batch.rows(), value.tolist(), strict=True):
        sound = number == number and number != -np.inf
        require(sound, f"the energy of {row} is {number}: give a finite number, or +inf to forbid")


def _check_alone(term: Term, batch: TokenBatch, value: Tensor) -> None:
    """The same numbers again, with more padding, in another order, and one text at a time."""
    back = torch.arange(len(batch)).flip(0)
    alone = [batch.select([i]) for i in range(len(batch))]
    readings: dict[str, Callable[[], Tensor]] = {
        "when read a second time": lambda: term(batch),
        "after forget()": lambda: term(batch),
        "with more padding": lambda: term(batch.padded(batch.width + 2)),
        "with other lock marks": lambda: term(replace(batch, locked=batch.inside * 7)),
        "with the other texts in another order": lambda: term(batch.select(back))[back],
        "read alone": lambda: torch.cat([term(one.padded(one.longest)) for one in alone]),
    }
    for how, read in readings.items():
        if how != "when read a second time":
            term.forget()
        again = read()
        for row, one, other in zip(batch.rows(), value.tolist(), again.tolist(), strict=True):
            near = one == other or abs(one - other) <= ABSOLUTE + RELATIVE * abs(one)
            require(near, f"the energy of {row} is {one:.6g}, and {other:.6g} {how}")


def _check_stated(part: Term, batch: TokenBatch) -> None:
    if part.lowest is not None:
        _check_floor(f"{part.name}: lowest", part(batch), part.lowest, batch)


def _check_floor(name: str, value: Tensor, lowest: float, batch: TokenBatch) -> None:
    at = int(value.argmin())
    require(
        float(value[at]) >= lowest - ABSOLUTE,
        f"{name} is stated to be {lowest} or more, and is {float(value[at]):.6g} for "
        f"{batch.rows()[at]}",
    )


def _check_hard(part: Term, batch: TokenBatch) -> None:
    value = part(batch)
    for row, number in zip(batch.rows(), value.tolist(), strict=True):
        require(
            number in (0.0, float("inf")),
            f"{part.name} is a hard constraint, 0 or +inf, and is {number} for {row}",
        )
    first = part.initial(3)
    require(bool((part(first) == 0).all()), f"{part.name} forbids its own initial texts")
    for rows in (batch, first):
        marks = part.locked(rows)
        fine = marks.shape == rows.ids.shape and marks.dtype == torch.int64
        require(fine, f"{part.name}: locked must be int64 {list(rows.ids.shape)}")
        others = TokenBatch(rows.ids, rows.length, torch.full_like(rows.ids, 7))
        same = torch.equal(part.locked(others), marks) and not bool(marks[~rows.inside].any())
        require(same, f"{part.name}: locked must follow from the token ids alone")
    borne = all(part.marks <= set(row) for row in part.locked(first).tolist())
    require(borne, f"{part.name}: an initial text does not hold every mark of {set(part.marks)}")
    if part.regular and part.automaton is not None:
        for row, number in zip(batch.rows(), value.tolist(), strict=True):
            state = part.automaton.start(1)
            for token in (*row, part.automaton.end):
                state = part.automaton.advance(state, np.array([token]))
            says = "accepts" if state[0] >= 0 else "refuses"
            agree = (state[0] >= 0) == (number == 0)
            require(agree, f"{part.name}: the energy of {row} is {number}, its automaton {says} it")
