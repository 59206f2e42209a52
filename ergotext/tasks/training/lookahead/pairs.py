"""Training examples of the look-ahead network: questions, candidate keys, the right key."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.keys import keys_through
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.features import SUBJECT, Asked, Key
from ergotext.tasks.retrieval.lookahead.learned import grouped
from ergotext.tasks.training.lookahead.synonyms import Synonyms
from ergotext.tasks.training.sources import SUBJECT as SLOT
from ergotext.tasks.training.sources import Template

MOST_KEYS = 14
"""Keys of the right subject that are set beside one another at most; of others, fewer."""
LOOKALIKES = 12
MOST = 1_000_000
"""Keys of a base that are looked through for its predicates."""


@dataclass(frozen=True)
class Lesson:
    """A question with the subjects it may be about, and which of all their keys is right."""

    asked: list[Asked]
    right: int


class Predicates:
    """Predicates as often as they are asked for, with what they may be mistaken for.

    Parameters
    ----------
    answers : iterable of Triple
        Half of the rivals are drawn as often as their predicates stand here.
    base : dict of str to list of str
        The predicates of the knowledge base, with objects of each.
    """

    def __init__(self, answers: Iterable[Triple], base: dict[str, list[str]]) -> None:
        self.objects = base
        self.asked = [answer.predicate for answer in answers]
        self.names = list(base)
        self.alike = lookalikes(self.names)

    def rivals(self, predicate: str, rng: random.Random) -> list[str]:
        """Other predicates, some of them alike, as a base has them beside one another."""
        alike = self.alike.get(predicate, [])
        pool = rng.choice((self.asked, self.names))
        drawn = [rng.choice(pool) for _ in range(rng.randint(2, 8))]
        drawn += rng.sample(alike, min(len(alike), rng.randint(0, 4)))
        found = [one for one in dict.fromkeys(drawn) if one != predicate]
        rng.shuffle(found)
        return found

    def object(self, predicate: str, rng: random.Random) -> str:
        """An object of this predicate; nothing where none is known."""
        objects = self.objects.get(predicate)
        return rng.choice(objects) if objects else ""


def predicates_of(trie: TokenTrie, seed: int = 0) -> dict[str, list[str]]:
    """The predicates of a base with objects of each; of a large base, those of a part drawn."""
    assert trie.tokenizer is not None
    written = Written.by(trie.tokenizer)
    _, _, states = trie.candidates(trie.start(1))
    states = np.random.default_rng(seed).permutation(states)
    low, high = trie.span(states)
    ordinals, ids, offsets = keys_through(
        trie, states[: 1 + np.searchsorted((high - low).cumsum(), MOST)]
    )
    found: dict[str, list[str]] = defaultdict(list)
    for ordinal, text in zip(ordinals.tolist(), written.texts(ids, offsets), strict=True):
        _, tab, rest = text.partition("\t")
        if tab:
            found[rest.partition("\t")[0]] += trie.values_at(ordinal)
    return dict(found)


def lookalikes(predicates: Sequence[str]) -> dict[str, list[str]]:
    """For each predicate those others that share most characters with it, best first."""
    holding: dict[str, list[str]] = defaultdict(list)
    for predicate in predicates:
        for character in dict.fromkeys(predicate):
            holding[character].append(predicate)
    found = {}
    for predicate in predicates:
        own = set(predicate)
        near = dict.fromkeys(other for c in predicate for other in holding[c])
        ranked = sorted(
            (other for other in near if other not in predicate and predicate not in other),
            key=lambda other: (-len(own & set(other)) / (len(own) + len(set(other))), other),
        )
        found[predicate] = ranked[:LOOKALIKES]
    return found


class Examples:
    """An endless, seeded stream of examples.

    Of each kind there is a share: questions as they are, with their own rivals in the base or
    freshly drawn ones; questions in which a predicate that stands in them is another one, maybe
    in other words; and templates. Now and then values or the subject's name are left out, so that
    none is relied on.

    Parameters
    ----------
    questions : sequence of Question
        Those without an answer, or whose answer the base does not hold, are left out.
    spotter : Spotter
        Of the base.
    templates : sequence of Template
    synonyms : Synonyms
        By which predicates are reworded that are put into questions.
    seed : int

    Raises
    ------
    InputError
        No question is left.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        spotter: Spotter,
        templates: Sequence[Template],
        synonyms: Synonyms,
        seed: int = 0,
    ) -> None:
        self.rng = random.Random(seed)
        self.synonyms = synonyms
        keys, _ = spotter.find([question.text for question in questions])
        found = [
            (question.answer, [asked for _, asked in grouped(question.text, own)])
            for question, own in zip(questions, keys, strict=True)
            if question.answer is not None
        ]
        self.known = [(a, groups) for a, groups in found if right_key(groups, a) is not None]
        if not self.known:
            raise InputError("no question has an answer in the index: use another index")
        base = predicates_of(spotter.trie, seed)
        self.predicates = Predicates((answer for answer, _ in self.known), base)
        self.templates: dict[str, list[str]] = defaultdict(list)
        self.asked_by: dict[str, set[str]] = defaultdict(set)
        for one in templates:
            self.templates[one.predicate].append(one.text)
            self.asked_by[one.text].add(one.predicate)
        self.names = list(self.templates)
        self.pools = {
            plain: [
                [name for name in pool if name.isascii() == plain] or self.names
                for pool in (self.names, self.predicates.asked)
            ]
            for plain in (True, False)
        }
        scripts: dict[bool, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for one in templates:
            plain = one.text.replace(SLOT, "").isascii()
            scripts[plain][one.predicate].append(one.text)
        self.scripts = [(list(ways), ways) for ways in scripts.values()]
        self.alike = lookalikes(list(dict.fromkeys([*self.names, *self.predicates.names])))

    def draw(
        self, template: float = 0.3, swap: float = 0.5, fresh: float = 0.7, reword: float = 0.5
    ) -> Lesson:
        """One more example.

        Shares are of templates, of swaps where one can be, of fresh rivals otherwise, and of
        rewording in swaps.
        """
        rng = self.rng
        if self.names and rng.random() < template:
            return self._of_template()
        answer, groups = rng.choice(self.known)
        mention, meaning = parts(answer.subject)
        new = rng.random() < fresh
        right = next(
            Key(answer.predicate, key.value, meaning)
            for group in groups
            for key in group.keys
            if (group.name, key.meaning, key.predicate) == (mention, meaning, answer.predicate)
        )
        rest = next(group.rest for group in groups if group.name == mention)
        said = ""
        if answer.predicate in rest and rng.random() < swap:
            other = said = rng.choice(self.predicates.names)
            if rng.random() < reword:
                said = self.synonyms.reworded(other, rng)
            right, new = Key(other, self.predicates.object(other, rng), meaning), True
            groups = [_renamed(group, answer.predicate, other, said) for group in groups]
        asked: list[Asked] = []
        place = 0
        for group in groups:
            own = group.name == mention
            mine = [key for key in group.keys if own and key.meaning == meaning]
            others = [key for key in group.keys if not own or key.meaning != meaning]
            rng.shuffle(others)
            chosen = others[: MOST_KEYS // 2 - 1]
            if mine:
                place = sum(len(one.keys) for one in asked)
                rivals = self._rivals(right, mine, new)
                # What the question says word for word would be as right.
                rivals = [key for key in rivals if key.predicate != said]
                chosen = [right, *rivals[: MOST_KEYS - 1], *chosen]
            asked.append(Asked(group.rest, group.name, chosen))
        return Lesson(self._veiled(asked), place)

    def _rivals(self, right: Key, mine: list[Key], fresh: bool) -> list[Key]:
        """Other keys of the right one's subject: those that it has, or others, in any order."""
        if fresh:
            drawn = self.predicates.rivals(right.predicate, self.rng)
            return [Key(p, self.predicates.object(p, self.rng), right.meaning) for p in drawn]
        rivals = [key for key in mine if key.predicate != right.predicate]
        self.rng.shuffle(rivals)
        return rivals

    def _of_template(self) -> Lesson:
        rng = self.rng
        # Either script as often, however many templates it has.
        names, ways = rng.choice(self.scripts)
        predicate = rng.choice(names)
        way = rng.choice(ways[predicate])
        same = self.asked_by[way] | {predicate}
        near = self.alike.get(predicate, [])
        drawn = rng.sample(near, min(len(near), rng.randint(0, 4)))
        # Among predicates in another script, the script alone identifies it.
        for pool in self.pools[predicate.isascii()]:
            drawn += [rng.choice(pool) for _ in range(rng.randint(1, 4))]
        rivals = [p for p in dict.fromkeys(drawn) if p not in same]
        # Rivals that are asked for in the same words cannot be distinguished from it.
        rivals = [p for p in rivals if way not in self.templates.get(p, ())]
        rng.shuffle(rivals)
        answer, _ = rng.choice(self.known)
        name = parts(answer.subject)[0] if rng.random() < 0.3 else ""
        told = [predicate, *rivals[: MOST_KEYS - 1]]
        # Objects tell much, unless it is by being there for some and not for others.
        known = predicate in self.predicates.objects
        told = [p for p in told if p in self.predicates.objects or not known]
        keys = [Key(p, self.predicates.object(p, rng) if known else "", "") for p in told]
        return Lesson([Asked(way.replace(SLOT, SUBJECT), name, keys)], 0)

    def _veiled(self, asked: list[Asked], share: float = 0.1) -> list[Asked]:
        if self.rng.random() < share:
            asked = [one._replace(keys=[k._replace(value="") for k in one.keys]) for one in asked]
        if self.rng.random() < share:
            asked = [one._replace(name="") for one in asked]
        return asked


def _renamed(group: Asked, old: str, new: str, said: str) -> Asked:
    """Another predicate among the keys, and what is said of it in the question."""
    keys = [key._replace(predicate=new) if key.predicate == old else key for key in group.keys]
    return Asked(group.rest.replace(old, said), group.name, keys)


def parts(subject: str) -> tuple[str, str]:
    """Mention and meaning of a subject: 苹果（公司） is 苹果 and 公司."""
    mention, bracket, meaning = subject.partition("（")
    if mention and bracket and meaning.endswith("）"):
        return mention, meaning[:-1]
    return subject, ""


def right_key(groups: Sequence[Asked], answer: Triple) -> int | None:
    """The number of the answer's key among all; None where it is not there."""
    mention, meaning = parts(answer.subject)
    keys = [(one.name, key.meaning, key.predicate) for one in groups for key in one.keys]
    wanted = (mention, meaning, answer.predicate)
    return keys.index(wanted) if wanted in keys else None
