"""The retriever on a model that is a table: every number against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ergotext.lm.trie import TokenTrie, build
from ergotext.tasks.retrieval.entries import WIDEST
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.readers import QuestionReader
from ergotext.tasks.retrieval.results import Hit
from ergotext.tasks.retrieval.retriever import Retriever
from tests.tasks.retrieval.table_reader import TableReader

SUBJECTS = ["".join(s) for n in (1, 2, 3) for s in itertools.product("abc山", repeat=n)][:70]
KEYS = [f"{s}\t{p}" for s in SUBJECTS for p in ("xy", "x", "yz水", "z")]
KEYS += [f"{s}\tz\t{m}" for s in SUBJECTS[::3] for m in ("x", "yx")]
QUESTIONS = ["b山 a cz", "山 yz水 b", "qqq", "c ab 山a xy"]


@pytest.fixture(scope="module")
def trie(reader: TableReader) -> TokenTrie:
    return made(reader)


def made(reader: TableReader) -> TokenTrie:
    return build([(key, f"of {key}") for key in KEYS], reader.keys)


def every(reader: TableReader, question: str) -> dict[str, float]:
    return {key: reader.log_prob(question, key) for key in KEYS}


def key_of(hit: Hit) -> str:
    return hit.values[0].removeprefix("of ")


def test_probabilities_are_those_of_enumeration(reader: TableReader, trie: TokenTrie) -> None:
    """Exact where all keys are scored, to 1e-9; else within the bounds, at any temperature."""
    assert isinstance(reader, QuestionReader)
    retriever = Retriever(reader, trie, triples=True)
    for temperature, prefixes in itertools.product((0.6, 1.0, 2.5), (len(KEYS), 300, 60, 5)):
        found = retriever.retrieve(
            QUESTIONS, k=4, beams=len(KEYS), lookahead=StringMatch(scale=1.0),
            prefixes=prefixes, temperature=temperature, model_probability=True,
        )  # fmt: skip
        for question, hits in zip(QUESTIONS, found, strict=True):
            known = every(reader, question)
            mass = np.logaddexp.reduce(np.array(list(known.values())) / temperature)
            if hits.subject == "none":
                assert not hits
                continue
            assert len(hits) == 4 and hits.exact
            for hit in hits:
                log_prob = known[key_of(hit)]
                assert hit.log_prob == pytest.approx(log_prob, abs=1e-9)
                share = math.exp(log_prob / temperature - mass)
                low, high = hit.probability_low, hit.probability_high
                assert low - 1e-9 <= share <= high + 1e-9
                if prefixes == len(KEYS):
                    assert low == hit.probability == high
                elif high - low > WIDEST:
                    assert math.isnan(hit.probability)
                else:
                    assert hit.probability == (low + high) / 2
            assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_search_gives_what_scoring_all_gives(reader: TableReader, trie: TokenTrie) -> None:
    for ahead, spans in itertools.product((None, StringMatch(scale=0.7)), (True, False)):
        scored, searched = (
            Retriever(reader, trie, triples=True).retrieve(
                QUESTIONS,
                k=6,
                beams=len(KEYS),
                lookahead=ahead,
                spans=spans,
                prefixes=n,
                model_probability=True,
            )
            for n in (1000, 0)
        )
        for a, b in zip(scored, searched, strict=True):
            assert [h.text for h in a] == [h.text for h in b]
            assert (a.mentions, a.notes) == (b.mentions, b.notes)
            assert [h.score for h in a] == pytest.approx([h.score for h in b], abs=1e-9)
            assert [h.log_prob for h in a] == pytest.approx([h.log_prob for h in b], abs=1e-9)


def test_thresholds_take_what_is_certain(reader: TableReader, trie: TokenTrie) -> None:
    """Bounds that hold the threshold between them are no answer, and the note tells them."""
    retriever = Retriever(reader, trie, triples=True)
    (hits,) = retriever.retrieve(QUESTIONS[:1], k=1, prefixes=200)
    low, high = hits[0].probability_low, hits[0].probability_high
    assert low < high
    for threshold, note in ((low, None), ((low + high) / 2, "which may be below"),
                            ((1 + high) / 2, ", below")):  # fmt: skip
        (again,) = retriever.retrieve(QUESTIONS[:1], k=1, prefixes=200, threshold=threshold)
        # By what they show: a probability that is unknown is NaN, which equals nothing.
        same = [h.text for h in again] == [h.text for h in hits]
        assert same if note is None else not again and note in again.notes[-1]
