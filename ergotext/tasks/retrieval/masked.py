"""Retrieve keys by filling blanks with a masked language model."""

from __future__ import annotations

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.masked import MaskedLM
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints
from ergotext.tasks.retrieval.answers import Answers, ScoredKey
from ergotext.tasks.retrieval.masked_keys import PROMPT, MaskedKeys
from ergotext.tasks.retrieval.request import Plan, QuestionGroup

PSEUDO = (
    "log p is that of each token given the others, summed, and no probability of the answer; the "
    "order is by its mean"
)


class MaskedSearch:
    """Finds the keys of a trie that fill the blanks after a question (``MaskedKeys``).

    The best ``beams`` keys of each length are found exactly; of these the best by the mean of
    their pseudo-log-likelihood are the answers. They are proven to be the best if there were no
    other keys to score.

    Parameters
    ----------
    model : MaskedLM
    trie : TokenTrie
    prompt : str, optional
        With ``{question}`` and ``{answer}``; ``masked_keys.PROMPT`` if not given.

    Raises
    ------
    InputError
        The model is no masked one; or as ``MaskedKeys``.
    """

    def __init__(self, model: object, trie: TokenTrie, prompt: str | None) -> None:
        if not isinstance(model, MaskedLM):
            raise InputError(
                f'a {type(model).__name__} cannot fill in blanks: use decode "beam", or a masked '
                "language model"
            )
        self.reader = MaskedKeys(model, trie, prompt=prompt or PROMPT)

    def check(self, plan: Plan) -> None:
        """Raise InputError for options that this search does not support."""
        if plan.lookahead is not None:
            raise InputError('decode "mlm" takes no look-ahead: drop it')
        if plan.threshold or plan.temperature != 1:
            raise InputError('decode "mlm" gives no probabilities: drop threshold and temperature')

    def __call__(self, group: QuestionGroup, plan: Plan) -> list[Answers]:
        """For each question the best of its candidates, or of all keys."""
        among: list[Ints | None] = [None] * len(group.encoded)
        if group.candidates is not None:
            among[:] = [keys.ordinals for keys in group.candidates]
        return [
            self._answers(row, keys, plan) for row, keys in zip(group.encoded, among, strict=True)
        ]

    def _answers(self, row: list[int], among: Ints | None, plan: Plan) -> Answers:
        trie, room = self.reader.search.trie, self.reader.room(row)
        found = self.reader.answers(row, plan.beams, among)
        notes = [PSEUDO] if found else []
        if len(self.reader.keys.before) + room < np.max(self.reader.search.lengths, initial=0):
            notes.append(f"keys of more than {max(room, 0)} tokens have no room: left out")
        return Answers(
            [ScoredKey(one.tokens, one.log_prob, one.score) for one in found[: plan.k]],
            exact=len(found) == len(trie if among is None else among),
            mass=None,
            notes=tuple(notes),
        )
