"""Alignments beside a plain table of all cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from ergotext.lm.trie.names.align import ADDED, ALONE, LEFT_OUT, MATCH, MISMATCH, Alignments, align
from ergotext.support.words import is_unspaced


def rows(texts: list[str], fill: int) -> np.ndarray:
    width = max(map(len, texts), default=0) or 1
    return np.array([[*map(ord, text), *[fill] * (width - len(text))] for text in texts])


def aligned(pairs: list[tuple[str, str]]) -> Alignments:
    return align(rows([text for text, _ in pairs], -1), rows([name for _, name in pairs], -2))


def plain(text: str, name: str) -> int:
    """The best score of any span of the text and any part of the name, by definition."""
    table = np.zeros((len(name) + 1, len(text) + 1), dtype=int)
    for i, j in itertools.product(range(1, len(name) + 1), range(1, len(text) + 1)):
        run = min(i, j) > 1 and name[i - 2] == text[j - 2]
        worth = MATCH if run or is_unspaced(name[i - 1]) else ALONE
        step = worth if name[i - 1] == text[j - 1] else -MISMATCH
        ways = table[i - 1, j - 1] + step, table[i - 1, j] - LEFT_OUT, table[i, j - 1] - ADDED
        table[i, j] = max(0, *ways)
    return int(table.max())


def words(letters: str, most: int) -> Iterator[str]:
    for length in range(1, most + 1):
        yield from map("".join, itertools.product(letters, repeat=length))


def test_the_score_is_that_of_a_plain_table() -> None:
    pairs = [(text, name) for text in words("ab", 5) for name in words("ab", 4)]
    rng = np.random.default_rng(0)
    pairs += [
        ("".join(rng.choice(list("ab安龙"), 12)), "".join(rng.choice(list("ab安龙"), 7)))
        for _ in range(300)
    ]
    found = aligned(pairs)
    assert found.score.tolist() == [plain(*pair) for pair in pairs]
    for (text, name), start, stop, score, equal in zip(
        pairs, found.start, found.stop, found.score, found.equal, strict=True
    ):
        # The span alone is worth about as much, and begins and ends with what the name has.
        assert score - (MATCH - ALONE) <= plain(text[start:stop], name) <= score
        assert 0 <= equal <= min(stop - start, len(name)) and (equal > 0) == (score > 0)
        assert not score or (text[start] in name and text[stop - 1] in name)


@pytest.mark.parametrize(
    ("text", "name", "span", "equal"),
    [("谁是阿根廷男足的教练", "阿根廷国家男子足球队", "阿根廷男足", 5),
     ("萨维奥拉有多高", "哈维尔·萨维奥拉", "萨维奥拉", 4),
     ("彭州市人名医院在哪", "彭州市人民医院", "彭州市人名医院", 6),
     ("who was picaso", "picasso", "picaso", 6), ("xyz", "ab", "", 0), ("", "ab", "", 0)],
)  # fmt: skip
def test_spans(text: str, name: str, span: str, equal: int) -> None:
    found = aligned([(text, name), ("another and a longer text", "x")])
    assert text[found.start[0] : found.stop[0]].strip() == span and found.equal[0] == equal
