"""Rank the keys of an index by how well a masked language model fills them into blanks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch, microbatches
from ergotext.lm.masked import MaskedLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie.by_length import KeysByLength
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints
from ergotext.support.words import check_texts
from ergotext.tasks.retrieval.readers import LONGEST

PROMPT = "{question} {answer}"
AT_ONCE = 512
"""Places whose laws are held at a time."""
By = Literal["mean", "sum"]


@dataclass(frozen=True)
class MaskedAnswer:
    """A key in the blanks after a question.

    Parameters
    ----------
    tokens : tuple of int
        As they stand in the trie.
    joint : float
        Σ log p(token | question, all places of the key blank) in nats: what ``decode`` maximises
        among the keys of one length.
    log_prob : float
        Σ log p(token | question, all other tokens of the key) in nats: its pseudo-log-likelihood.
    score : float
        What orders answers of all lengths: ``log_prob``, or that for each token.
    """

    tokens: tuple[int, ...]
    joint: float
    log_prob: float
    score: float


class MaskedKeys:
    """Finds the keys of a trie that a masked model would write after a question.

    For each length that keys have, the question is read once with so many masks after it. Given
    the masks' laws, which do not know of each other, the keys with the highest sum are found
    exactly (``KeysByLength``): one pass of the model and one walk of the trie a length. Sums of
    different lengths come from different inputs and do not compare. So the best keys of every
    length are scored again by their pseudo-log-likelihood, a token masked at a time (Salazar et
    al. 2020, arXiv 1910.14659), and ranked by its mean over the tokens, which favours no length;
    or by its sum, which favours keys of few tokens. Neither is a probability of a joint law.

    Parameters
    ----------
    lm : MaskedLM
    trie : TokenTrie
        Built with the model's tokenizer.
    prompt : str
        With ``{question}`` and ``{answer}``, which becomes the masks.
    by : "mean" or "sum"

    Raises
    ------
    InputError
        The trie was built with another tokenizer, or has changes that are not compacted; or the
        prompt has not one place for each.
    """

    def __init__(
        self, lm: MaskedLM, trie: TokenTrie, *, prompt: str = PROMPT, by: By = "mean"
    ) -> None:
        if by not in get_args(By):
            raise InputError(f"by must be {' or '.join(get_args(By))}, got {by!r}")
        for part in ("{question}", "{answer}"):
            if prompt.count(part) != 1:
                raise InputError(
                    f"the prompt {prompt!r:.60} must contain {part} exactly once, where the "
                    f"{part[1:-1]} goes"
                )
        self.lm, self.by = lm, by
        self.keys = self._tokenizer_of(trie)
        self.search = KeysByLength(trie)
        self._asked, fixed = prompt.split("{answer}")
        self._asked_behind = "{question}" in fixed
        if self._asked_behind:
            self._asked, fixed = fixed, self._asked
        self._fixed = lm.encode(fixed.strip(" "))
        own = len(self.keys.before)
        self._lengths = [n - own for n in self.search.lengths.tolist() if n > own]

    def best(self, questions: Sequence[str], k: int = 5) -> list[list[MaskedAnswer]]:
        """The ``k`` best keys for each question, best first; fewer if there are not so many.

        Keys that have no room after the question are left out.

        Raises
        ------
        InputError
            A question is blank, no Unicode, or longer than the model takes; or ``k`` is below one.
        """
        check_texts(questions, "questions")
        for question in questions:
            if not question.strip():
                raise InputError("a question is empty")
        rows = [self._row(question.strip()) for question in questions]
        for row in rows:
            if self._lengths and self.room(row) < self._lengths[0]:
                raise InputError(
                    f"the question leaves room for {max(self.room(row), 0)} of the model's "
                    f"{self.lm.max_positions} tokens, and no key is that short: shorten it"
                )
        return [self.answers(row, k) for row in rows]

    def encode(self, question: str, room: int) -> list[int]:
        """The tokens around the blanks, so that ``room`` tokens fit into them.

        The question has half of what the model takes, or more; of a longer one, the beginning.
        """
        most = self.room([])
        most = min(max(most - room, most // 2), LONGEST)
        while len(row := self._row(question)) > most and question:
            question = question[: min(len(question) - 1, len(question) * most // len(row))]
        return row

    def room(self, row: Sequence[int]) -> int:
        """Tokens that fit into the blanks of such a row; below zero if it is too long itself."""
        return self.lm.max_positions - len(self.lm.opening) - len(row) - len(self.lm.closing)

    def answers(self, row: Sequence[int], k: int, among: Ints | None = None) -> list[MaskedAnswer]:
        """The ``k`` best keys of every length, scored again, and the ``k`` best of these.

        Parameters
        ----------
        row : sequence of int
            As ``encode`` gives it.
        k : int
        among : int64 [n], optional
            The numbers, rising, of the keys that are considered; all keys if not given.
        """
        start = len(self._fixed) if self._asked_behind else len(row) - len(self._fixed)
        before, behind = list(row[:start]), list(row[start:])
        lengths = [length for length in self._lengths if length <= self.room(row)]
        found: list[MaskedAnswer] = []
        for group in microbatches(lengths, AT_ONCE):
            sizes = [lengths[place] for place in group]
            rows = [[*before, *[self.lm.mask_id] * size, *behind] for size in sizes]
            for law in self._laws(rows, len(before), sizes):
                for joint, tokens in self.search.best(law.numpy(), k, among):
                    found.append(MaskedAnswer(tokens, joint, 0.0, 0.0))
        ranked = self._ranked(found, before, behind)
        return sorted(ranked, key=lambda answer: -answer.score)[:k]

    def _row(self, question: str) -> list[int]:
        asked = self.lm.encode(self._asked.replace("{question}", question).strip(" "))
        return [*self._fixed, *asked] if self._asked_behind else [*asked, *self._fixed]

    def _laws(self, rows: list[list[int]], start: int, sizes: list[int]) -> Iterator[torch.Tensor]:
        """float64 [n, V] for each row: at its masks, after what stands before every key."""
        batch = TokenBatch.of(rows)
        place = torch.arange(batch.width)
        stop = start + torch.tensor(sizes)[:, None]
        law = self.lm.blank_log_prob(batch, (place >= start) & (place < stop))
        own = self.keys.before
        fixed = torch.full((len(own), law.shape[1]), -torch.inf, dtype=law.dtype)
        fixed[range(len(own)), own] = 0.0
        for part in law.split(sizes):
            yield torch.cat([fixed, part])

    def _ranked(
        self, found: list[MaskedAnswer], before: list[int], behind: list[int]
    ) -> Iterator[MaskedAnswer]:
        """The answers with pseudo-log-likelihoods and scores."""
        own, start = len(self.keys.before), len(before)
        keys = [answer.tokens[own:] for answer in found]
        places = [(number, at) for number, key in enumerate(keys) for at in range(len(key))]
        total = torch.zeros(len(found), dtype=torch.float64)
        for first in range(0, len(places), AT_ONCE):
            number, at = map(torch.tensor, zip(*places[first : first + AT_ONCE], strict=True))
            batch = TokenBatch.of([[*before, *keys[n], *behind] for n in number.tolist()])
            law = self.lm.conditional_log_prob(batch, start + at)
            token = batch.ids.gather(1, (start + at)[:, None])
            total.index_add_(0, number, law.gather(1, token)[:, 0])
        for answer, key, log_prob in zip(found, keys, total.tolist(), strict=True):
            score = log_prob / len(key) if self.by == "mean" else log_prob
            yield replace(answer, log_prob=log_prob, score=score)

    def _tokenizer_of(self, trie: TokenTrie) -> FastTokenizer:
        """The one that the trie was built with, with or without what stands before a text."""
        tokenizer = self.lm.vocabulary.tokenizer
        known = (FastTokenizer(tokenizer), FastTokenizer(tokenizer, causal=True))
        for one in known:
            if one.alphabet == trie.alphabet:
                return one
        raise InputError(
            f"the index was built with another tokenizer ({trie.alphabet.fingerprint or 'none'}) "
            f"than this model's ({known[0].alphabet.fingerprint}): build it with the model's "
            "tokenizer"
        )
