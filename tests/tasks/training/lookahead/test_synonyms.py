"""Synonyms: read from files, and put in place of pieces of a text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.lm.trie.lines import Lines
from ergotext.tasks.training.lookahead.synonyms import Synonyms, read_synonyms


def test_reworded() -> None:
    same = Synonyms(
        [["保存", "储存", "存放"], ["方法", "怎么"], ["保存", "珍藏"], ["保存方法", "咋存"]]
    )
    rng = random.Random(0)
    told = {same.reworded("保存方法", rng) for _ in range(300)}
    assert told == {"储存方法", "存放方法", "珍藏方法", "保存怎么", "咋存"}
    assert same.reworded("高度", rng) == "高度" == Synonyms().reworded("高度", rng)


def test_long_pieces_are_likelier() -> None:
    same, rng = Synonyms([["出生日期", "诞辰"], ["日期", "时间"]]), random.Random(0)
    told = [same.reworded("出生日期", rng) for _ in range(2000)]
    assert set(told) == {"诞辰", "出生时间"}
    assert abs(told.count("诞辰") - 1600) < 90  # four to one


def test_a_word_beside_itself_is_no_group(tmp_path: Path) -> None:
    assert Synonyms([["高度", "高度"]]).reworded("高度", random.Random(0)) == "高度"
    path, lines = tmp_path / "same.tsv", Lines()
    path.write_text("高度\t高度\n保存\t储存\t保存\n", encoding="utf-8")
    assert read_synonyms([path], lines) == [["保存", "储存"]]
    assert lines.bad == 1


def test_files(tmp_path: Path) -> None:
    path, lines = tmp_path / "same.tsv", Lines()
    path.write_text("保存\t储存\r\n\n高度\n多高\t\t身高\n", encoding="utf-8")
    assert read_synonyms([path], lines) == [["保存", "储存"], ["多高", "身高"]]
    assert (lines.read, lines.bad) == (3, 1) and "line 3" in lines.shown[0]
    path.write_text("高度\n", encoding="utf-8")
    with pytest.raises(InputError, match="contains no groups"):
        read_synonyms([path], lines)
    with pytest.raises(InputError, match="cannot read"):
        read_synonyms([tmp_path / "none"], lines)
