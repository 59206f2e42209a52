"""What a question asks beyond an answer."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.lm.trie import TokenTrie
from ergotext.tasks.retrieval import nesting as module
from ergotext.tasks.retrieval.bearing import Bearing, QuestionKey
from ergotext.tasks.retrieval.candidates import Candidates, Mention
from ergotext.tasks.retrieval.nesting import Nesting
from tests.faulty import load_with_fault

USUAL = frozenset(
    [
        "who",
        "how",
        "many",
        "have",
        "what",
        "where",
        "was",
        "is",
        "the",
        "of",
        "in",
        "which",
        "does",
        "did",
        "by",
        "a",
        "s",
        "是",
        "的",
        "有",
        "多",
        "少",
        "么",
        "叫",
    ]
)
CASES = [
    # question, subject, predicate, what words bear, inner part, outer words, possessed
    ("Who is the mayor of the capital of France?", "France", "capital", {"capital": 5.0},
     "capital of France", ["mayor"], True),
    ("Where was the painter of Guernica born?", "Guernica", "author", {"painter": 4, "born": 0.5},
     "painter of Guernica", ["born"], False),
    ("What currency does the country of K2 use?", "K2", "country", {"currency": 1.9, "country": 7},
     "country of K2", ["currency", "use"], False),
    ("What currency does the land of K2 use?", "K2", "country", {"currency": 1.9, "land": 7},
     "land of K2", ["currency", "use"], False),
    ("How many people does the capital of Kenya have?", "Kenya", "capital",
     {"how": 0, "many": 0, "people": 1.4, "have": 0}, "capital of Kenya", ["people"], False),
    ("Which language was Carmen written in?", "Carmen", "original language", {},
     "language was Carmen", [], False),
    ("When was Dracula's author born?", "Dracula", "author", {}, "Dracula's author", ["born"],
     False),
    ("Who is France's president's wife?", "France", "president", {}, "France's president",
     ["wife"], True),
    ("At what heat does water boil?", "water", "boiling point", {"boil": 7.0}, "water boil", [],
     False),
    ("What is the mayor of France?", "France", "capital", {"mayor": 0.5}, "France", [], False),
    ("法国首都的市长是谁？", "法国", "首都", {}, "法国首都", ["市", "长"], True),
    ("法国的占地面积有多大", "法国", "占地", {}, "法国的占地", ["面", "积", "大"], False),
    ("法国的占地积有多少", "法国", "占地", {}, "法国的占地", [], False),
    ("法国在哪个洲的北边", "法国", "所属洲", {}, "法国在哪个洲", [], True),
    ("法国国歌叫什么", "法国", "国歌", {}, "法国国歌", [], False),
]  # fmt: skip


def parts(trie: TokenTrie, case: tuple) -> tuple[str, list[str], bool]:
    question, subject, predicate, bears = case[:4]
    at = question.index(subject)
    mention = Mention(subject, at, at + len(subject))
    keys = Candidates(trie, np.array([0]), (mention,), np.array([0]), [f"{predicate}\tland"])
    choice = QuestionKey(question, keys, 0)
    words = [word for word in choice.rest() if word.text not in USUAL]
    bearing = Bearing([(word, float(bears.get(word.text, 0.0))) for word in words])
    found: Nesting = module.nesting(choice, bearing, USUAL)
    inner = question[found.start : found.stop]
    return inner, [word.text for word in found.outer], found.possessed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_parts(case: tuple, trie: TokenTrie) -> None:
    inner, outer, possessed = case[4:]
    told = parts(trie, case)
    assert told == (inner, outer, possessed and bool(outer))


FAULTS = {
    "every explained word counts as one": ("SHARE * max(", "0 * max("),
    "an article is not asked for": ("and before[-1:] == [_ARTICLE]", ""),
    "words before are beyond": ("if word.start >= stop]\n    else", "]\n    else"),
    "a question word inside is none": ("and _ASKING.isdisjoint(inside)", ""),
    "a question word is beyond": ("_ASKING.isdisjoint(word.text)]", "word]"),
    "the end of a word is beyond": ("if not _joined(word, outer, explained)", ""),
    "every character is of the word before": ("return word.stop not in", "return True or word in"),
    "a predicate explains nothing": ("if word.text in named]", "if not word]"),
    "beside a predicate a little is enough": ("max(least, BESIDE)", "least"),
    "nothing is possessed": ("before[-2:] == _OF or", ""),
    "possessed without what is asked": ("possessed and bool(outer)", "possessed"),
}


def test_a_predicate_of_several_columns(trie: TokenTrie) -> None:
    question = "Who is the mayor of the capital of the republic France?"
    at = question.index("France")
    mention = Mention("France", at, at + 6)
    rest = "country\tcapital\trepublic"
    keys = Candidates(trie, np.array([3]), (mention,), np.array([0]), [rest], 2)
    choice = QuestionKey(question, keys, 0)
    assert choice.named == {"country", "capital"}
    told = Bearing([(word, 0.0) for word in choice.rest() if word.text not in USUAL])
    parts = module.nesting(choice, told, USUAL)
    assert [word.text for word in parts.outer] == ["mayor"]
    assert question[parts.start : parts.stop] == "capital of the republic France"


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, trie: TokenTrie, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("tasks.retrieval.nesting", FAULTS[fault])
    monkeypatch.setattr(module, "nesting", faulty.nesting)

    def checks() -> None:
        for case in CASES:
            test_parts(case, trie)

    with pytest.raises(AssertionError):
        checks()
