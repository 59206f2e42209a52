"""Keywords and numbers of words as they are typed."""

from __future__ import annotations

import pytest

from ergotext.commands.keyword_options import keyword_of, window_of
from ergotext.errors import InputError
from ergotext.support.words import Keyword


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("dog", "dog"),
        ("ice cream", "ice cream"),
        ("throw|throws|threw", ("throw", "throws", "threw")),
        (" give up | gave up ", ("give up", "gave up")),
        ("a|a", "a"),
        ("扔｜丢", ("扔", "丢")),
        ("", ""),  # refused where keywords are
    ],
)
def test_keywords(text: str, keyword: Keyword) -> None:
    assert keyword_of(text) == keyword


@pytest.mark.parametrize("text", ["|", " | | ", "a|", "|a", "a||b"])
def test_bars_alone(text: str) -> None:
    with pytest.raises(InputError, match="has an empty alternative"):
        keyword_of(text)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("8-15", (8, 15)),
        (" 8 – 15 ", (8, 15)),
        ("8", (8, 8)),
        ("0-0", (0, 0)),
        ("８－１５", (8, 15)),
    ],
)
def test_windows(text: str, window: tuple[int, int]) -> None:
    assert window_of(text) == window


@pytest.mark.parametrize("text", ["", "-", "8-", "-8", "8-15-20", "a-b", "1.5-2", "15-8", "٣"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(InputError, match="number of words must be given"):
        window_of(text)
