"""Results of a retriever: hits, and the answers to one question together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ergotext.lm.trie.spotted import Naming
from ergotext.support.extras import frame
from ergotext.support.reprs import ROWS, Listing, safe
from ergotext.support.words import counted, seen
from ergotext.tasks.retrieval.candidates import Mention
from ergotext.tasks.retrieval.coverage import AnswerSet

WORTH_SAYING = 0.05
"""Probability of "none of these" from which on a line is printed for it."""
Subject = Literal["as written", "in other letters", "nearly", "by a value", "none"]
HOW: dict[Naming, Subject] = {
    Naming.EXACT: "as written",
    Naming.OTHER: "in other letters",
    Naming.NEAR: "nearly",
    Naming.VALUE: "by a value",
}


@dataclass(frozen=True)
class Hit:
    """An entry of the index, as the answer to a question.

    Parameters
    ----------
    text : str
        The fields with tabs between them.
    fields : dict of str to str
        ``subject`` (with its suffix in brackets) and ``predicate``, or ``key``; or the columns
        that the schema of the index names.
    values : list of str
        What belongs to the key; empty where the index holds none.
    score : float
        ``log_prob`` and what the look-ahead adds: the order of the hits. In nats. With
        ``decode="mlm"`` the mean of ``log_prob`` over the tokens of the key.
    log_prob : float
        log p(key, end | question) in nats, normalised over the vocabulary at every step. With
        ``decode="mlm"`` Σ log p(token | question, all other tokens of the key): the log of a
        product of conditionals, a pseudo-likelihood, and no probability of the key.
    probability_low, probability_high : float
        Bounds of the probability. With a look-ahead it is exact: exp(score / T), normalised over
        all candidates and "none of these". Without one, or if the model's own probability is
        asked for: p(key, end | question)^(1/T), normalised over all keys of the index. NaN where
        nothing was done to find out.
    probability : float
        The middle of the bounds, if they are 0.1 apart at most; else NaN, as it is not known.
    mention : Mention, optional
        Which part of the question was taken for its subject, or for one of its values.
    then : Hit, optional
        The second entry of an answer of two steps: about the one object in ``values``. The
        probability is that of both together; ``score`` and ``log_prob`` are NaN.
    tokens : tuple of int
        Of the key, the end token left out; none of an answer of two steps.
    """

    text: str
    fields: dict[str, str]
    values: list[str]
    score: float
    log_prob: float
    probability: float
    probability_low: float
    probability_high: float
    mention: Mention | None = None
    then: Hit | None = None
    tokens: tuple[int, ...] = field(default=(), repr=False, compare=False)

    def line(self) -> str:
        """Probability, fields and values; control characters are shown as spaces."""
        known = between(self.probability_low, self.probability_high)
        told = [seen(self.text), " | ".join(map(seen, self.values))]
        if self.then is not None:  # whose subject is the object of the first
            told += [*map(seen, [*self.then.fields.values()][1:])]
            told.append(" | ".join(map(seen, self.then.values)))
        fields = "\t".join(filter(None, told))
        return f"  {known or f'log p {self.log_prob:.1f}'}  {fields}"

    def record(self) -> dict[str, object]:
        """The fields of a JSON object; a number that is not known is null."""
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "tokens"}
        told["mention"] = None if self.mention is None else self.mention.text
        told["then"] = None if self.then is None else self.then.record()
        return {
            name: None if isinstance(one, float) and not math.isfinite(one) else one
            for name, one in told.items()
        }


def between(low: float, high: float) -> str:
    """A number between two bounds to three places, the bounds rounded outward; empty for NaN."""
    if math.isnan(low):
        return ""
    if high - low <= 0.001:
        return f"{(low + high) / 2:.3f}"
    return f"{math.floor(low * 1000) / 1000:.3f}–{math.ceil(high * 1000) / 1000:.3f}"


class Hits(list[Hit]):
    """The answers to one question, best first, and how they were found.

    Parameters
    ----------
    hits : iterable of Hit
    exact : bool
        Whether these are proven to be the best of what was searched.
    mentions : tuple of Mention
        The subjects in the question that answers were restricted to; empty if to none.
    notes : tuple of str
        What the asker should know: why there is no answer, or that no subject was found.
    restricted : bool
        Whether subjects were looked for in the question.
    none : float
        The probability that the index does not hold the answer, or that the question names its
        subject in a way that was not found. NaN if it is not known: without a look-ahead that is
        calibrated for it.
    answer_set : AnswerSet, optional
        What is promised of all hits together, and whether "none of these" is one of them.
    """

    def __init__(
        self,
        hits: Sequence[Hit] = (),
        exact: bool = False,
        mentions: tuple[Mention, ...] = (),
        notes: tuple[str, ...] = (),
        restricted: bool = False,
        none: float = math.nan,
        answer_set: AnswerSet | None = None,
    ) -> None:
        super().__init__(hits)
        self.exact = exact
        self.mentions = mentions
        self.notes = notes
        self.restricted = restricted
        self.none = none
        self.answer_set = answer_set

    @safe
    def __repr__(self) -> str:
        return self._table().text()

    @safe
    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Listing:
        rows = [hit.line().strip().replace("\t", " · ").split("  ", 1) for hit in self[:ROWS]]
        none = "" if math.isnan(self.none) else f"; none of these: {self.none:.3f}"
        head = f"Hits: {counted(len(self), 'answer')}{none}"
        return Listing(head, ["probability", "answer"], rows, len(self) - len(rows))

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each answer, its fields as columns.

        A field whose name another column has is called ``NAME (field)``.

        Raises
        ------
        InputError
            pandas is not installed.
        """
        names = ("values", "probability", "probability_low", "probability_high", "score")
        fields = dict.fromkeys(name for hit in self for name in hit.fields)
        columns = {
            f"{name} (field)" if name in names else name: [hit.fields.get(name) for hit in self]
            for name in fields
        }
        numbers = {name: [getattr(hit, name) for hit in self] for name in names}
        return frame(columns | numbers)

    @property
    def subject(self) -> Subject | None:
        """How the question names its subject; None if subjects were not searched for.

        Of the first hit, if there is one. "as written" where the subject stands in the question
        letter by letter, "in other letters" where it differs in case, width, accents, quotes,
        dashes or spaces, "nearly" where it is misspelt or shortened, "by a value" where not the
        subject but an object stands there, "none" where there is nothing of the kind.
        """
        if not self.restricted:
            return None
        if not self.mentions:
            return "none"
        first = self[0].mention if self else None
        return HOW[min(one.kind for one in self.mentions) if first is None else first.kind]

    def shown(self, question: str) -> str:
        """The question, a line for each answer, and the notes."""
        notes = [f"  ({note})" for note in self.notes]
        if not self and not notes and self.answer_set is None:
            notes = ["  (no answer)"]
        said = self.answer_set.none if self.answer_set else self and self.none >= WORTH_SAYING
        share = "" if math.isnan(self.none) else f"{self.none:.3f}  "
        none = [f"  {share}(none of these)"] if said else []
        return "\n".join([seen(question), *(hit.line() for hit in self), *none, *notes])

    def json(self, question: str, ascii_only: bool = False) -> str:
        """One JSON object."""
        record = {
            "question": question,
            "results": [hit.record() for hit in self],
            "exact": self.exact,
            "subject": self.subject,
            "none": None if math.isnan(self.none) else self.none,
            "set": self.answer_set.record() if self.answer_set else None,
            "mentions": [mention.text for mention in self.mentions],
            "notes": self.notes,
        }
        return json.dumps(record, ensure_ascii=ascii_only)
