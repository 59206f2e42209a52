"""Subjects as people write them, end to end: from lines and a question to the keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ergotext.lm.tokenizers.characters import CharacterTokenizer, TextTokenizer
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie import EditableTrie, TokenTrie, add_lines, load, save
from ergotext.lm.trie.header import IndexFile
from ergotext.lm.trie.mentions import Mentions
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.spotted import EVIDENCE, Naming
from tests.lm.trie.names.names_cases import CASES, LINES, made, spotted
from tests.lm.trie.test_mentions import bpe, keys_within
from tests.tiny_t5 import tokenizer_of

TOKENIZERS = {
    "characters": lambda: None,
    "few characters": lambda: CharacterTokenizer("aeino\t阿龙"),
    "byte level": lambda: FastTokenizer(bpe(True), "t"),
    "sentencepiece": lambda: FastTokenizer(bpe(False), "t"),
    "word pieces": lambda: FastTokenizer(tokenizer_of(LINES), "t"),
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def trie(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TokenTrie:
    tokenizer: TextTokenizer | None = TOKENIZERS[request.param]()
    return made(tmp_path_factory.mktemp("names"), LINES, tokenizer)


@pytest.mark.parametrize(("text", "span", "subject", "kind"), CASES)
def test_subjects_as_people_write_them(
    trie: TokenTrie, text: str, span: str, subject: str, kind: Naming
) -> None:
    assert spotted(trie, text).get((span, subject)) == kind


def test_all_questions_at_once_find_what_each_finds_alone(trie: TokenTrie) -> None:
    """What one asks must not move what another finds."""
    texts = [text for text, *_ in CASES]
    mentions = Mentions(trie)
    found = mentions.find(texts, other_letters=True, near="always")
    for number, text in enumerate(texts):
        alone = mentions.find([text], other_letters=True, near="always")
        rows = found.text == number
        for column in ("start", "stop", "token", "state", "kind", "evidence"):
            assert np.array_equal(getattr(found, column)[rows], getattr(alone, column))


def test_paths_lead_to_the_keys_of_what_was_spotted_and_to_no_other(trie: TokenTrie) -> None:
    texts = [text for text, *_ in CASES]
    found = Mentions(trie).find(texts, other_letters=True, near="always")
    within = RestrictedKeys(trie, found.paths, len(texts))
    for number in range(len(texts)):
        rows = found.text == number
        low, high = trie.span(np.unique(found.state[rows]))
        assert len(list(keys_within(within, number))) == sum(high - low)
        # Of a value one key, of a subject both.
        sizes = np.subtract(*trie.span(found.state[rows])[::-1])
        assert sizes[found.kind[rows] == Naming.VALUE].tolist() == [1] * sum(
            found.kind[rows] == Naming.VALUE
        )


def test_where_nothing_else_is_found(trie: TokenTrie) -> None:
    texts = ["Mars or guerncia?", "guerncia?"]
    found = Mentions(trie).find(texts, near="else")
    assert found.kind[found.text == 0].tolist() == [Naming.EXACT] * sum(found.text == 0)
    assert Naming.NEAR in found.kind[found.text == 1]
    never = Mentions(trie).find(texts)
    assert set(never.kind.tolist()) == {Naming.EXACT}
    assert np.array_equal(never.evidence, found.evidence[found.kind == Naming.EXACT])


def test_what_is_found_in_two_steps_is_what_is_found_at_once(trie: TokenTrie) -> None:
    """For some of the texts, which are then by themselves."""
    mentions = Mentions(trie)
    texts = ["Mars or guerncia?", "Mars", "Leonardo da Vinci painted mars and the last supper"]
    some = [0, 2]
    asked = [texts[number] for number in some]
    spotted = mentions.find(texts, other_letters=True)
    twice = mentions.nearer(asked, spotted.of(some), range(len(some)))
    once = mentions.find(asked, other_letters=True, near="always")
    assert len(once.text) > len(spotted.of(some).text) > 0 and set(spotted.text.tolist()) == {
        0,
        1,
        2,
    }
    for name, part in vars(once).items():
        if name != "paths":
            assert np.array_equal(getattr(twice, name), part), name
    for name, part in vars(once.paths).items():
        assert np.array_equal(getattr(twice.paths, name), part), name


def test_evidence(trie: TokenTrie) -> None:
    mentions = Mentions(trie)
    told = {}
    for text in ("Guernica", "guernia"):
        found = mentions.find([text], near="always")
        low, _ = trie.span(found.state)
        (at,) = np.flatnonzero([key.startswith("Guern") for key in mentions.key_texts(low)])
        row = found.evidence[at].tolist()
        told[text] = dict(zip(EVIDENCE, row, strict=True))
    exact, near = told["Guernica"], told["guernia"]
    assert exact["length"] == 8 and exact["mass"] > 4 and not exact["score"]
    assert near["length"] == 8 and near["equal"] == 7 / 8 and near["extra"] == 0
    assert near["begins"] == near["ends"] == 1 and near["score"] == (1 + 5 * 4 - 1 + 1) / 32
    assert 0 < near["share"] < 1 and near["mass"] < exact["mass"]


def test_suggestions_are_names_that_are_farther_too(trie: TokenTrie) -> None:
    assert "Guernica" in Mentions(trie).suggestions("gurnca")
    assert Mentions(trie).suggestions("") == [] == Mentions(trie).suggestions("☃☃☃")


@pytest.mark.parametrize("text", ["", "   ", "☃", "米" * 5000, "a" * 100_000, "\u0301" * 40])
def test_odd_texts(trie: TokenTrie, text: str) -> None:
    found = Mentions(trie).find([text, "who painted guerncia?"], near="always")
    assert Naming.NEAR in found.kind[found.text == 1]
    assert (found.stop <= max(len(text), 21)).all()


def test_one_letter_names(tmp_path: Path) -> None:
    """They have no grams, and are found as they are written only."""
    trie = made(tmp_path, [f"{name}\tp\to" for name in "米年位abc"])
    assert spotted(trie, "年") == {("年", "年"): Naming.EXACT}
    assert spotted(trie, "什么是年鉴？ or abacus") == {("年", "年"): Naming.EXACT}


def test_spaces_are_no_letters_of_a_word(tmp_path: Path) -> None:
    lines = [f"{name}\tp\to" for name in ("Theory of relativity", "Speed of light", "France")]
    trie = made(tmp_path, lines)
    assert ("of", "Theory of relativity") not in spotted(trie, "capital of Frnace")
    assert spotted(trie, "capital of Frnace")["Frnace", "France"] == Naming.NEAR


def test_many_subjects_of_one_name(tmp_path: Path) -> None:
    lines = [f"王伟（{n}）\t职业\t职业{n}" for n in range(10_000)] + ["王小伟\t职业\t演员"]
    trie = made(tmp_path, lines)
    assert trie.names is not None and len(trie.names) == 2
    found = Mentions(trie).find(["王伟是谁", "王大伟的职业"], near="always")
    low, high = trie.span(found.state)
    assert sorted((high - low).tolist()) == [1, 1, 10_000, 10_000]


def test_a_changed_trie_has_names_again(tmp_path: Path) -> None:
    trie = EditableTrie(made(tmp_path, LINES))
    trie.add("Guernsey\tcapital", "Saint Peter Port")
    trie.remove("Guernica\tfirst")
    trie.remove("Guernica\tsecond")
    changed = trie.compact()
    assert ("guernsy", "Guernsey") in spotted(changed, "where is guernsy?")
    assert "Guernica" not in {name for _, name in spotted(changed, "who painted guerncia?")}
    assert EditableTrie(replace(changed, names=None)).compact().names is None


def test_an_index_of_triples_without_names(tmp_path: Path) -> None:
    """As version 1 of the format is; changed, it has names."""
    path, lines = tmp_path / "old.ergo", tmp_path / "more.tsv"
    save(replace(made(tmp_path, LINES), names=None), path, {"columns": "subject,predicate,object"})
    assert IndexFile.open(path).meta["version"] == "1"
    trie = load(path)
    assert trie.names is None and len(trie) == len(LINES)
    assert spotted(trie, "who painted Guernica?") == {("Guernica", "Guernica"): Naming.EXACT}
    assert spotted(trie, "who painted guernica?") == {("guernica", "Guernica"): Naming.OTHER}
    assert spotted(trie, "who painted guerncia?") == {}
    lines.write_text("Guernsey\tcapital\tSaint Peter Port\n", encoding="utf-8")
    changed, _ = add_lines(trie, lines)
    save(changed, path)
    assert IndexFile.open(path).meta["version"] == "2"
    assert ("guerncia", "Guernica") in spotted(load(path), "who painted guerncia?")


def test_no_names_of_a_trie_from_pairs_or_keys(tmp_path: Path) -> None:
    from ergotext.lm.trie import build
    from ergotext.lm.trie.lines import build_from_lines

    assert build([("a\tb", None)], CharacterTokenizer("ab\t")).names is None
    path = tmp_path / "titles.txt"
    path.write_text("Guernica\n", encoding="utf-8")
    titles, _ = build_from_lines(path, columns=["key"])
    assert titles.names is None
    assert not len(Mentions(titles, whole=True).find(["guernika"], near="always").text)


def test_values_that_many_keys_have_tell_nothing(tmp_path: Path) -> None:
    few = [f"城市{n}\t国家\t芬兰共和国" for n in range(5)]
    many = [f"乡村{n}\t国家\t波兰共和国" for n in range(6)]
    trie = made(tmp_path, few + many)
    kinds = spotted(trie, "谁在芬兰共和国？").values()
    assert list(kinds).count(Naming.VALUE) == 5
    assert Naming.VALUE not in spotted(trie, "谁在波兰共和国？").values()


def test_a_subject_and_its_value_are_one_subject(tmp_path: Path) -> None:
    """Keys of a subject that is found are not found by their values again."""
    trie = made(tmp_path, LINES)
    found = spotted(trie, "did Leonardo da Vinci paint the Last Supper?")
    assert found[("Leonardo da Vinci", "Leonardo da Vinci")] == Naming.EXACT
    assert Naming.VALUE not in found.values()
