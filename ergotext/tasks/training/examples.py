"""Stream of training examples: real questions, and synthetic ones from the knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from ergotext.errors import InputError
from ergotext.support.records import NotNegative, record
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.training.sources import SUBJECT, Base, KnownQuestion, Name, Template

PREDICATE = "{predicate}"
FORMS = (
    "{subject}的{predicate}是什么？",
    "{subject}的{predicate}",
    "{subject}{predicate}",
    "你知道{subject}的{predicate}吗？",
    "请问{subject}的{predicate}是什么？",
    "我想知道{subject}的{predicate}",
    "{subject}的{predicate}是多少？",
    "{subject}有哪些{predicate}？",
    "{subject}的{predicate}是谁？",
    "{subject}的{predicate}是哪里？",
    "谁知道{subject}的{predicate}啊",
    "{predicate}是什么，{subject}的",
    "{subject}是什么{predicate}？",
    "{subject}是哪个{predicate}的？",
    "What is the {predicate} of {subject}?",
    "{subject}: {predicate}",
)
"""Plain questions about any subject and predicate."""
FRAYED = 0.3
"""Share of plain questions that leave out characters of the predicate, as people do."""
_T = TypeVar("_T")


class Example(NamedTuple):
    """A question, and the text of the key that answers it."""

    question: str
    key: str
    answer: Triple | None = None
    """the entry that answers it, where it is one of the training data"""


@record
class Shares:
    """Shares of each kind of example in the stream; the sum need not be 1.

    Parameters
    ----------
    real : float
        Training questions as they are.
    renamed : float
        With the subject's mention swapped for another name of the base.
    swapped : float
        With the predicate swapped for another one of the base as well, where it stands verbatim.
    template : float
        Templates filled with names of the base.
    plain : float
        ``FORMS`` filled with names and predicates of the base.
    """

    real: NotNegative = 0.2
    renamed: NotNegative = 0.15
    swapped: NotNegative = 0.25
    template: NotNegative = 0.2
    plain: NotNegative = 0.2

    def __post_init__(self) -> None:
        values = [getattr(self, field.name) for field in fields(self)]
        if sum(values) <= 0:
            raise InputError(f"the shares must not all be 0, got {values}")


class Stream:
    """Examples by number: block i does not depend on the order of access.

    Kinds that cannot be made (no templates, no question that holds its predicate) are left out.

    Parameters
    ----------
    asked : sequence of KnownQuestion
    base : Base
    templates : sequence of Template
    shares : Shares
    seed : int

    Raises
    ------
    InputError
        Nothing can be made.
    """

    def __init__(
        self,
        asked: Sequence[KnownQuestion],
        base: Base,
        templates: Sequence[Template],
        shares: Shares,
        seed: int,
    ) -> None:
        self.asked, self.base, self.templates, self.seed = asked, base, templates, seed
        self._named = [one for one in asked if one.subject_at >= 0]
        self._verbatim = [one for one in asked if one.predicate_at >= 0]
        kinds: list[tuple[float, Sequence[object], Callable[[np.random.Generator], Example]]] = [
            (shares.real, self.asked, self._real),
            (shares.renamed, self._named, self._renamed),
            (shares.swapped, self._verbatim, self._swapped),
            (shares.template, self._by_predicate, self._templated),
            (shares.plain, base.names, self._plain),
        ]
        kept = [(share, make) for share, source, make in kinds if share > 0 and len(source)]
        if not kept:
            raise InputError("no training examples: every source with a non-zero share is empty")
        self._make = [make for _, make in kept]
        share = np.array([share for share, _ in kept])
        self._share = share / share.sum()

    def block(self, number: int, size: int) -> list[Example]:
        """``size`` examples."""
        rng = np.random.default_rng([self.seed, number])
        kinds = rng.choice(len(self._make), size=size, p=self._share)
        return [self._make[kind](rng) for kind in kinds.tolist()]

    def texts(self) -> Iterator[str]:
        """Everything that examples are made of, each once."""
        yield from (one.text for one in self.asked)
        yield from (one.text for one in self.templates)
        yield from FORMS
        yield from self.base.predicates
        yield from (part for name in self.base.names for part in (name.mention, name.meaning))

    @cached_property
    def _by_predicate(self) -> list[list[Template]]:
        """Predicates come alike often, however many templates each has."""
        found: dict[str, list[Template]] = {}
        for template in self.templates:
            found.setdefault(template.predicate, []).append(template)
        return list(found.values())

    def _real(self, rng: np.random.Generator) -> Example:
        one = _one(rng, self.asked)
        return Example(one.text, one.name.key(one.predicate), one.answer)

    def _renamed(self, rng: np.random.Generator) -> Example:
        one, name = _one(rng, self._named), self._name(rng)
        return Example(one.renamed(name), name.key(one.predicate))

    def _swapped(self, rng: np.random.Generator) -> Example:
        one, name = _one(rng, self._verbatim), self._name(rng)
        predicate = _one(rng, self.base.predicates)
        return Example(one.renamed(name, predicate), name.key(predicate))

    def _templated(self, rng: np.random.Generator) -> Example:
        template = _one(rng, _one(rng, self._by_predicate))
        name = self._name_for(rng, template.text)
        return Example(template.asked(name), name.key(template.predicate))

    def _plain(self, rng: np.random.Generator) -> Example:
        form, predicate = _one(rng, FORMS), _one(rng, self.base.predicates)
        name = self._name_for(rng, form)
        said = _frayed(rng, predicate) if rng.random() < FRAYED else predicate
        before, behind = form.split(SUBJECT)
        around = [part.replace(PREDICATE, said) for part in (before, behind)]
        return Example(name.mention.join(around), name.key(predicate))

    def _name(self, rng: np.random.Generator) -> Name:
        """A name without its meaning: nothing in a made-up question tells which one is meant."""
        return Name(_one(rng, self.base.names).mention)

    def _name_for(self, rng: np.random.Generator, text: str) -> Name:
        """Questions in ASCII letters ask for such names, where there are any."""
        return Name(_one(rng, self._ascii_names).mention) if text.isascii() else self._name(rng)

    @cached_property
    def _ascii_names(self) -> Sequence[Name]:
        return [name for name in self.base.names if name.mention.isascii()] or self.base.names


def _one(rng: np.random.Generator, items: Sequence[_T]) -> _T:
    return items[int(rng.integers(len(items)))]


def _frayed(rng: np.random.Generator, text: str) -> str:
    """The text without some of its characters, at least half of them kept."""
    kept = int(rng.integers((len(text) + 1) // 2, len(text) + 1))
    places = np.sort(rng.choice(len(text), size=kept, replace=False))
    return "".join(text[place] for place in places.tolist())
