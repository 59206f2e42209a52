"""Hard constraint by an automaton: a regular expression, a schema, a trie, or any other."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.grammars import regex
from ergotext.lm.automata.pieces import Pieces, decoded, written_by
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.energies.term import Term
from ergotext.lm.protocols import Automaton, Ending
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.reprs import brief, called, quoted

FEW_WALKS = 40
"""Walks where an ending is known to start from if they fail."""
WALKS, LIMITS = 400, (4, 8, 16, 32, 64, 200)
"""Walks of each length that ``initial`` takes through the automaton before it gives up."""


class Matches(Term):
    """0 where an automaton takes the row, +inf elsewhere."""

    name = "matches"
    hard = True
    regular = True
    lowest = 0.0

    def __init__(self, what: Automaton | str, scorer: TextScorer | None = None) -> None:
        if not isinstance(what, str) and not hasattr(what, "candidates"):
            raise InputError(f"{what!r:.60} is neither an automaton nor a regular expression (str)")
        self._what = what
        self._scorer = scorer
        if scorer is not None and not isinstance(what, str) and what.end != scorer.end_id:
            raise InputError(
                f"the automaton's end token is {what.end}, but the model's is {scorer.end_id}; "
                "build it with the model's tokenizer"
            )

    def shown(self) -> str:
        what = self._what
        return called(self.name, quoted(what) if isinstance(what, str) else brief(what))

    @property
    def scorer(self) -> TextScorer | None:
        return self._scorer

    def bind(self, scorer: TextScorer) -> Matches:
        return self if self._scorer is scorer else Matches(self._what, scorer)

    @cached_property
    def automaton(self) -> Automaton:
        if not isinstance(self._what, str):
            return self._what
        if self._scorer is None:
            raise InputError(
                "this expression has no tokenizer yet: add it to fluency(lm), or build an "
                "automaton with ergotext.lm.automata.regex(expression, Pieces.of(tokenizer))"
            )
        return regex(self._what, pieces_of(self._scorer))

    def __call__(self, batch: TokenBatch) -> Tensor:
        return torch.where(accepted(self.automaton, checked(batch)), 0.0, torch.inf).double()

    def initial(self, count: int) -> TokenBatch:
        """Initial rows from random walks that end as soon as they may.

        They are the same at every call.

        Raises
        ------
        InputError
            No walk came to an end.
        """
        automaton, start = self.automaton, self.automaton.start(1)
        least = int(automaton.least(start)[0])
        if least > LIMITS[-1]:
            raise InputError(
                f"the automaton accepts only texts of {least} tokens or more, but chains start "
                f"from at most {LIMITS[-1]}: require less, or give an initial text (initial=)"
            )
        ending = automaton.ending(int(start[0])) if isinstance(automaton, Ending) else None
        walks = WALKS if ending is None else FEW_WALKS
        # Short texts first: a walk ends where it first may, and in most places it may not.
        for most in (limit for limit in LIMITS if limit >= least):
            random, rows = np.random.default_rng(0), list[tuple[int, ...]]()
            for tried in range(walks):
                if len(rows) == count or (rows and tried >= 10 * count):
                    break
                row = self._walk(random, most)
                rows += [] if row is None or row in rows else [row]
            if rows:
                return TokenBatch.of([rows[k % len(rows)] for k in range(count)])
        if ending is not None:
            return TokenBatch.of([ending] * count)
        raise InputError(
            f"no text that the automaton accepts was found in {WALKS} random walks of up to "
            f"{LIMITS[-1]} tokens: give an initial text (initial=)"
        )

    def _walk(self, random: np.random.Generator, most: int) -> tuple[int, ...] | None:
        automaton = self.automaton
        row: list[int] = []
        state = automaton.start(1)
        while len(row) <= most:
            _, token, after = automaton.candidates(state)
            if automaton.end in token:
                return tuple(row)
            if not len(token):
                return None
            at = random.integers(len(token))
            row.append(int(token[at]))
            state = after[at : at + 1]
        return None


def accepted(automaton: Automaton, batch: TokenBatch) -> Tensor:
    """bool [B]: whether the automaton takes each row."""
    state = automaton.start(len(batch))
    ids, inside = batch.ids.numpy(), batch.inside.numpy()
    for column in range(batch.longest):
        state = np.where(inside[:, column], automaton.advance(state, ids[:, column]), state)
    ended = automaton.advance(state, np.full(len(batch), automaton.end))
    return torch.from_numpy(ended >= 0)


def is_text(scorer: TextScorer, batch: TokenBatch) -> Tensor:
    """bool [B]: whether the bytes of each row are UTF-8, as those of all that automata take are."""
    pieces = pieces_of(scorer)
    read = (decoded(pieces.joined(row)) for row in batch.rows())
    return torch.tensor([one is not None and not one[1] for one in read], dtype=torch.bool)


def pieces_of(lm: TextScorer) -> Pieces:
    """The bytes that each token of a model writes; the same object for the same tokenizer."""
    return written_by(lm.vocabulary, lm.end_id)


def matches(what: Automaton | str) -> Matches:
    """A hard constraint: an automaton accepts the whole text.

    Parameters
    ----------
    what : Automaton or str
        Such as ``ergotext.lm.automata.json_schema(…)``, a trie, or the source of a regular
        expression (``ergotext.lm.automata.regex``), made for the tokenizer of the model that it is
        added to.

    Raises
    ------
    InputError
        The automaton has another end token than the model; the expression is malformed, or the
        tokenizer cannot write a text that matches it (said when it is first needed).
    """
    return Matches(what)
