"""Which word of a list each character of a text is in."""

from __future__ import annotations

import pytest

from ergotext.tasks.retrieval.lookahead import words as module
from ergotext.tasks.retrieval.lookahead.words import Words

LIST = ["出生", "出生日期", "日", "地", "height", "high", "größe"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("出生地", [1, 1, 4]),
        ("出生日期", [2, 2, 2, 2]),
        ("出生日", [1, 1, 3]),
        ("出出生", [0, 1, 1]),
        # A Latin word from end to end: no part of one, and in either case.
        ("height", [5] * 6),
        ("Height?", [5] * 6 + [0]),
        ("heights", [0] * 7),
        ("highheight", [0] * 10),
        ("high height", [6] * 4 + [0] + [5] * 6),
        ("Größe的日", [7] * 5 + [0, 3]),
        ("\x00日1地", [0, 3, 0, 4]),
    ],
)
def test_numbers(text: str, numbers: list[int]) -> None:
    words = Words(LIST)
    assert words.numbers(text) == numbers
    assert words.numbers(text) == numbers  # as kept


def test_no_words() -> None:
    words = Words([])
    assert len(words) == 0 and words.numbers("出生 x") == [0] * 4


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    words = Words(LIST)
    for number in range(100):
        assert words.numbers(f"日{number}")[0] == 3
        assert len(words._known) <= 10
