"""Sample keys from the model itself, where candidates are too many to enumerate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedModel

from ergotext.lm.protocols import Automaton
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie.lines import subject_and_predicate
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.tree import TokenTrie
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.search.top_down import Leaves, leaves
from ergotext.samplers.search.without_replacement import log_inclusion
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.seq2seq.choices import Drawn
from ergotext.tasks.training.seq2seq.rewards import Rivals
from ergotext.tasks.training.seq2seq.scoring import Coder


@dataclass(frozen=True, eq=False)
class KeySampler:
    """Draws keys under the prefix tree without replacement, by the model as it is now.

    Only keys whose mention occurs in the question are drawn; of all keys, where there is none.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    coder : Coder
    spotter : Spotter
        Of a trie with the model's tokenizer.
    count : int
        Keys of a question.
    seed : int

    References
    ----------
    Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them", equation 9.
    """

    model: PreTrainedModel
    coder: Coder
    spotter: Spotter
    count: int
    seed: int

    def __call__(self, questions: Sequence[str], number: int) -> list[Drawn]:
        """For each question its keys, and the log of the chance of each to be drawn, in nats."""
        draws = SeededDraws((self.seed << 32) + number)
        found, paths = self.spotter.find(questions)
        some = np.array([len(one) > 0 for one in found])
        places = np.cumsum(some) - 1
        spans = RestrictedKeys(
            self.spotter.trie, replace(paths, input=places[paths.input]), some.sum()
        )
        drawn: dict[int, Drawn] = {}
        groups: list[tuple[bool, TokenTrie | RestrictedKeys]] = [
            (True, spans),
            (False, self.spotter.trie),
        ]
        for has, automaton in groups:
            rows = np.flatnonzero(some == has).tolist()
            if rows:
                each = self._drawn([questions[row] for row in rows], automaton, draws)
                drawn |= zip(rows, each, strict=True)
        return [drawn[row] for row in range(len(questions))]

    def _drawn(
        self, questions: Sequence[str], automaton: Automaton, draws: SeededDraws
    ) -> list[Drawn]:
        lm = Seq2SeqLM(self.model, self.coder.tokenizer)
        decoding = lm.read([lm.encode(question, self.coder.longest) for question in questions])
        longest = self.spotter.trie.longest
        found = leaves(decoding, automaton, draws, k=self.count, max_length=longest - 1)
        return [self._of(found, number) for number in range(len(questions))]

    def _of(self, found: Leaves, number: int) -> Drawn:
        trie, at = self.spotter.trie, found.input == number
        assert trie.tokenizer is not None
        chance = log_inclusion(found.log_q[at], found.threshold[number]).tolist()
        keys, answers, chances = [], [], []
        for tokens, log_chance in zip(found.batch.select(at).rows(), chance, strict=True):
            key = trie.tokenizer.decode(tokens)
            parts = subject_and_predicate(key)
            if parts is not None:
                keys.append(key)
                answers.append(Triple(*parts, next(iter(trie.objects(tokens)), "")))
                chances.append(log_chance)
        return Rivals(tuple(keys), tuple(answers)), chances
