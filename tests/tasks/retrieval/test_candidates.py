"""Candidates of questions against the keys themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ergotext as et
from ergotext.lm.trie import TokenTrie, build
from ergotext.tasks.retrieval import candidates
from ergotext.tasks.retrieval.bearing import QuestionKey
from ergotext.tasks.retrieval.candidates import Candidates, Mention, Potential, Spotter, every_key
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from tests.faulty import load_with_fault
from tests.tasks.retrieval.table_reader import TableReader
from tests.tasks.retrieval.test_retriever_table import KEYS, QUESTIONS


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return build([(key, f"of {key}") for key in KEYS], TableReader(KEYS).keys)


def key_at(keys: Candidates, number: int) -> str:
    return keys.values(number)[0].removeprefix("of ")


def test_candidates_are_the_keys_of_all_mentions(trie: TokenTrie) -> None:
    found, _ = Spotter(trie, triples=True).find(QUESTIONS)
    assert [len(keys) > 0 for keys in found] == [True, True, False, True]
    for question, keys in zip(QUESTIONS, found, strict=True):
        subjects = {mention.text for mention in keys.mentions}
        for mention in keys.mentions:
            assert question[mention.start : mention.stop] == mention.text
            assert question.index(mention.text) <= mention.start
        listed = [key_at(keys, number) for number in range(len(keys))]
        assert set(listed) == {key for key in KEYS if key.split("\t")[0] in subjects}
        assert np.all(np.diff(keys.ordinals) > 0)
        for number, key in enumerate(listed):
            mention = keys.mentions[keys.mention[number]]
            assert key == f"{mention.text}\t{keys.rests[number]}"
            rest = [keys.predicates[number], keys.meanings[number]]
            assert key.split("\t")[1:] == [part for part in rest if part]


def test_lines_that_stand_in_a_question() -> None:
    lines = ["a", "ab", "a b", "山", "山水", "b\tc"]
    trie = build([(line, f"of {line}") for line in lines], TableReader(lines).keys)
    (found,), _ = Spotter(trie, triples=False).find(["a b 山水 ab"])
    assert sorted(key_at(found, n) for n in range(len(found))) == ["a", "a b", "ab", "山", "山水"]
    assert found.rests == [""] * 5 and Mention("山水", 4, 6) in found.mentions
    whole = every_key(trie, Spotter(trie, triples=False)._mentions.written, triples=False)
    assert whole.rests == [key_at(whole, n) for n in range(6)] and set(whole.mention) == {-1}


@pytest.mark.parametrize(
    ("question", "start", "other"),
    [("where was marie curie born, Marie Curie?", 28, False),
     ("Marie Curie or marie curie?", 0, False),
     ("marie curie, Marie Curie, Marie Curie", 13, False),
     ("marie curie or MARIE CURIE?", 0, True)],
)  # fmt: skip
def test_a_subject_that_stands_as_written_too_is_as_written(
    question: str, start: int, other: bool
) -> None:
    lines = ["Marie Curie\tborn in", "Marie Curie\tprize", "Paris\tcountry"]
    trie = build([(line, f"of {line}") for line in lines], TableReader(lines).keys)
    (found,), _ = Spotter(trie, triples=True).find([question], other_letters=True)
    text = question[start : start + 11]
    assert found.mentions == (Mention(text, start, start + 11, other),)
    assert sorted(key_at(found, n) for n in range(len(found))) == lines[:2]


def test_string_match_is_its_formula(trie: TokenTrie) -> None:
    match = StringMatch(mention=3.0, overlap=2.0, length=0.25, scale=0.5)
    assert isinstance(match, Potential)
    found, _ = Spotter(trie, triples=True).find(QUESTIONS)
    for question, keys in zip(QUESTIONS, found, strict=True):
        values = match(question, keys)
        assert values.shape == (len(keys),) and values.dtype == np.float64
        for number, value in enumerate(values):
            at = keys.mentions[keys.mention[number]]
            rest, predicate = question[: at.start] + question[at.stop :], keys.predicates[number]
            units = 3.0 * len(at.text) + 2.0 * common(predicate, rest) - 0.25 * len(predicate)
            assert value == pytest.approx(0.5 * units)
    whole = every_key(trie, Spotter(trie, triples=True)._mentions.written, triples=True)
    (value,) = match("xy", whole)[[key_at(whole, n) == "b\txy" for n in range(len(whole))]]
    assert value == pytest.approx(0.5 * (2.0 * 2 - 0.25 * 2))


def common(a: str, b: str) -> int:
    """The length of the longest common subsequence."""
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            one = table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
            table[i + 1, j + 1] = one
    return int(table[-1, -1])


def check_plain(trie: TokenTrie, module: Any) -> None:
    """A question is read in the letters of the keys, and its mention stays in its place."""
    for rest, question, read in (
        ("有多长", "Ａ長江有多長？", "A长江有多长？"),
        ("有多長", "Ａ長江有多長？", "Ａ長江有多長？"),
        ("有多长", "长江有多长？", "长江有多长？"), ("length", "長江有多長？", "长江有多长？"),
    ):  # fmt: skip
        one = Mention("長江", 1, 3, name="长江")
        keys = module.Candidates(trie, np.array([0]), (one,), np.array([0]), [rest])
        assert keys.plain(question) == read
        rows = module.Candidates(trie, np.arange(2), (one,), np.zeros(2, int), [rest, "有多長"])
        assert rows.plain(question) == question


def test_questions_in_the_letters_of_the_keys(trie: TokenTrie) -> None:
    check_plain(trie, candidates)
    keys = Candidates(trie, np.array([0]), (), np.array([-1]), ["有多长"])
    assert StringMatch()("有多長？", keys) == StringMatch()("有多长？", keys)


FAULTS = {
    "nothing is read otherwise": ("        return told\n", "        return question\n"),
    "keys do not matter": ("any(plain_letters(rest) != rest for rest in self.rests)", "False"),
    "all keys must differ": ("any(plain_letters(rest)", "all(plain_letters(rest)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, trie: TokenTrie) -> None:
    faulty = load_with_fault("tasks.retrieval.candidates", FAULTS[fault])
    with pytest.raises(AssertionError):
        check_plain(trie, faulty)


def test_learned_look_aheads_read_plain_questions(trie: TokenTrie) -> None:
    """Both the look-ahead and the features of "none of these"."""
    ahead = et.load_lookahead("tiny-retriever")
    keys = Candidates(trie, np.arange(2), (), np.full(2, -1), ["起点", "总长\t铁路"])
    assert (ahead("它的总长是多少？", keys) == ahead("它的總長是多少？", keys)).all()
    told = []
    for question in ("它的总长是多少？", "它的總長是多少？"):
        choice = QuestionKey(keys.plain(question), keys, 1)
        (bearing,) = ahead.calibration.bearings(ahead, [choice])
        told.append(ahead.calibration.features(choice, 3.0, np.array([3.0, 2.0]), bearing))
    assert (told[0] == told[1]).all()
