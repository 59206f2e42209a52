"""Keys that are proven best by few scores, against enumeration of all."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.by_ordinal import keys_numbered
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.tasks.retrieval import branch_and_bound as module
from ergotext.tasks.retrieval import search
from ergotext.tasks.retrieval.answers import ScoredKey
from ergotext.tasks.retrieval.candidates import Candidates, Spotter
from ergotext.tasks.retrieval.retriever import Retriever
from tests.lm.trie import test_restricted
from tests.tasks.retrieval import test_retriever_table as table
from tests.tasks.retrieval.table_reader import TableDecoding, TableReader


def made(reader: TableReader) -> TokenTrie:
    return replace(table.made(reader), tokenizer=reader.keys)


class Narrow(TableDecoding):
    """A model with room for keys of four tokens, the end counted."""

    @property
    def room(self) -> torch.Tensor:
        return torch.full(self.last.shape, 4)


def test_keys_by_number() -> None:
    """Of a whole trie, and of the paths of an input; in any order, and more than once."""
    trie = test_restricted.made()
    keys = [(*key, trie.end) for key in trie.keys(())]
    ordinals = np.random.default_rng(0).integers(len(keys), size=300)
    ids, offsets = keys_numbered(trie, np.zeros(300, dtype=np.int64), ordinals)
    rows = np.split(ids, offsets[1:-1])
    assert all(tuple(row) == keys[n] for row, n in zip(rows, ordinals, strict=True))
    within = RestrictedKeys(trie, test_restricted.paths(trie), len(test_restricted.PREFIXES))
    for number in range(len(test_restricted.PREFIXES)):
        mine = [(*key, trie.end) for key in test_restricted.allowed(trie, number)]
        ordinals = np.array([keys.index(key) for key in mine], dtype=np.int64)
        inputs = np.full(len(mine), number, dtype=np.int64)
        ids, offsets = keys_numbered(within, inputs, ordinals)
        rows = np.split(ids, offsets[1:-1])[: len(mine)]
        assert all(tuple(row) == key for row, key in zip(rows, mine, strict=True))


@pytest.mark.parametrize("narrow", [False, True])
def test_what_is_proven_is_the_best_and_all_that_few_keys_prove(
    reader: TableReader, trie: TokenTrie, narrow: bool
) -> None:
    """For all k and bounds: the best by enumeration, or None just where too many may be better."""
    decoding = reader.read([reader.encode(question, 0) for question in table.QUESTIONS])
    if narrow:
        decoding = Narrow(decoding.law, decoding.last, decoding.end)
    each, paths = Spotter(trie, triples=True).find(table.QUESTIONS)
    within = RestrictedKeys(trie, paths, len(each))
    keys = [(*key, trie.end) for key in trie.keys(())]
    rng, given_up, proven = np.random.default_rng(0), 0, 0
    potentials = [np.round(rng.normal(0, 12, len(one)), 1) for one in each]
    for values in potentials:
        values[rng.random(len(values)) < 0.2] = -np.inf
    for k, most in itertools.product((1, 3, 200), (0, 1, 4, 500)):
        found = module.proven_best(
            decoding, within, [one.ordinals for one in each], potentials, k, most
        )
        for question, one, values, best in zip(
            table.QUESTIONS, each, potentials, found, strict=True
        ):
            log_prob = [
                reader.log_prob(question, reader.keys.decode(keys[n][:-1]))
                if not narrow or len(keys[n]) <= 4
                else -np.inf
                for n in one.ordinals
            ]
            score = np.array(log_prob) + values
            first = np.argsort(-values, kind="stable")[:k]
            least = np.sort(score[first])[0] if len(first) == k else -np.inf
            rivals = np.setdiff1d(np.flatnonzero(values > least), first)
            assert (best is None) == (len(rivals) > most)
            if best is None:
                given_up += 1
                continue
            proven += 1
            ranked = [n for n in np.argsort(-score, kind="stable")[:k] if score[n] > -np.inf]
            assert [answer.tokens for answer in best] == [
                keys[one.ordinals[n]][:-1] for n in ranked
            ]
            assert [answer.score for answer in best] == pytest.approx(score[ranked], abs=1e-9)
            assert [answer.log_prob for answer in best] == pytest.approx(
                np.array(log_prob)[ranked], abs=1e-9
            )
    assert given_up > 5 and proven > 5


@pytest.mark.parametrize("temperature", [0.5, 2.0, 20.0])
def test_what_counts_in_a_sum_is_scored(
    reader: TableReader, trie: TokenTrie, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys that are left out weigh nearly nothing, and not all of the others are scored."""
    decoding = reader.read([reader.encode(question, 0) for question in table.QUESTIONS])
    each, paths = Spotter(trie, triples=True).find(table.QUESTIONS)
    within = RestrictedKeys(trie, paths, len(each))
    keys = [(*key, trie.end) for key in trie.keys(())]
    rng = np.random.default_rng(0)
    potentials = [np.round(rng.normal(0, 20 * temperature, len(one)), 1) for one in each]
    ordinals = [one.ordinals for one in each]
    found = module.proven_best(decoding, within, ordinals, potentials, 2, 0, temperature)
    left_out = 0
    for question, one, values, best in zip(table.QUESTIONS, each, potentials, found, strict=True):
        assert best is not None
        every = {
            keys[n][:-1]: reader.log_prob(question, reader.keys.decode(keys[n][:-1])) + more
            for n, more in zip(one.ordinals.tolist(), values.tolist(), strict=True)
        }
        told = {answer.tokens: answer.score for answer in best}
        assert told == pytest.approx({key: every[key] for key in told}, abs=1e-9)
        assert list(told)[:2] == sorted(every, key=lambda key: -every[key])[:2]
        weights = {key: np.exp((s - max(every.values())) / temperature) for key, s in every.items()}
        rest = sum(weight for key, weight in weights.items() if key not in told)
        assert rest <= module.NEGLIGIBLE
        # No key that is scored could have been left out, by its potential.
        least = sorted(values.tolist())[: len(every) - len(told) + 1]
        first = [keys[one.ordinals[n]][:-1] for n in np.argsort(-values, kind="stable")[:2]]
        second = min((every[key] for key in first), default=np.inf)
        if len(told) > max(2, int((values > second).sum())):
            bound = np.exp((np.array(least) - max(every.values())) / temperature).sum()
            assert bound > module.NEGLIGIBLE
        left_out += len(every) - len(told)
    assert left_out > 5
    monkeypatch.setattr(module, "MOST_SCORED", 3)
    again = module.proven_best(decoding, within, ordinals, potentials, 2, 0, temperature)
    plain = module.proven_best(decoding, within, ordinals, potentials, 2, 0)
    assert again == plain


