"""The section of a question: its numbers are the retriever's, and the way adds up to log p."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ergotext as et
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.tasks.index import build
from ergotext.tasks.report import answers, branches
from ergotext.tasks.retrieval.candidates import Candidates
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever
from tests.faulty import load_with_fault
from tests.html import Element, check_alone, parsed
from tests.tasks.retrieval.test_two_steps import MAYOR, ahead, calibration, retriever
from tests.tiny_t5 import saved

SUBJECTS = ["苹果", "苹果（公司）", "苹果（水果）", "香蕉", "Apple Pie", "Apple", "<script>"]
PREDICATES = ["产地", "颜色", "founder", "colour"]
LINES = [f"{s}\t{p}\t{s}的{p}" for s in SUBJECTS for p in PREDICATES]
ASKED: dict[str, Any] = {
    "spans": True, "lookahead": None, "model_probability": False, "temperature": None,
    "calibration": None, "k": 2, "beams": None, "prefixes": 2048, "threshold": None,
    "coverage": None,
}  # fmt: skip
TWO = "Apple 和 香蕉 的颜色"
QUESTION = "Who is the founder of Apple Pie?"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("report")
    saved(folder / "model", LINES)
    (folder / "facts.tsv").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    build(folder / "facts.tsv", folder / "facts.ergo", tokenizer=str(folder / "model"))
    model = et.load(str(folder / "model"), device="cpu")
    assert isinstance(model, Seq2SeqLM)
    return Retriever(model, folder / "facts.ergo")


def found(base: Retriever, question: str, **more: Any) -> tuple[Hits, dict[str, Any]]:
    asked = {**ASKED, **more}
    return base.retrieve([question], progress=False, **asked)[0], asked


def page(base: Retriever, question: str, **more: Any) -> tuple[Element, Hits]:
    hits, asked = found(base, question, **more)
    html = answers.section(base, question, hits, asked)
    tree = parsed(html)
    check_alone(tree, html)
    assert tree.all("h2")[0].text == " ".join(question.split())
    return tree, hits


def check_path(module: Any, base: Retriever, question: str, spans: bool) -> None:
    """The way is that of the key, branches are those of the trie, and all adds up."""
    hits, asked = found(base, question, spans=spans)
    group = answers._group(base, question, asked)
    assert group is not None and len(hits)
    for hit in hits:
        steps = module.key_path(base.search.reader, base.trie, group, hit.tokens)
        assert sum(step.log_prob for step in steps) == pytest.approx(hit.log_prob, abs=1e-4)
        text = "".join(step.text for step in steps)
        assert text.removesuffix("(end)").rstrip() == base.trie.tokenizer.decode(
            hit.tokens
        ).replace("\t", " | ")
        assert text.endswith("(end)")
        forks = [step for step in steps if step.branches]
        assert forks and not any(not a.branches and not b.branches for a, b in pairwise(steps))
        for step in forks:
            (taken,) = [one for one in step.branches if one.taken]
            assert taken.probability == pytest.approx(step.probability)
            place = steps.index(step) + 1
            bound = steps[place].text if steps[place:] and not steps[place].branches else ""
            assert taken.text.split() == (step.text + bound).split()
            assert 1 < step.open <= step.every
            assert len(step.branches) == min(step.open, branches.SHOWN)
            shares = sum(one.share for one in step.branches)
            assert shares <= 1 + 1e-9 and (shares == pytest.approx(1)) == (
                step.open <= branches.SHOWN or shares > 1 - 1e-6
            )
            ratio = {round(one.share / one.probability, 6) for one in step.branches}
            assert max(ratio) == pytest.approx(min(ratio), rel=1e-4)
        wide = _branching(base, hit.tokens)
        texts = [base.trie.tokenizer.decode(key).replace("\t", " | ") for key in base.trie]
        for step in forks:
            before = "".join(one.text for one in steps[: steps.index(step)])
            for one in step.branches:
                begin = before + one.text.removesuffix(branches.END)
                same = [(text + " ").startswith(begin) for text in texts]
                ended = one.text.endswith(branches.END)
                assert one.entries == (1 if ended else sum(same)) and sum(same)
        if not spans:
            assert [step.every for step in forks] == [count for count in wide if count > 1]
            assert all(step.open == step.every for step in forks)
        else:
            fewer = len(forks) < sum(count > 1 for count in wide)
            assert fewer or any(step.open < step.every for step in forks)


def _branching(base: Retriever, key: tuple[int, ...]) -> list[int]:
    """How many tokens of keys of the index follow each beginning of a key."""
    keys = [(*one, base.trie.end) for one in base.trie]
    return [
        len({one[at] for one in keys if len(one) > at and one[:at] == key[:at]})
        for at in range(len(key) + 1)
    ]


@pytest.mark.parametrize("spans", [True, False])
def test_the_way_adds_up(base: Retriever, spans: bool) -> None:
    for question in (QUESTION, "苹果的产地是哪里？", "香蕉什么颜色", TWO):
        check_path(branches, base, question, spans)


PATH_FAULTS = {
    "the root is read at every step": ("if written < len(key):", "if False:"),
    "log p up to a constant": (" - decoding.log_z()[rows]", ""),
    "branches of the whole index": (
        "trie if group.paths is None else RestrictedKeys(trie, group.paths, 1)", "trie"
    ),
    "shares of all tokens": ("math.exp(law[at] - total)", "math.exp(law[at])"),
    "entries below the token alone": (
        "self.trie.span(self.plain(state))", "self.trie.span(self.plain(after[at : at + 1]))"
    ),
    "the end is left out": ("enumerate([*key, trie.end])", "enumerate([*key])"),
    "another branch is marked": ("at == taken,", "at == order[0],"),
    "the branch taken is left out": ("if taken not in order:", "if False:"),
    "of joined steps one counts": (
        "last.log_prob + step.log_prob", "step.log_prob"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PATH_FAULTS)
def test_a_wrong_way_is_seen(fault: str, base: Retriever) -> None:
    module = load_with_fault("tasks.report.branches", PATH_FAULTS[fault])
    module.SHOWN = branches.SHOWN = 2
    try:
        with pytest.raises((AssertionError, ValueError)):
            check_both(module, base)
    finally:
        branches.SHOWN = 5


def check_both(module: Any, base: Retriever) -> None:
    for question in (QUESTION, "苹果的产地是哪里？", TWO):
        for spans in (True, False):
            check_path(module, base, question, spans)


def test_answers(base: Retriever) -> None:
    tree, hits = page(base, QUESTION)
    assert [one.text for one in tree.all("p", "text")] == [" | ".join(hit.values) for hit in hits]
    for hit in hits:
        assert f"{' · '.join(hit.fields.values())}: probability" in tree.text
        assert f"log p {hit.log_prob:.1f}" in tree.text
        assert f"{hit.probability_low:.3f}"[:4] in tree.text
    marked = [one.text for one in tree.all("h2")[0].all("mark")]
    assert marked == ["Apple Pie"]
    listed = tree.all("ul")
    told = "Apple Pie as the index writes it; 4 entries"
    assert any(told in one.text for one in listed)
    assert len(tree.all("li", "entry")) > len(hits) and "of 28 entries" in tree.text


def test_with_a_look_ahead_and_two_steps() -> None:
    base = retriever()
    how = {"calibration": calibration(), "lookahead": ahead, "threshold": 0.0, "k": 9}
    tree, hits = page(base, MAYOR, **how)
    assert any(hit.then is not None for hit in hits) and "an answer of two steps" in tree.text
    assert "France · capital · Paris · mayor: Anne" in tree.all("ol", "found")[-1].text
    for hit in hits:
        if hit.then is None:
            added = f"look-ahead {hit.score - hit.log_prob:+.1f}, score {hit.score:.1f}"
            assert added in tree.text
    assert f"With probability {hits.none:.3f} the answer is none of these" in tree.text


def test_why_an_answer_was_withheld() -> None:
    base = retriever()
    how = {"calibration": calibration(odds=9.0), "lookahead": ahead, "k": 2}
    tree, hits = page(base, "What is the river of Paris?", **how)
    assert not hits and "No answer" in [one.text for one in tree.all("h3")]
    (why,) = [one.text for one in tree.all("li", "warn")]
    assert why == hits.notes[0] and "probably not in this base" in why
    entries = tree.all("li", "entry")
    assert "Paris · river" in entries[0].text and tree.all("details")


def test_below_a_threshold(base: Retriever) -> None:
    tree, hits = page(base, QUESTION, threshold=0.9999)
    assert not hits and "below 0.9999" in tree.all("li", "warn")[0].text
    assert "What would have been the answer" in tree.text


@pytest.mark.parametrize("question", ["", "where?"])
def test_nothing_to_search(base: Retriever, question: str) -> None:
    tree, hits = page(base, question)
    assert not hits and "No answer" in tree.text and hits.notes[0] in tree.text
    assert not tree.all("li", "entry")


def test_names_do_no_harm(base: Retriever) -> None:
    tree, hits = page(base, "what colour has <script>alert(1)</script>?")
    assert hits and not tree.all("script")
    assert "<script>" in tree.all("h2")[0].all("mark")[0].text


def test_all_entries(base: Retriever) -> None:
    tree, hits = page(base, "no subject", spans=False)
    assert hits and "Subjects in the question" not in tree.text
    assert "Searched all 28 entries" in tree.text


def test_a_masked_model_has_no_way(tmp_path: Path) -> None:
    (tmp_path / "facts.tsv").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    build(tmp_path / "facts.tsv", tmp_path / "facts.ergo", tokenizer="tiny-masked")
    base = Retriever(et.load("tiny-masked"), tmp_path / "facts.ergo", decode="mlm")
    tree, hits = page(base, QUESTION, prefixes=0)
    assert hits and not tree.all("ul", "branches") and tree.all("li", "entry")
    assert "probability not known" in tree.text


def test_the_look_ahead_of_every_candidate_is_shown() -> None:
    base = retriever()
    how: dict[str, Any] = {"calibration": calibration(), "lookahead": ahead, "threshold": 0.0}
    tree, _ = page(base, "the river of Paris", **how)
    group = answers._group(base, "the river of Paris", {**ASKED, **how})
    assert group is not None and group.candidates is not None
    assert isinstance(group.candidates[0], Candidates) and group.potentials is not None
    numbers = [float(n) for n in re.findall(r"look-ahead ([+-][\d.]+)", tree.text)]
    expected = sorted(np.round(group.potentials[0][np.isfinite(group.potentials[0])], 1).tolist())
    assert sorted(numbers) == pytest.approx(expected, abs=0.11)
    assert all(math.isfinite(one) for one in numbers)
