"""Hard constraint by a template: a text with blanks to fill."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.template import TemplateAutomaton, spelled_texts
from ergotext.lm.automata.template_chain import Blank
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import is_text, pieces_of
from ergotext.lm.energies.template_parts import Parts
from ergotext.lm.energies.term import Term
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.reprs import called, quoted

LISTED = 256
"""How many of the likeliest next tokens are examined for a first filling."""


class TemplateTerm(Term):
    """0 where a text is the template with its blanks filled, +inf elsewhere.

    The text is compared as a string, so that nothing runs into a given word. Weighted samplers
    write under its automaton. Chains lock what is given, in the tokens that the tokenizer makes of
    it there; the first place where the tokens of a given part stand, after what must stand before,
    is theirs.

    Parameters
    ----------
    template : str
        ``___`` is a blank of any length, ``___{2}`` one of two words, ``___{1,3}`` of one to three;
        in scripts without spaces, of characters.
    """

    name = "template"
    hard = True
    regular = True
    locking = True
    lowest = 0.0

    def __init__(self, template: str, scorer: TextScorer | None = None) -> None:
        self.template = template
        self.parts = Parts.of(template)
        self._scorer = scorer

    def shown(self) -> str:
        return called(self.name, quoted(self.template, 60))

    @property
    def scorer(self) -> TextScorer | None:
        return self._scorer

    def bind(self, scorer: TextScorer) -> TemplateTerm:
        return self if self._scorer is scorer else TemplateTerm(self.template, scorer)

    @cached_property
    def spelled(self) -> list[list[int]]:
        """The tokens of each given text; none of an empty one."""
        return spelled_texts(self.parts.given, self._known().vocabulary)

    @cached_property
    def automaton(self) -> TemplateAutomaton:
        return TemplateAutomaton(self.parts.given, self.parts.blanks, pieces_of(self._known()))

    def __call__(self, batch: TokenBatch) -> Tensor:
        texts = self._known().decode(batch)
        met = torch.tensor([self.parts.filled(text) for text in texts], dtype=torch.bool)
        met[met.clone()] = is_text(self._known(), batch.select(met))
        return torch.where(met, 0.0, torch.inf).double()

    @property
    def marks(self) -> frozenset[int]:
        return frozenset(n for n, tokens in enumerate(self.spelled, 1) if tokens)

    def locked(self, batch: TokenBatch) -> Tensor:
        marks = [self._marks(row) for row in batch.rows()]
        return TokenBatch.of(marks).padded(batch.width).ids if marks else batch.ids.clone()

    def _marks(self, row: tuple[int, ...]) -> list[int]:
        marks = [0] * len(row)
        for number, (place, tokens) in enumerate(
            zip(self._places(row) or [], self.spelled, strict=False), 1
        ):
            marks[place : place + len(tokens)] = [number] * len(tokens)
        return marks

    def _places(self, row: tuple[int, ...]) -> list[int] | None:
        """Where each given text begins; None if one of them is not where it must be."""
        first, *middle, last = self.spelled
        if row[: len(first)] != tuple(first):
            return None
        places, at = [0], len(first)
        for tokens in middle:
            at += 1  # a blank is never empty
            while row[at : at + len(tokens)] != tuple(tokens):
                at += 1
                if at + len(tokens) > len(row):
                    return None
            places.append(at)
            at += len(tokens)
        end = len(row) - len(last)
        return [*places, end] if end > at and row[end:] == tuple(last) else None

    def initial(self, count: int) -> TokenBatch:
        """The template filled with likely next words, others in every row.

        Raises
        ------
        InputError
            The tokenizer cannot write the given text, or no filling was found.
        """
        rows: list[list[int]] = [[] for _ in range(count)]
        for tokens, blank in zip(self.spelled, (*self.parts.blanks, None), strict=True):
            rows = [row + tokens for row in rows]
            if blank is not None:
                rows = self._filled(rows, blank)
        batch = TokenBatch.of(rows)
        batch = TokenBatch(batch.ids, batch.length, self.locked(batch))
        met = torch.isfinite(self(batch))
        if not bool(met.any()):
            raise InputError(
                f"this model's tokenizer can write no filling of {self.template!r}: reword it"
            )
        return batch.select(met.nonzero()[torch.arange(count) % int(met.sum()), 0])

    def _filled(self, rows: list[list[int]], blank: Blank) -> list[list[int]]:
        """The rows with the least in the blank: one token a word, the k-th likeliest in row k."""
        if not blank.spaced and blank.least > 1:
            # One token of all its characters in every second row: edits keep their number, and do
            # not come from one token to two.
            begun = self._with_word(rows, "", blank.least)
            single = self._filled(rows, Blank(1, 1, spaced=False))
            for _ in range(blank.least - 1):
                longer = self._filled(single, Blank(1, 1, spaced=False))
                if longer == single:
                    break
                single = longer
            pairs = zip(begun, single, strict=True)
            return [a if a and n % 2 == 0 else b for n, (a, b) in enumerate(pairs)]
        for word in range(blank.least):
            glued = not blank.spaced or (blank.glued and not word)
            found = self._with_word(rows, "" if glued else " ", None if blank.spaced else 1)
            if not any(found):
                break  # no further word will be found either
            rows = [longer or row for longer, row in zip(found, rows, strict=True)]
        return rows

    def _with_word(
        self, rows: Sequence[Sequence[int]], before: str, size: int | None
    ) -> list[list[int]]:
        """Each row with a likely token of letters after ``before``; empty if none is listed.

        With a size, of so many letters.
        """
        scorer = self._known()
        batch = TokenBatch.of(rows)
        next_ = scorer.next_log_prob(batch, batch.length).masked_fill(~scorer.allowed, -torch.inf)
        longer: list[list[int]] = []
        listed = next_.topk(min(LISTED, next_.shape[1]), dim=-1).indices.tolist()
        for number, (row, tokens) in enumerate(zip(rows, listed, strict=True)):
            texts = [scorer.vocabulary.text([token]) for token in tokens]
            words = [
                token
                for token, text in zip(tokens, texts, strict=True)
                if text.startswith(before)
                and text[len(before) :].isalpha()
                and size in (None, len(text))
            ]
            longer.append([*row, words[number % len(words)]] if words else [])
        return longer

    def _known(self) -> TextScorer:
        if self._scorer is None:
            raise InputError("this template has no tokenizer yet: add it to fluency(lm)")
        return self._scorer


def template(text: str) -> TemplateTerm:
    """A hard constraint: the text is this one, with its blanks filled.

    Parameters
    ----------
    text : str
        ``The ___ sat on the ___{1,3}.``: ``___`` is a blank of one or more words, ``___{2}`` of
        two, ``___{1,3}`` of one to three; of characters, in scripts without spaces. A space
        before closing punctuation is dropped.

    Raises
    ------
    InputError
        There is no blank, one with an invalid length, or two adjacent ones.
    """
    return TemplateTerm(text)
