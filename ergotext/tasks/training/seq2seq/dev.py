"""Dev score: rank all candidate keys of each dev question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from ergotext.errors import InputError
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.seq2seq.rewards import Rivals, rivals_in
from ergotext.tasks.training.seq2seq.scoring import Coder, encoded, key_log_prob

ROWS = 128
"""Keys that are scored at a time."""


@dataclass(frozen=True, eq=False)
class DevSet:
    """Questions with their answers and candidate keys.

    The highest log p(key | question) of these is what search under the prefix tree finds with
    enough beams, so the score is that of the model alone.
    """

    questions: Sequence[str]
    gold: Sequence[Triple]
    rivals: Sequence[Rivals]

    @classmethod
    def of(cls, questions: Sequence[Question], trie: TokenTrie) -> DevSet:
        """Of questions with answers, under the keys of a trie of triples.

        Raises
        ------
        InputError
            No question has an answer.
        """
        kept = [(one.text, one.answer) for one in questions if one.answer is not None]
        if not kept:
            raise InputError("no dev question has an answer to evaluate against")
        texts = [text for text, _ in kept]
        gold = [answer for _, answer in kept]
        return cls(texts, gold, rivals_in(Spotter(trie, triples=True), texts))

    def first(self, count: int) -> DevSet:
        """The first ``count`` questions."""
        return DevSet(self.questions[:count], self.gold[:count], self.rivals[:count])

    def score(self, model: PreTrainedModel, coder: Coder) -> dict[str, float]:
        """EMF1, EM and F1 of each part, in percent; a question without a key is worth nothing."""
        told = [""] * len(self.gold)
        for number, scores in self.log_prob(model, coder):
            told[number] = str(self.rivals[number].answers[int(scores.argmax())])
        return mark(self.gold, told).scores()

    def log_prob(self, model: PreTrainedModel, coder: Coder) -> Iterator[tuple[int, torch.Tensor]]:
        """The number of each question that has keys, and float32 [n]: log p of each of them."""
        for group in self._groups():
            questions = coder.questions([self.questions[number] for number in group])
            keys = [key for number in group for key in self.rivals[number].keys]
            sizes = [len(self.rivals[number]) for number in group]
            row = torch.repeat_interleave(torch.tensor(sizes))
            questions = {name: part.to(model.device) for name, part in questions.items()}
            labels = coder.labels(keys).to(model.device)
            with torch.inference_mode():
                states = encoded(model, questions)
                found = key_log_prob(model, questions, states, row.to(model.device), labels)
            yield from zip(group, found.cpu().split(sizes), strict=True)

    def _groups(self) -> Iterator[list[int]]:
        """Questions of like length, with some ``ROWS`` keys together."""
        group: list[int] = []
        for number in sorted(
            (n for n, keys in enumerate(self.rivals) if len(keys)),
            key=lambda n: len(self.questions[n]),
        ):
            if group and sum(len(self.rivals[n]) for n in [*group, number]) > ROWS:
                yield group
                group = []
            group.append(number)
        if group:
            yield group