def by_number(scale: float, question: str, keys: Candidates) -> np.ndarray:
    """Potentials that all differ."""
    return scale * ((keys.ordinals * 7919 + len(question)) % 997)


@pytest.mark.parametrize("spans", [True, False])
def test_proven_and_searched_questions_in_one_batch(
    reader: TableReader, trie: TokenTrie, spans: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question has its own answers, however many of the others were proven."""
    kinds: set[bool] = set()
    plain = module.proven_best

    def watched(*given: Any) -> list[list[ScoredKey] | None]:
        found = plain(*given)
        kinds.update(best is None for best in found)
        return found

    monkeypatch.setattr(search, "proven_best", watched)
    known = {}
    retriever = Retriever(reader, trie, triples=True)
    for prefixes, beams in ((1000, 10), (0, 10), (0, 40)):
        for scale in (0.01, 0.3, 9.0):
            found = retriever.retrieve(
                table.QUESTIONS, k=2, beams=beams, lookahead=partial(by_number, scale), spans=spans,
                prefixes=prefixes, model_probability=True,
            )  # fmt: skip
            scores = [[hit.score for hit in hits] for hits in found]
            true = known.setdefault(scale, scores)
            for hits, mine, best in zip(found, scores, true, strict=True):
                assert len(mine) == (0 if hits.subject == "none" else 2)
                assert not hits.exact or mine == pytest.approx(best, abs=1e-9)
    assert kinds == {True, False}
