"""Rows of tries: building, masks for beams, more keys, and answers of an encoder-decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from trie import (
    BEAMS,
    END,
    PAD,
    VOCABULARY,
    DictTrie,
    Flat,
    make_keys,
    ours,
    prefixes,
    small_t5,
    with_candidates,
)  # fmt: skip

from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.overlay import EditableTrie
from ergotext.samplers.search.beam import beam
from table.rows import Row, Scale

KEYS, QUESTIONS, STEPS = 1_000_000, 16, 20


def rows(scale: Scale) -> Iterator[Row]:
    """All rows of tries."""
    count = scale.of(KEYS, 2_000)
    keys = make_keys(count)
    some = _first(keys, scale.of(200_000, 2_000))
    yield Row("build", "keys", lambda _: _count(ours(some)), {"nested dict": lambda _: _dict(some)})
    trie, nested = ours(keys), DictTrie(keys)
    step = Steps(trie, nested, keys)
    name = f"allowed scores of 64 beams, {count:,} keys"
    yield Row(name, "steps", step.ours, {"nested dict": step.dicts})
    small = ours(some)
    yield Row(f"add to {len(small):,} keys", "keys", lambda n: added(small, n))
    answers = Answers(trie, nested, scale.of(QUESTIONS, 2))
    yield Row(
        f"beam search of 5, {count:,} keys", "questions", answers.beam,
        {"generate + dict callback": answers.generate},
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Steps:
    """From the states of 64 beams to the scores of what may follow."""

    trie: TokenTrie
    nested: DictTrie
    keys: Flat

    def ours(self, _: int) -> float:
        scores, begun = torch.randn(64, VOCABULARY), prefixes(self.keys, None)
        states = np.array([self.trie.walk(row) for row in begun])
        for _ in range(STEPS):
            with_candidates(self.trie, states, scores)
        return STEPS

    def dicts(self, _: int) -> float:
        scores, begun = torch.randn(64, VOCABULARY), prefixes(self.keys, None)
        for _ in range(STEPS):
            masked = torch.full_like(scores, -torch.inf)
            for n, row in enumerate(begun):
                masked[n, self.nested.get(row)] = 0.0
            scores + masked
        return STEPS


class Answers:
    """Questions answered by a small T5 whose answers are keys; nothing of it is trained."""

    def __init__(self, trie: TokenTrie, nested: DictTrie, count: int) -> None:
        self.trie, self.nested, self.model = trie, nested, small_t5()
        self.lm = Seq2SeqLM(self.model)
        random = np.random.default_rng(2)
        self.questions = [
            [*random.integers(3, VOCABULARY, random.integers(8, 24)).tolist(), END]
            for _ in range(count)
        ]

    def beam(self, _: int) -> float:
        beam(self.lm.read(self.questions), self.trie, k=BEAMS)
        return len(self.questions)

    def generate(self, _: int) -> float:
        width = max(map(len, self.questions))
        ids = torch.tensor([q + [PAD] * (width - len(q)) for q in self.questions])

        def allowed(_: int, row: torch.Tensor) -> list[int]:
            return self.nested.get(row.tolist()[1:]) or [PAD]

        self.model.generate(
            input_ids=ids, attention_mask=(ids != PAD).long(), num_beams=BEAMS,
            num_return_sequences=BEAMS, do_sample=False, max_new_tokens=self.trie.longest + 1,
            length_penalty=0.0, early_stopping=False, prefix_allowed_tokens_fn=allowed,
        )  # fmt: skip
        return len(self.questions)


def added(trie: TokenTrie, number: int) -> float:
    """A thousand keys added to an editable trie over the other one."""
    random = np.random.default_rng(number)
    editable = EditableTrie(trie)
    for row in random.integers(3, VOCABULARY, (1_000, 12)).tolist():
        editable.add(tuple(row))
    return 1_000


def _first(keys: Flat, count: int) -> Flat:
    flat, offsets = keys
    offsets = offsets[: count + 1]
    return flat[: offsets[-1]], offsets


def _count(trie: Any) -> float:
    return len(trie)


def _dict(keys: Flat) -> float:
    DictTrie(keys)
    return len(keys[1]) - 1
