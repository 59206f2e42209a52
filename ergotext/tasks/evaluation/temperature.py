"""Fit the temperature at which a retriever's probabilities are calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ergotext.errors import InputError
from ergotext.support.arrays import Floats
from ergotext.tasks.datasets.kgclue.data import SEPARATOR, Question
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.evaluation.calibration import fit_temperature
from ergotext.tasks.retrieval.retriever import Retriever


def fitted_temperature(
    retriever: Retriever, questions: Sequence[Question], **options: Any
) -> float:
    """Fit T of p(key | question)^(1/T), normalised over the index, on questions with answers.

    Parameters
    ----------
    retriever : Retriever
    questions : sequence of Question
        Of the training set; those without an answer are left out. Each is asked some twenty times.
    **options
        Of ``Retriever.retrieve``, as questions will be asked later: ``beams``, ``lookahead``,
        ``model_probability``, ``prefixes``.

    Raises
    ------
    InputError
        No question has an answer, or some probabilities are not known.
    """
    known = [(q.text, q.answer) for q in questions if q.answer is not None]
    if not known:
        raise InputError("no question has an answer to fit a temperature to")
    texts = [text for text, _ in known]
    options = {"threshold": 0, "progress": False, **options}  # an answer in any case
    first = [hits[0] if hits else None for hits in retriever.retrieve(texts, 1, **options)]
    if any(hit is not None and np.isnan(hit.probability) for hit in first):
        raise InputError("some probabilities are unknown: raise prefixes, or give a look-ahead")
    told = ["" if hit is None else SEPARATOR.join([*hit.fields.values(), ""]) for hit in first]
    right = mark([answer for _, answer in known], told).right

    def probability_at(temperature: float) -> Floats:
        """Of the first hits, which are the same at any temperature."""
        found = retriever.retrieve(texts, 1, temperature=temperature, **options)
        return np.array([hits[0].probability if hits else 0.0 for hits in found])

    return fit_temperature(probability_at, right)
