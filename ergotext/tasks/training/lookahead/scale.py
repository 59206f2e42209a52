"""Fit the scale of a look-ahead relative to its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.datasets.kgclue.data import Question
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.scoring import Coder

SCALES = (1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)


def scores_by_scale(
    lm: Seq2SeqLM, trie: TokenTrie, matched: Matched, questions: Sequence[Question]
) -> dict[float, dict[str, float]]:
    """EMF1 and its kin in percent for each of ``SCALES``; 0 is the model without look-ahead.

    Parameters
    ----------
    lm : Seq2SeqLM
    trie : TokenTrie
        Of triples, with any tokenizer.
    matched : Matched
    questions : sequence of Question
        With answers; those without one are left out. Every candidate of each is scored.

    Raises
    ------
    InputError
        The model has no tokenizer, or no question has an answer.
    """
    if lm.tokenizer is None:
        raise InputError("the model has no tokenizer to encode questions with")
    seen = DevSet.of(questions, trie)
    found, _ = Spotter(trie, triples=True).find(seen.questions)
    alone = replace(matched, scale=1.0)
    ahead = [alone(text, keys) for text, keys in zip(seen.questions, found, strict=True)]
    told = {scale: [""] * len(ahead) for scale in (0.0, *map(float, SCALES))}
    for number, log_prob in seen.log_prob(lm.model, Coder(lm.tokenizer)):
        answers = seen.rivals[number].answers
        for scale, texts in told.items():
            both = log_prob.double().numpy() + (scale * ahead[number] if scale else 0.0)
            texts[number] = str(answers[int(np.argmax(both))])
    return {scale: mark(seen.gold, texts).scores() for scale, texts in told.items()}
