"""String look-ahead: potentials from string similarity, without training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from ergotext.tasks.retrieval.candidates import Candidates


@dataclass(frozen=True)
class StringMatch:
    """String potential: long mentions, and predicates whose characters occur in the question.

    ``scale`` · (``mention`` · length of the mention + ``overlap`` · LCS(predicate, rest of the
    question) − ``length`` · length of the predicate), in nats; lengths in characters, LCS the
    longest common subsequence, the rest of the question what stands before and after the mention.

    Parameters
    ----------
    mention, overlap, length : float
        The ratio of the last two was found on KgCLUE; the first is such that a longer mention
        nearly always wins.
    scale : float
        Nats a unit. By default one over 0.03, the weight of log p beside the score of strings that
        did best on KgCLUE.
    """

    mention: float = 10.0
    overlap: float = 2.0
    length: float = 0.3
    scale: float = 33.0

    @property
    def digest(self) -> str:
        """What it is, for a calibration that is fitted with it."""
        return repr(self)

    def __call__(self, question: str, keys: Candidates) -> NDArray[np.float64]:
        question = keys.plain(question)
        predicates = np.array(keys.predicates, dtype=object)
        found = -self.length * np.array([len(p) for p in keys.predicates], dtype=np.float64)
        for number, mention in enumerate([*keys.mentions, None]):
            at = np.flatnonzero(keys.mention == (number if mention is not None else -1))
            if not len(at):
                continue
            rest = question
            if mention is not None:
                rest = question[: mention.start] + question[mention.stop :]
                found[at] += self.mention * len(mention.text)
            common = cdist([rest], predicates[at], scorer=LCSseq.similarity, dtype=np.int64)
            found[at] += self.overlap * common[0]
        return self.scale * found
