"""The model in the package on bases that it was not trained on."""

from __future__ import annotations

import pytest

import ergotext as et
from ergotext.lm.trie.lines import key_text
from ergotext.tasks.datasets.kgclue.data import read
from tests.paths import ROOT

FACTS_FILE = ROOT / "examples" / "facts.tsv"

FACTS = {
    "Ruritania": {
        "capital": "Strelsau", "currency": "crown", "population": "2 million",
        "official language": "German", "located in": "Europe",
    },
    "John Smith": {
        "date of birth": "1 May 1900", "place of birth": "Leeds", "spouse": "Mary Jones",
        "occupation": "carpenter", "died in": "York",
    },
    "The Long Road": {
        "author": "Ann Lee", "published": "1950", "genre": "novel", "publisher": "Faber",
    },
    "Blue River": {"length in km": "300", "flows into": "Sea of Nod", "country": "Nod"},
    "青云山": {"海拔": "1234米", "所在地": "云州", "别名": "青山", "主峰": "望云峰"},
    "王小明（作家）": {
        "出生日期": "1950年3月", "出生地": "云州", "代表作品": "长路", "妻子": "李红",
    },
}  # fmt: skip
ASKED = {
    "What is the capital of Ruritania?": "Strelsau",
    "How many people live in Ruritania?": "2 million",
    "What do people pay with in Ruritania?": "crown",
    "Where is Ruritania?": "Europe",
    "When was John Smith born?": "1 May 1900",
    "Where was John Smith born?": "Leeds",
    "Who was John Smith married to?": "Mary Jones",
    "What was John Smith's job?": "carpenter",  # the one that is answered wrongly
    "Where did John Smith die?": "York",
    "Who wrote The Long Road?": "Ann Lee",
    "When did The Long Road come out?": "1950",
    "What kind of book is The Long Road?": "novel",
    "How long is Blue River?": "300",
    "Where does Blue River end?": "Sea of Nod",
    "青云山有多高？": "1234米",
    "青云山在哪里？": "云州",
    "青云山还叫什么？": "青山",
    "王小明是什么时候出生的？": "1950年3月",
    "王小明的老婆是谁？": "李红",
    "王小明是哪里人？": "云州",
}


MORE: dict[str, dict[str, str]] = {
    "none": {}, "an id": {"wiki_id": "Q1"}, "brackets": {"site (web)": "www"},
    "Chinese": {"别名": "无"},
}  # fmt: skip
SIGNS = {"?!": "{}?!", "quotes": "“{}?”", "full width": "{}？"}


@pytest.fixture(scope="module")
def retriever() -> et.Retriever:
    return made({})


def made(more: dict[str, str]) -> et.Retriever:
    lines = [(f"{s}\t{p}", o) for s, of in FACTS.items() for p, o in {**of, **more}.items()]
    keys = [(key_text(*key.split("\t")), value) for key, value in lines]
    trie = et.build_trie(keys, et.load_tokenizer("tiny-retriever"))
    return et.Retriever(et.load("tiny-retriever", device="cpu"), trie, triples=True)


def test_questions_of_either_language_are_answered(retriever: et.Retriever) -> None:
    """Chance is one in four: nineteen of these twenty were right when the model was put here."""
    ahead = et.load_lookahead("tiny-retriever")
    assert [len(one.known) < 100 for one in ahead.others] == [True]  # English
    found = retriever.retrieve(list(ASKED), 1, lookahead=ahead, threshold=0)
    told = [hits[0].values[0] for hits in found]
    right = [value == wanted for value, wanted in zip(told, ASKED.values(), strict=True)]
    assert sum(right) >= 18, [asked for asked, well in zip(ASKED, right, strict=True) if not well]


def test_questions_in_words_of_no_template() -> None:
    """Of forty 36 were answered rightly, one wrongly, three not; without vectors of words 29."""
    asked = read(ROOT / "benchmarks" / "reworded_facts.jsonl").asked
    triples = [line.split("\t") for line in FACTS_FILE.read_text("utf-8").splitlines()]
    keys = [(key_text(s, p), o) for s, p, o in triples]
    trie = et.build_trie(keys, et.load_tokenizer("tiny-retriever"))
    retriever = et.Retriever(et.load("tiny-retriever", device="cpu"), trie, triples=True)
    ahead = et.load_lookahead("tiny-retriever")
    (english,) = ahead.others
    assert len(english.lexicon) == 20_000
    found = retriever.retrieve([one.text for one in asked], 1, lookahead=ahead)
    told = [hits[0].fields["predicate"] if len(hits) else None for hits in found]
    wanted = [one.answer.predicate for one in asked if one.answer is not None]
    right = sum(one == other for one, other in zip(told, wanted, strict=True))
    assert right >= 34 and right + told.count(None) >= len(asked) - 2


@pytest.mark.parametrize("more", MORE)
def test_a_predicate_of_other_signs_does_not_make_a_base_chinese(more: str) -> None:
    assert english(made(MORE[more]), "{}?") >= 11


@pytest.mark.parametrize("signs", SIGNS)
def test_signs_do_not_make_a_question_chinese(retriever: et.Retriever, signs: str) -> None:
    assert english(retriever, SIGNS[signs]) >= 11


def english(retriever: et.Retriever, written: str) -> int:
    """How many of the fourteen English questions are answered rightly if written like this."""
    asked = {written.format(q[:-1]): value for q, value in ASKED.items() if q.isascii()}
    ahead = et.load_lookahead("tiny-retriever")
    found = retriever.retrieve(list(asked), 1, lookahead=ahead, threshold=0)
    return sum(
        hits[0].values[0] == value for hits, value in zip(found, asked.values(), strict=True)
    )
