from __future__ import annotations

from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie import blocks as blocks_module
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.tree import TokenTrie

GOOD = """苹果（水果）	产地	山东
苹果（公司）	创始人	史蒂夫
香蕉	产地	é海南
香蕉	产地	广东
（括号）	是	不拆
a（b（c）	是	先拆
"""


def texts(trie: TokenTrie) -> dict[str, list[str]]:
    tokenizer = trie.tokenizer
    assert tokenizer is not None
    return {tokenizer.decode(key): trie.objects(key) for key in trie.keys()}  # noqa: SIM118 - no dict


EXPECTED = {
    "苹果\t产地\t水果": ["山东"],
    "苹果\t创始人\t公司": ["史蒂夫"],
    "香蕉\t产地": ["é海南", "广东"],
    "（括号）\t是": ["不拆"],
    "a\t是\tb（c": ["先拆"],
}


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_triples(tmp_path: Path, block: int, newline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "_BLOCK", block)
    path = tmp_path / "kb.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.rstrip("\n").replace("\n", newline).encode())
    trie, lines = build_from_lines(path, strict=True, run_bytes=50)
    assert texts(trie) == EXPECTED
    assert (lines.read, lines.bad) == (6, 0)


def test_other_columns_and_tokenizers(tmp_path: Path) -> None:
    path = tmp_path / "kb.tsv"
    path.write_text("山东\t苹果（水果）\t产地\n", encoding="utf-8")
    tokenizer = CharacterTokenizer("山")
    trie, _ = build_from_lines(path, tokenizer, columns=("object", "subject", "predicate"))
    assert texts(trie) == {"苹果\t产地\t水果": ["山东"]} and trie.tokenizer is tokenizer
    path.write_text("二 titles\nb\n", encoding="utf-8")
    assert texts(build_from_lines(path, columns=("key",))[0]) == {"二 titles": [], "b": []}


class Words:
    """A tokenizer that is not ours: one id for each length of a word."""

    alphabet = CharacterTokenizer("").alphabet

    def encode(self, text: str) -> list[int]:
        return [2 + len(word) for word in text.split()]

    def encode_many(self, texts: list[str]) -> tuple[object, object]:
        import numpy as np

        rows = [self.encode(text) for text in texts]
        return np.array([i for row in rows for i in row]), np.cumsum([0, *map(len, rows)])

    def decode(self, ids: list[int]) -> str:
        return " ".join("x" * (i - 2) for i in ids)


def test_a_tokenizer_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "kb.tsv"
    path.write_text("a bb\tccc\tobject\n", encoding="utf-8")
    assert texts(build_from_lines(path, Words())[0]) == {"x xx xxx": ["object"]}
    path.write_text(f"\u2003\t \tnothing\na\t{'x' * 999}\tnone\nx\tyy\tobject\n", encoding="utf-8")
    trie, lines = build_from_lines(path, Words())
    assert texts(trie) == {"x xx": ["object"]} and (lines.read, lines.bad) == (3, 2)
    assert "line 1: a key without tokens" in lines.shown[0]
    assert "line 2: a key with token 1001" in lines.shown[1]


def test_bad_lines_are_counted_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "kb.tsv"
    bad = b"no tabs\n\na\t\tb\n\xff\tb\tc\na\tb\tc\td\na\tb\n\n"
    path.write_bytes(b"s\tp\to\n" + bad + GOOD.encode())
    trie, lines = build_from_lines(path)
    assert texts(trie) == EXPECTED | {"s\tp": ["o"]}
    assert (lines.read, lines.bad) == (14, 7)
    assert [line.partition(", ")[2] for line in lines.shown] == [
        "line 2: 1 field where 3 are expected",
        "line 3: 1 field where 3 are expected",
        "line 4: an empty field",
        "line 5: byte 1 is not UTF-8",
        "line 6: 4 fields where 3 are expected",
    ]
    with pytest.raises(InputError, match="line 2: 1 field where"):
        build_from_lines(path, strict=True)


def test_all_lines_bad_and_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "kb.tsv"
    for content, bad in [(b"", 0), (b"\xff\n", 1), (b"a\tb", 1)]:
        path.write_bytes(content)
        trie, lines = build_from_lines(path)
        assert len(trie) == 0 and lines.bad == bad


@pytest.mark.parametrize("columns", [("subject",), ("key", "predicate"), ("key", "key"), ("x",)])
def test_columns_that_make_up_no_key(tmp_path: Path, columns: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="do not make up a key"):
        build_from_lines(tmp_path / "kb.tsv", columns=columns)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .* \(No such file"):
        build_from_lines(tmp_path / "none.tsv")
