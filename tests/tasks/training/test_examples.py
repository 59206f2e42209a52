"""Training examples: what they are made of, and that dev questions are no part of it."""

from __future__ import annotations

from itertools import chain, pairwise
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.lm.trie.file import load
from ergotext.lm.trie.lines import Lines
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.training.examples import Example, Shares, Stream
from ergotext.tasks.training.seq2seq.stream import BLOCK, Feed
from ergotext.tasks.training.sources import (
    Base,
    KnownQuestion,
    Name,
    Template,
    key_texts,
    read_templates,
)
from tests.tasks.little_base import PREDICATES, LittleBase

ANSWER = Triple("苹果（公司）", "创始人", "乔布斯")
ASKED = KnownQuestion.of("请问苹果的创始人是谁？", ANSWER)
BASE = Base([Name("长江"), Name("李白", "诗人"), Name("IBM")], ["总长", "作者"])
TEMPLATES = [Template("总长", "{subject}有多长"), Template("born", "when was {subject} born?")]
ONLY = dict.fromkeys(("real", "renamed", "swapped", "template", "plain"), 0.0)


def made(kind: str, asked: list[KnownQuestion] | None = None, count: int = 200) -> set[Example]:
    shares = Shares(**{**ONLY, kind: 1.0})
    stream = Stream([ASKED] if asked is None else asked, BASE, TEMPLATES, shares, 0)
    return set(stream.block(0, count))


def test_what_a_question_is_parted_into() -> None:
    assert ASKED.name == Name("苹果", "公司") and ASKED.name.key("创始人") == "苹果\t创始人\t公司"
    assert (ASKED.subject_at, ASKED.predicate_at) == (2, 5)
    twice = KnownQuestion.of("苹果和苹果的产地", Triple("苹果", "产地", "?"))
    assert (twice.subject_at, twice.predicate_at) == (-1, -1)
    within = KnownQuestion.of("产地证的产地", Triple("产地证", "产地", "?"))
    assert (within.subject_at, within.predicate_at) == (0, -1)
    assert KnownQuestion.of("苹果产自哪里", Triple("苹果", "产地", "?")).predicate_at == -1


def test_each_kind_is_what_it_says() -> None:
    assert made("real") == {Example("请问苹果的创始人是谁？", "苹果\t创始人\t公司", ANSWER)}
    assert made("renamed") == {
        Example("请问长江的创始人是谁？", "长江\t创始人"),
        Example("请问李白的创始人是谁？", "李白\t创始人"),
        Example("请问IBM的创始人是谁？", "IBM\t创始人"),
    }
    swapped = made("swapped")
    assert len(swapped) == 6 and Example("请问李白的作者是谁？", "李白\t作者") in swapped
    assert made("template") == {
        Example("长江有多长", "长江\t总长"),
        Example("李白有多长", "李白\t总长"),
        Example("IBM有多长", "IBM\t总长"),
        Example("when was IBM born?", "IBM\tborn"),
    }
    plain = made("plain", count=2000)
    assert Example("李白的作者是什么？", "李白\t作者") in plain
    assert any("\t总长" in one.key and "总长" not in one.question for one in plain)  # frayed
    assert all(one.key.split("\t")[0] in one.question for one in plain)


def test_shares_are_kept_and_blocks_come_again_alike() -> None:
    shares = Shares(real=3, renamed=0, swapped=0, template=1, plain=0)
    stream = Stream([ASKED], BASE, TEMPLATES, shares, 5)
    block = stream.block(7, 4000)
    assert abs(sum(one.answer is not None for one in block) / 4000 - 0.75) < 5 * 0.007
    assert block == Stream([ASKED], BASE, TEMPLATES, shares, 5).block(7, 4000)
    assert block != stream.block(8, 4000)
    assert block != Stream([ASKED], BASE, TEMPLATES, shares, 6).block(7, 4000)


def test_kinds_without_material_are_left_out() -> None:
    shares = Shares()
    block = Stream([], BASE, [], shares, 0).block(0, 50)
    assert all(one.answer is None for one in block)
    with pytest.raises(InputError, match="no training example"):
        Stream([], BASE, [], Shares(**{**ONLY, "template": 1.0}), 0)
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="real must be"):
            Shares(real=bad)
    with pytest.raises(InputError, match="must not all be 0"):
        Shares(**ONLY)


def test_batches_hold_the_examples_of_their_block_by_length() -> None:
    stream = Stream([ASKED], BASE, TEMPLATES, Shares(), 0)
    feed = Feed(stream, 4, lambda examples, number: {})
    batches = [feed.examples(number) for number in range(BLOCK)]
    assert sorted(chain.from_iterable(batches), key=str) == sorted(
        stream.block(0, 4 * BLOCK), key=str
    )
    lengths = [[len(one.question) + len(one.key) for one in batch] for batch in batches]
    spans = sorted((min(each), max(each)) for each in lengths)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    later = Feed(stream, 4, lambda examples, number: {})
    assert later.examples(13) == feed.examples(13)


def test_the_strings_of_an_index(little: LittleBase) -> None:
    trie = load(little.index)
    lines = little.lines.read_text(encoding="utf-8").splitlines()
    texts = list(key_texts(trie))
    assert len(texts) == len(set(texts)) == len(trie) == len(lines)
    assert [trie.objects(text) for text in texts] == [
        trie.values_at(ordinal) for ordinal in range(len(trie))
    ]
    base = Base.of(trie)
    assert set(base.predicates) == set(PREDICATES) and Name("苹果", "公司") in base.names


def test_templates_are_read_and_bad_lines_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    text = "总长\t{subject}有多长\r\n\nno tab\n作者\tnowhere\n"
    path.write_bytes(text.encode() + b"\xff\t{subject}\n")
    lines = Lines()
    assert read_templates([path], lines) == [Template("总长", "{subject}有多长")]
    assert (lines.read, lines.bad) == (4, 3) and "line 3" in lines.shown[0]
    path.write_text("nothing\n")
    with pytest.raises(InputError, match="contains no templates"):
        read_templates([path], Lines())
    with pytest.raises(InputError, match="cannot read"):
        read_templates([tmp_path / "none"], Lines())
