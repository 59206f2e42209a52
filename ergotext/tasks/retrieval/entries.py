"""Make hits of the keys, answer sets and paths of two steps that a search found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ergotext.lm.trie.schema import Schema
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.retrieval.answers import Answers, Mass, ScoredKey
from ergotext.tasks.retrieval.bearing import QuestionKey
from ergotext.tasks.retrieval.candidates import Candidates
from ergotext.tasks.retrieval.coverage import members
from ergotext.tasks.retrieval.notes import doubted, lettering, taken, withheld
from ergotext.tasks.retrieval.request import Plan
from ergotext.tasks.retrieval.results import Hit, Hits
from ergotext.tasks.retrieval.two_steps import EntryPath

WIDEST = 0.1
"""Maximum gap between the bounds of a probability that is given as one number."""


@dataclass(frozen=True, eq=False)
class Entries:
    """Reads keys as entries of an index.

    Parameters
    ----------
    trie : TokenTrie
        With a tokenizer.
    schema : Schema
        Of its keys.
    """

    trie: TokenTrie
    schema: Schema

    def hits(
        self,
        found: Answers,
        plan: Plan,
        keys: Candidates | None,
        paths: tuple[Sequence[tuple[EntryPath, float]], float] | None,
    ) -> Hits:
        """The answers to a question.

        Parameters
        ----------
        found : Answers
        plan : Plan
        keys : Candidates, optional
            What the question may have been answered with; None for all keys.
        paths : list of (EntryPath, float), and float, optional
            Paths of two steps with their probabilities, and what is left for "none of these".
        """
        mentions = () if keys is None else keys.mentions
        together = plan.calibration is not None and keys is not None
        best, inside, none = found.best, False, found.none
        if plan.least is not None:
            best, inside = _members(found, plan)
        hits = [self._hit(one, found.mass, plan.temperature, together, keys) for one in best]
        if paths is not None:
            likely, none = paths
            hits += [self._path_hit(*one) for one in likely]
            hits = sorted(hits, key=lambda hit: -hit.probability)[: plan.k]
        notes = taken(hits[:1]) + lettering(mentions) + found.notes
        if (why := withheld(hits, none, plan.threshold)) is not None:
            notes += (why,)
            hits = []
        elif plan.coverage is None:
            notes += doubted(hits, none)
        sure = plan.answer_set(inside)
        return Hits(hits, found.exact, mentions, notes, plan.spans, none, sure)

    def _hit(
        self,
        answer: ScoredKey,
        mass: Mass | None,
        temperature: float,
        together: bool,
        keys: Candidates | None,
    ) -> Hit:
        assert self.trie.tokenizer is not None
        text = self.trie.tokenizer.decode(answer.tokens)
        fields = self.schema.fields(text)
        weight = (answer.score if together else answer.log_prob) / temperature
        low, high = (math.nan, math.nan) if mass is None else mass.share(weight)
        middle = (low + high) / 2 if high - low <= WIDEST else math.nan
        values, text = self.trie.objects(answer.tokens), "\t".join(fields.values())
        mention = None
        if keys is not None and len(keys) and keys.mentions:
            ordinal = self.trie.ordinal(answer.tokens)
            at = np.flatnonzero(keys.ordinals == ordinal)
            mention = keys.mentions[int(keys.mention[at[0]])] if len(at) else None
        return Hit(
            text, fields, values, answer.score, answer.log_prob, middle, low, high, mention,
            tokens=answer.tokens,
        )  # fmt: skip

    def _path_hit(self, path: EntryPath, share: float) -> Hit:
        first, second = (self._entry(one, share) for one in (path.first, path.second))
        return replace(first, values=[path.value], then=second)

    def _entry(self, choice: QuestionKey, share: float) -> Hit:
        """An entry of a path, whose probability is the share of all of it."""
        mention = choice.mention
        assert mention is not None
        key = f"{mention.subject}\t{choice.keys.rests[choice.key]}"
        fields, nan = self.schema.fields(key), math.nan
        values, text = choice.keys.values(choice.key), "\t".join(fields.values())
        return Hit(text, fields, values, nan, nan, share, share, share, mention)


def _members(found: Answers, plan: Plan) -> tuple[list[ScoredKey], bool]:
    """The entries of an answer set, and whether "none of these" is in it."""
    assert plan.least is not None
    if found.mass is None:  # nothing is known of their probabilities
        return found.best[:1], not found.best
    shares = [found.mass.share(one.score / plan.temperature)[0] for one in found.best]
    count, none = members(shares, found.none, plan.least)
    return found.best[:count], none
