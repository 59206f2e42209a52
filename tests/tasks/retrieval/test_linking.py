"""Mentions linked to titles, against each title scored on its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.tasks.retrieval import linking
from ergotext.tasks.retrieval.linking import LinkedMention, link
from ergotext.tasks.retrieval.mention_table import MentionTable
from ergotext.tasks.retrieval.retriever import Retriever
from tests import tiny_t5
from tests.faulty import load_with_fault

TITLES = [
    "Apple", "Apple Inc.", "Apple Records", "Paris", "Paris, Texas", "Paris Hilton", "Jordan",
    "Michael Jordan", "US", "us", "苹果公司", "北京",
]  # fmt: skip
TABLE = {
    "Apple": ["Apple", "Apple Inc.", "Apple Records"], "Paris": ["Paris, Texas", "Paris"],
    "US": "US", "us": ["us", "US"], "苹果": ["苹果公司", "Apple"],
}  # fmt: skip
TEXTS = [
    "[START_ENT] Apple [END_ENT] sued [START_ENT] Apple [END_ENT] in [START_ENT] paris [END_ENT].",
    "[START_ENT]Jordan[END_ENT] left the [START_ENT] US [END_ENT]",
    "[START_ENT] ＡＰＰＬＥ [END_ENT]",
]


def model_of(seed: int = 0) -> Seq2SeqLM:
    tokenizer = tiny_t5.tokenizer_of([*TITLES, *TEXTS])
    return Seq2SeqLM(tiny_t5.t5_of(tokenizer, seed), tokenizer)


def retriever_of(seed: int = 0, titles: list[str] = TITLES) -> Retriever:
    lm = model_of(seed)
    return Retriever(lm, et.build_trie(titles, lm.keys))


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    return retriever_of()


def log_prob(lm: Seq2SeqLM, question: str, title: str) -> float:
    """log p(title, end | question), by one plain pass of the network."""
    written = [*lm.keys.encode(title), lm.end]
    given = torch.tensor([lm.encode(question)])
    with torch.inference_mode():
        out = lm.model(input_ids=given, decoder_input_ids=torch.tensor([[lm.start_id, *written]]))
    law = out.logits[0, :-1].double().log_softmax(-1)
    return float(law[range(len(written)), written].sum())


QUESTIONS = [
    ["[START_ENT] Apple [END_ENT] sued Apple in paris.",
     "Apple sued [START_ENT] Apple [END_ENT] in paris.",
     "Apple sued Apple in [START_ENT] paris [END_ENT]."],
    ["[START_ENT]Jordan[END_ENT] left the US", "Jordan left the [START_ENT] US [END_ENT]"],
    ["[START_ENT] ＡＰＰＬＥ [END_ENT]"],
]  # fmt: skip
AMONG = [
    [TABLE["Apple"], TABLE["Apple"], TABLE["Paris"]], [TITLES, ["US"]], [TABLE["Apple"]],
]  # fmt: skip


WARM = 10.0
"""A temperature at which the probabilities of a random model say something."""


def flat(found: list[list[LinkedMention]]) -> list[LinkedMention]:
    return [one for some in found for one in some]


def titles_are_ranked_exactly(batch_size: int = 32) -> None:
    """Of all mentions, with the table's titles or all of them; probabilities add up to one."""
    retriever = retriever_of()
    found = linking.link(retriever, TEXTS, TABLE, k=12, batch_size=batch_size, temperature=WARM)
    assert list(map(len, found)) == [3, 2, 1]
    pairs = zip(flat(found), chain(*QUESTIONS), chain(*AMONG), strict=True)
    for one, question, among in pairs:
        scores = {title: log_prob(model_of(), question, title) for title in among}
        assert [hit.text for hit in one.hits] == sorted(scores, key=scores.__getitem__)[::-1]
        assert one.hits.exact and one.title == one.hits[0].text
        total = np.logaddexp.reduce(np.array(list(scores.values())) / WARM)
        for hit in one.hits:
            assert hit.log_prob == pytest.approx(scores[hit.text], abs=1e-4)
            expected = math.exp(scores[hit.text] / WARM - total)
            assert hit.probability == pytest.approx(expected, abs=1e-5)
            assert hit.fields == {"key": hit.text}


def mentions_stand_in_the_plain_text() -> None:
    found = linking.link(retriever_of(), TEXTS, TABLE)
    plain = ["Apple sued Apple in paris.", "Jordan left the US", "ＡＰＰＬＥ"]
    for text, some in zip(plain, found, strict=True):
        assert [text[one.start : one.stop] for one in some] == [one.text for one in some]
    assert [one.start for one in found[0]] == [0, 11, 20]


