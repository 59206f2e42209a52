"""The retriever on a model that is a table: every number against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ergotext.lm.trie import TokenTrie, build
from ergotext.tasks import retrieve as module
from ergotext.tasks.questions import QuestionReader
from ergotext.tasks.string_match import StringMatch
from tests.tasks.table_reader import TableReader

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


def key_of(hit: module.Hit) -> str:
    return hit.values[0].removeprefix("of ")


@pytest.mark.parametrize("exhaustive", [1000, 0])
def test_probabilities_are_those_of_enumeration(
    reader: TableReader, trie: TokenTrie, exhaustive: int
) -> None:
    """Exact where all keys are scored, or drawn; to 1e-9."""
    assert isinstance(reader, QuestionReader)
    retriever = module.Retriever(reader, trie, triples=True, exhaustive=exhaustive)
    for temperature in (1.0, 2.5):
        found = retriever.retrieve(
            QUESTIONS, k=4, beams=len(KEYS), lookahead=StringMatch(scale=1.0),
            samples=len(KEYS), temperature=temperature,
        )  # fmt: skip
        for question, hits in zip(QUESTIONS, found, strict=True):
            known = every(reader, question)
            mass = np.logaddexp.reduce(np.array(list(known.values())) / temperature)
            assert len(hits) == 4 and hits.exact
            for hit in hits:
                log_prob = known[key_of(hit)]
                assert hit.log_prob == pytest.approx(log_prob, abs=1e-9)
                share = math.exp(log_prob / temperature - mass)
                assert hit.probability == pytest.approx(share, abs=1e-9)
                assert hit.probability_stderr == 0.0
            assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_search_gives_what_scoring_all_gives(reader: TableReader, trie: TokenTrie) -> None:
    for ahead, spans in itertools.product((None, StringMatch(scale=0.7)), (True, False)):
        scored, searched = (
            module.Retriever(reader, trie, triples=True, exhaustive=n).retrieve(
                QUESTIONS, k=6, beams=len(KEYS), lookahead=ahead, spans=spans, samples=0
            )
            for n in (1000, 0)
        )
        for a, b in zip(scored, searched, strict=True):
            assert [h.text for h in a] == [h.text for h in b]
            assert (a.mentions, a.notes) == (b.mentions, b.notes)
            assert [h.score for h in a] == pytest.approx([h.score for h in b], abs=1e-9)
            assert [h.log_prob for h in a] == pytest.approx([h.log_prob for h in b], abs=1e-9)


def test_estimates_cover_the_truth(reader: TableReader, trie: TokenTrie) -> None:
    """Over 25 seeds and four questions: within three standard errors in 95 of 100."""
    retriever = module.Retriever(reader, trie, triples=True, exhaustive=0)
    truth = {}
    for question in QUESTIONS:
        known = every(reader, question)
        mass = np.logaddexp.reduce(list(known.values()))
        truth[question] = {key: math.exp(p - mass) for key, p in known.items()}
    covered, errors = [], []
    for seed in range(25):
        found = retriever.retrieve(QUESTIONS, k=1, samples=40, seed=seed)
        for question, (hit,) in zip(QUESTIONS, found, strict=True):
            wanted = truth[question][key_of(hit)]
            covered.append(abs(hit.probability - wanted) < 3 * hit.probability_stderr)
            errors.append(hit.probability_stderr / wanted)
    assert np.mean(covered) > 0.95 and 0.001 < np.median(errors) < 0.3


def test_the_same_seed_gives_the_same(reader: TableReader, trie: TokenTrie) -> None:
    retriever = module.Retriever(reader, trie, triples=True, exhaustive=0)
    a, b, c = (retriever.retrieve(QUESTIONS, samples=9, seed=seed) for seed in (1, 1, 2))
    assert a == b and a != c
