"""What the words of a question bear on an answer."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.lm.trie import TokenTrie
from ergotext.tasks.retrieval import bearing as module
from ergotext.tasks.retrieval.bearing import (
    MOST,
    QuestionKey,
    bearings,
    nearest,
    words_in,
    words_of,
)
from ergotext.tasks.retrieval.candidates import Candidates, Mention
from tests.faulty import load_with_fault

WORTH = {"born": 3.0, "where": 1.0, "was": -0.5, "出": 2.0, "生": 1.0}


def worth(question: str, keys: Candidates) -> np.ndarray:
    """The sum of what words are worth, and 100 where the mention stands where it says."""
    (mention,) = keys.mentions
    there = question[mention.start : mention.stop] == mention.text
    told = sum(WORTH.get(word, 0.0) for word in words_of(question))
    return np.full(len(keys), 100.0 * there + told + float(keys.ordinals.sum()))


def choice(trie: TokenTrie, question: str, name: str = "Goya") -> QuestionKey:
    at = question.index(name)
    mention = Mention(name, at, at + len(name))
    keys = Candidates(
        trie, np.array([3, 5]), (Mention("W", 0, 1), mention), np.array([0, 1]), ["a", "born"]
    )
    return QuestionKey(question, keys, 1)


def test_words() -> None:
    assert words_of("Who's 苹果AB 3.5?") == ["who", "s", "苹", "果", "ab", "3", "5"]
    found = words_in("Aé 苹b", first=10)
    assert found == [("aé", 10, 12), ("苹", 13, 14), ("b", 14, 15)]


def test_each_word_bears_its_worth(trie: TokenTrie) -> None:
    some = [choice(trie, "Where was Goya born?"), choice(trie, "Goya出生在哪")]
    words = [one.rest() for one in some]
    assert [[w.text for w in each] for each in words] == [
        ["where", "was", "born"], ["出", "生", "在", "哪"]
    ]  # fmt: skip
    first, second = bearings(worth, some, words)
    assert [value for _, value in first.words] == [1.0, -0.5, 3.0] and first.rest == 3.5
    assert [value for _, value in second.words] == [2.0, 1.0, 0.0, 0.0] and second.rest == 3.0
    assert [word for word, _ in first.words] == words[0]
    half = first.over(2.0)
    assert [value for _, value in half.words] == [0.5, -0.25, 1.5] and half.rest == 1.75
    assert bearings(worth, [], []) == []


def test_only_what_is_wanted(trie: TokenTrie) -> None:
    some = [choice(trie, "Where was Goya born?")] * 3
    words = [some[0].rest(), [], some[0].rest()[:1]]
    first, second, third = bearings(worth, some, words, [False, True, True])
    assert [value for _, value in first.words] == [1.0, -0.5, 3.0] and first.rest == 0.0
    assert (second.words, second.rest) == ([], 3.5)
    assert [value for _, value in third.words] == [1.0] and third.rest == 3.5

    def never(*_: object) -> np.ndarray:
        raise AssertionError

    assert bearings(never, some[:1], [[]], [False])[0].rest == 0.0


def test_left_out_words_leave_no_gap(trie: TokenTrie) -> None:
    one = choice(trie, "Where was Goya born?")
    left = [one.without(word) for word in one.rest()]
    assert [text for text, _ in left] == ["was Goya born?", "Where Goya born?", "Where was Goya ?"]
    for text, keys in left:
        (mention,) = keys.mentions
        assert text[mention.start : mention.stop] == "Goya" and keys.rests == ["born"]
        assert keys.ordinals.tolist() == [5] and keys.mention.tolist() == [0]


def test_odd_potentials_bear_nothing(trie: TokenTrie) -> None:
    def infinite(question: str, keys: Candidates) -> np.ndarray:
        return np.full(len(keys), -np.inf if "born" not in question else 1.0)

    one = choice(trie, "Where was Goya born?")
    (found,) = bearings(infinite, [one], [one.rest()])
    assert [value for _, value in found.words] == [0.0, 0.0, 0.0] and found.rest == 0.0
    (none,) = bearings(lambda _, keys: np.full(len(keys), -np.inf), [one], [one.rest()])
    assert none.rest == 0.0


def test_a_candidate_without_a_mention(trie: TokenTrie) -> None:
    keys = Candidates(trie, np.array([2]), (), np.array([-1]), ["born"])
    one = QuestionKey("born there", keys, 0)
    (found,) = bearings(lambda q, keys: np.full(1, float(len(q))), [one], [one.rest()])
    assert [value for _, value in found.words] == [5.0, 5.0] and found.rest == 10.0


def test_the_nearest_words(trie: TokenTrie) -> None:
    one = choice(trie, "a " * 20 + "Goya" + " b" * 3)
    near = nearest(one, one.rest())
    assert len(near) == MOST and [word.text for word in near].count("b") == 3
    assert near == sorted(near, key=lambda word: word.start) and near[0].start == 2 * 7


FAULTS = {
    "the mention stays where it was": ("back = gone if", "back = 0 if"),
    "a space is left": ("after = after.lstrip()", "pass"),
    "each word falls from the next": ("fall = own[:1] - own[1:]", "fall = own[:-1] - own[1:]"),
    "infinity is a number": ("np.where(np.isfinite(fall), fall, 0.0)", "fall"),
    "the other candidate is left": ("keys.ordinals[[key]], mention", "keys.ordinals[[0]], mention"),
    "the farthest words": ("order[:MOST]", "order[-MOST:]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, trie: TokenTrie, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("tasks.retrieval.bearing", FAULTS[fault])
    for name in ("QuestionKey", "bearings", "nearest"):
        monkeypatch.setitem(globals(), name, getattr(faulty, name))

    def checks() -> None:
        test_each_word_bears_its_worth(trie)
        test_left_out_words_leave_no_gap(trie)
        test_odd_potentials_bear_nothing(trie)
        test_the_nearest_words(trie)

    with pytest.raises(AssertionError):
        checks()
    assert module.MOST == MOST