def notes_say_how_a_mention_was_found() -> None:
    notes = [one.hits.notes for one in flat(linking.link(retriever_of(), TEXTS, TABLE))]
    assert notes == [
        (), (), ("the mention table writes 'paris' in other letters",),
        ("the mention table has no 'Jordan': all titles were searched",), (),
        ("the mention table writes 'ＡＰＰＬＥ' in other letters",),
    ]  # fmt: skip
    assert [one.hits.notes for one in flat(linking.link(retriever_of(), TEXTS))] == [()] * 6


CHECKS: list[Callable[[], None]] = [
    titles_are_ranked_exactly, mentions_stand_in_the_plain_text, notes_say_how_a_mention_was_found
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_linking(check: Callable[[], None]) -> None:
    check()


def test_batches_change_nothing() -> None:
    titles_are_ranked_exactly(batch_size=2)


def test_letters_as_the_table_has_them_come_first(retriever: Retriever) -> None:
    texts = ["[START_ENT] us [END_ENT]", "[START_ENT] US [END_ENT]", "[START_ENT] Us [END_ENT]"]
    found = flat(link(retriever, texts, TABLE))
    assert [{hit.text for hit in one.hits} for one in found] == [{"us", "US"}, {"US"}, {"us", "US"}]


def test_k_threshold_and_temperature(retriever: Retriever) -> None:
    warm = {"temperature": WARM}
    (whole,) = flat(link(retriever, TEXTS[2:], TABLE, **warm))
    best = whole.hits[0]
    (one,) = flat(link(retriever, TEXTS[2:], TABLE, k=1, threshold=best.probability - 1e-3, **warm))
    assert [hit.text for hit in one.hits] == [best.text]
    (none,) = flat(link(retriever, TEXTS[2:], TABLE, threshold=best.probability + 1e-3, **warm))
    assert none.title is None and "the best answer has probability" in none.hits.notes[-1]
    (flatter,) = flat(link(retriever, TEXTS[2:], TABLE, temperature=1e6))
    assert [hit.probability for hit in flatter.hits] == pytest.approx([1 / 3] * 3, abs=1e-4)


def test_a_long_text_is_read_around_its_mention(monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = retriever_of()
    monkeypatch.setattr(retriever.reader.lm, "max_input", 60)
    text = "x" * 200 + "[START_ENT] Apple [END_ENT]" + "y" * 300
    (one,) = flat(link(retriever, [text], TABLE))
    assert one.hits.notes == (
        "the text is longer than the model reads: 37 of its 505 characters were read, around the "
        "mention",
    )
    assert one.start == 200 and one.text == "Apple"
    scores = [log_prob(model_of(), f"{'x' * 16}[START_ENT] Apple [END_ENT]{'y' * 16}", hit.text)
              for hit in one.hits]  # fmt: skip
    assert [hit.log_prob for hit in one.hits] == pytest.approx(scores, abs=1e-4)
    with pytest.raises(InputError, match=r"text 1: the mention 'xxx.* alone is longer than the"):
        link(retriever, [f"[START_ENT] {'x' * 60} [END_ENT]"])


def test_tables_in_files(retriever: Retriever, tmp_path: Path) -> None:
    tsv = tmp_path / "table.tsv"
    tsv.write_text("Apple\tApple\nApple\tApple Inc.\nParis\tParis, Texas\n", encoding="utf-8")
    quoted = tmp_path / "table.csv"
    quoted.write_text('Apple,Apple\nApple,Apple Inc.\nParis,"Paris, Texas"\n', encoding="utf-8")
    found = [flat(link(retriever, TEXTS[:1], path)) for path in (tsv, str(quoted))]
    for some in found:
        assert {hit.text for hit in some[0].hits} == {"Apple", "Apple Inc."}
        assert [hit.text for hit in some[2].hits] == ["Paris, Texas"]
    table = MentionTable.read(tsv, retriever.trie)
    assert len(table) == 2 and len(flat(link(retriever, TEXTS, table))) == 6
    other = retriever_of(titles=["Apple", "Paris"])
    with pytest.raises(InputError, match="made for another index"):
        link(other, TEXTS, table)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "b\tBerlin",
            r"line 2: the title 'Berlin' is not in the index \(of 12 titles\): remove it",
        ),
        ("b", r"line 2: 1 field where 2 are expected; give a mention, a tab and a title"),
        ("b\t", r"line 2: an empty field"),
        (" \tParis", r"line 2: the mention ' ' is empty: remove it"),
        ("\u200b\tParis", r"line 2: the mention '\\u200b' is empty"),
    ],
)
def test_bad_lines_of_a_table(retriever: Retriever, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "table.tsv"
    path.write_text(f"a\tApple\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=said) as raised:
        link(retriever, TEXTS, path)
    assert "\n" not in str(raised.value) and str(raised.value).startswith(str(path))
    path.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="is empty: give lines of a mention, a tab and a title"):
        link(retriever, TEXTS, path)


def test_what_cannot_be(retriever: Retriever) -> None:
    with pytest.raises(InputError, match=r"the mention 'b': the title 'Berlin' is not in the in"):
        link(retriever, TEXTS, {"b": ["Berlin"]})
    with pytest.raises(InputError, match="the mention 'b' has no title"):
        link(retriever, TEXTS, {"b": []})
    with pytest.raises(InputError, match="a dict of mentions and titles"):
        link(retriever, TEXTS, [("b", "Paris")])
    with pytest.raises(InputError, match="a title of the mention 'b' must be one text, got 3"):
        link(retriever, TEXTS, {"b": 3})
    with pytest.raises(InputError, match="text 2 has no marked mention"):
        link(retriever, [TEXTS[0], "none"])
    with pytest.raises(InputError, match="texts must be a list of texts"):
        link(retriever, TEXTS[0])
    with pytest.raises(InputError, match="this index holds triples"):
        link(Retriever(model_of(), retriever.trie, triples=True), TEXTS)
    assert link(retriever, []) == []


def test_a_masked_model_is_refused() -> None:
    lm = et.load("tiny-masked")
    titles = et.build_trie(["The sun"], et.load_tokenizer("tiny-masked"))
    with pytest.raises(InputError, match='takes a retriever with decode "beam"'):
        link(Retriever(lm, titles, decode="mlm"), TEXTS)


def test_a_causal_model() -> None:
    lm = et.load("tiny-causal")
    keys = et.build_trie(TITLES, FastTokenizer(lm.vocabulary.tokenizer, causal=True))
    found = flat(link(Retriever(lm, keys), TEXTS[:1], TABLE))
    assert [len(one.hits) for one in found] == [3, 3, 2]
    assert sum(hit.probability for hit in found[0].hits) == pytest.approx(1, abs=1e-6)


FAULTS = {
    "titles of another mention of the batch": (
        "ordinals = [self.entries[question].ordinals for question in group.questions]",
        "ordinals = [self.entries[group.questions[0]].ordinals] * len(group.questions)",
    ),
    "answers in the order of the search": (
        "found[row] = answers", "found[found.index(None)] = answers",
    ),
    "questions of the wrong rows": (
        "encoded=[group.encoded[row] for row in rows]",
        "encoded=group.encoded[: len(rows)]",
    ),
    "probabilities of the k best alone": (
        "mass = exact_mass(log_prob / plan.temperature)",
        "mass = exact_mass(log_prob[:1] / plan.temperature)",
    ),
    "all titles for a mention of the table": (
        "entries = {one.question: one.entry for one in asked if one.entry is not None}",
        "entries = {}",
    ),
    "notes of another mention": (
        "iter([one.linked(hits)", "iter([replace(one, notes=flat[0].notes).linked(hits)",
    ),
    "a part of the titles is scored": (
        "flat, most, most)", "flat, 1, 1)",
    ),
}  # fmt: skip
TABLE_FAULTS = {
    "folded before exact": ("if mention in self._exact:", "if False:"),
    "not folded": ("self._folded.get(_fold(mention))", "self._folded.get(mention)"),
}


@pytest.mark.parametrize("fault", [*FAULTS, *TABLE_FAULTS])
def test_a_fault_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault in FAULTS:
        faulty = load_with_fault("tasks.retrieval.linking", FAULTS[fault])
        monkeypatch.setattr(linking, "link", faulty.link)
    else:
        faulty = load_with_fault("tasks.retrieval.mention_table", TABLE_FAULTS[fault])
        monkeypatch.setattr(linking, "MentionTable", faulty.MentionTable)
    seen = 0
    for check in CHECKS:
        try:
            check()
        except (AssertionError, ValueError, IndexError, InputError):
            seen += 1
    assert seen
