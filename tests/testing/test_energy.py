"""``check_energy`` passes sound energies, and says what is wrong with others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ergotext import testing
from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.keywords import Keywords
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum, Term
from ergotext.lm.energies.terms import Length
from ergotext.testing.tables import FEW
from ergotext.testing.toy import ToyFluency, ToyScorer, flat_energy, toy_energy

ROWS = [(1, 3), (2,), (), (2, 2, 4), (1,), (3, 3)]
FLUENCY = ToyFluency(ToyScorer())


def twos(batch: TokenBatch) -> Tensor:
    return (batch.ids == 2).sum(1).double()


@pytest.mark.parametrize(
    "energy",
    [
        FLUENCY,
        Length(2, 1.0),
        toy_energy(["a"]),
        flat_energy(),
        Sum([(1.0, FLUENCY), (1.0, matches(FEW))]),
        FLUENCY + twos,
        twos,
    ],
)
def test_sound_energies_pass(energy: Term) -> None:
    testing.check_energy(energy, ROWS)


def test_texts_are_encoded_by_the_model_of_the_energy() -> None:
    testing.check_energy(toy_energy(["b"]), [" a b", " c", ""])
    with pytest.raises(InputError, match="no language model to encode"):
        testing.check_energy(Length(2, 1.0), [" a b", " c"])
    with pytest.raises(InputError, match="two texts or more"):
        testing.check_energy(Length(2, 1.0), [(1,)])


class Faulty(Term):
    """Twos, which are zero or more, and one thing wrong."""

    lowest: float | None = 0.0

    def __init__(self, fault: str) -> None:
        self.fault, self.calls = fault, 0
        self.lowest = 1.0 if fault == "lowest" else 0.0

    def __call__(self, batch: TokenBatch) -> Tensor:
        value, self.calls = twos(batch), self.calls + 1
        match self.fault:
            case "batch mates":
                return value - value.mean() + 9
            case "padding":
                return value + batch.width
            case "chance":
                return value + self.calls
            case "order":
                return value + torch.arange(len(batch))
            case "NaN":
                return value.log() * 0
            case "minus infinity":
                return value.log()
            case "float32":
                return value.float()
            case "one number":
                return value.sum()
            case "list":
                return value.tolist()
            case "marks":
                return value + batch.locked.sum(1)
            case "input":
                batch.ids[batch.ids == 4] = 1
        return value

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        return {"twos": self(batch) * (2 if self.fault == "terms" else 1)}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("batch mates", "read alone"),
        ("padding", "with more padding"),
        ("chance", "when read a second time"),
        ("order", "in another order"),
        ("NaN", "is nan: give a finite number"),
        ("minus infinity", "is -inf: give a finite number"),
        ("float32", r"float64 \[6\].*returned float32 \[6\]"),
        ("one number", r"one number a text, and returned float64 \[\]"),
        ("list", "must return a tensor"),
        ("marks", "with other lock marks"),
        ("input", "changed the texts that it was given"),
        ("lowest", r"stated to be 1.0 or more, and is 0 for \(1, 3\)"),
        ("terms", "its terms add up to"),
    ],
)
def test_a_fault_is_told(fault: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        testing.check_energy(Faulty(fault), ROWS)


def test_memory_that_changes_numbers_is_told() -> None:
    class Remembers(Faulty):
        def forget(self) -> None:
            self.shift = 1.0

        shift = 0.0

        def __call__(self, batch: TokenBatch) -> Tensor:
            return twos(batch) + self.shift

    with pytest.raises(AssertionError, match="after forget"):
        testing.check_energy(Remembers(""), ROWS)


class Held(Keywords):
    """One keyword, and one thing wrong."""

    fault = ""

    def __call__(self, batch: TokenBatch) -> Tensor:
        value = super().__call__(batch)
        return torch.where(value == 0, 0.5, value) if self.fault == "soft" else value

    def locked(self, batch: TokenBatch) -> Tensor:
        marks = super().locked(batch)
        match self.fault:
            case "carried":
                return marks + (marks == 0) * batch.locked
            case "type":
                return marks.bool()
        return marks

    def initial(self, count: int) -> TokenBatch:
        empty = TokenBatch.of([()] * count)
        return empty if self.fault == "start" else super().initial(count)

    def bind(self, scorer: ToyScorer) -> Held:
        bound = super().bind(scorer)
        made = type(self).__new__(type(self))
        made.__dict__.update(bound.__dict__)
        return made


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("soft", "is a hard constraint, 0 or .inf, and is 0.5"),
        ("carried", "locked must follow from the token ids alone"),
        ("start", "forbids its own initial texts"),
        ("type", "locked must be int64"),
    ],
)
def test_a_hard_constraint_keeps_its_word(fault: str, sentence: str) -> None:
    kind = type("One", (Held,), {"fault": fault})
    with pytest.raises(AssertionError, match=sentence):
        testing.check_energy(FLUENCY + kind(["a"], False), ROWS)


def test_an_automaton_of_another_language_is_told() -> None:
    term = matches(FEW).bind(FLUENCY.scorer)

    class Other(type(term)):
        def __call__(self, batch: TokenBatch) -> Tensor:
            return torch.where(batch.length == 1, 0.0, super().__call__(batch))

    term.__class__ = Other
    with pytest.raises(AssertionError, match=r"energy of \(1,\) is 0.0, its automaton refuses it"):
        testing.check_energy(term, ROWS)
