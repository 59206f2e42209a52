"""Answers of a retriever, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ergotext.tasks.candidates import Mention


@dataclass(frozen=True)
class Hit:
    """An entry of the index, as the answer to a question.

    Parameters
    ----------
    text : str
        The fields with tabs between them.
    fields : dict of str to str
        ``subject`` (with its suffix in full-width brackets) and ``predicate``, or ``key``.
    values : list of str
        What belongs to the key; empty where the index holds none.
    score : float
        ``log_prob`` and what the look-ahead adds: the order of the hits. In nats.
    log_prob : float
        log p(key, end | question) in nats, normalised over the vocabulary at every step.
    probability, probability_stderr : float
        p(key, end | question)^(1/T), normalised over all keys of the index, and its standard
        error: 0 where it is exact. NaN where nothing was sampled to tell.
    """

    text: str
    fields: dict[str, str]
    values: list[str]
    score: float
    log_prob: float
    probability: float
    probability_stderr: float


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
    """

    def __init__(
        self,
        hits: Sequence[Hit] = (),
        exact: bool = False,
        mentions: tuple[Mention, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(hits)
        self.exact = exact
        self.mentions = mentions
        self.notes = notes
