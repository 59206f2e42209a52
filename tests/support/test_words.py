"""Where words begin and end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.support.words import (
    LINE_BREAKS,
    Keyword,
    boundaries,
    count_words,
    find_word,
    holds_words,
    is_unspaced,
    spellings_used,
)


@pytest.mark.parametrize(
    ("text", "word", "at"),
    [
        ("the sun shone", "sun", 4),
        ("sunny sun", "sun", 6),
        ("midsummer", "summer", -1),
        ("sun_flower", "sun", -1),
        ("sun2", "sun", -1),
        ("sun's", "sun", 0),
        ("(sun)", "sun", 1),
        ("Sun", "sun", -1),
        ("ice  cream", "ice cream", -1),
        ("the U.S. won", "U.S.", 4),
        ("C++20", "C++", 0),  # a sign does not run into a letter
        ("海滩上", "海", 0),
        ("我的iPhone很好", "iPhone", 2),
        ("iPhone12", "iPhone", -1),
        ("cafe\u0301", "cafe", -1),  # an accent in a character of its own
        ("sun\u00ady", "sun", -1),  # a soft hyphen parts nothing
        ("sun\u200bny", "sun", -1),
        ("海\u3099", "海", -1),
        ("", "sun", -1),
    ],
)
def test_find_word(text: str, word: str, at: int) -> None:
    assert find_word(text, word) == at


@pytest.mark.parametrize(
    ("text", "words", "in_order", "in_any"),
    [
        ("a b c", ["a", "c"], True, True),
        ("c b a", ["a", "c"], False, True),
        ("a b", ["a", "a"], False, False),
        ("a b a", ["a", "a"], True, True),
        ("ice cream", ["ice", "ice cream"], False, True),
        ("ice or ice cream", ["ice", "ice cream"], True, True),
        ("海滩", ["海", "滩"], True, True),
        ("anything", [], True, True),
    ],
)
def test_holds_words(text: str, words: list[str], in_order: bool, in_any: bool) -> None:
    assert holds_words(text, words) == in_order
    assert holds_words(text, words, any_order=True) == in_any


@pytest.mark.parametrize(
    ("text", "words", "in_order", "in_any"),
    [
        ("she threw a ball", [("throw", "threw"), "ball"], True, True),
        ("a ball she threw", [("throw", "threw"), "ball"], False, True),
        ("throwing a ball", [("throw", "threw"), "ball"], False, False),
        ("ice cream", [("ice cream", "ice"), "cream"], True, True),  # what ends first counts
        ("cream", [("ice cream", "cream")], True, True),
        ("a dog", ["dog", ("dog", "dogs")], False, True),
        ("a dog", [("dog", "dogs"), ("dogs", "dog")], False, False),  # one keyword twice
        ("dogs and a dog", [("dog", "dogs"), ("dogs", "dog")], True, True),
    ],
)
def test_alternatives(text: str, words: list[Keyword], in_order: bool, in_any: bool) -> None:
    assert holds_words(text, words) == in_order
    assert holds_words(text, words, any_order=True) == in_any


def test_words_that_must_not_occur_and_how_many_there_are() -> None:
    assert holds_words("sunny", ["sunny"], without=["sun", "rain"])
    assert not holds_words("the rain", [], without=["sun", "rain"])
    assert holds_words("one two", [], words_between=(2, 3))
    assert not holds_words("one", [], words_between=(2, 3))
    assert not holds_words("1 2 3 4", [], words_between=(2, 3))
    assert holds_words("a sun\nb", ["sun"]) and not holds_words("a sun\nb", ["sun"], one_line=True)
    assert all(len(f"a{char}b".splitlines()) == 2 for char in LINE_BREAKS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" - … ! ", 0),
        ("The dog's well-known ball, isn’t it?", 6),
        ("rock 'n' roll -- and -more", 5),
        ("dogs' 3.14 snake_case", 4),
        ("cafe\u0301 so\u00adft", 2),
        ("我的iPhone很好。", 5),
        ("ひらがな、カタ", 6),
        ("привет, мир", 2),
    ],
)
def test_count_words(text: str, words: int) -> None:
    assert count_words(text) == words


def test_which_alternative_was_used() -> None:
    words = [("throw", "threw"), "ball", ("cat", "cats")]
    assert spellings_used("threw a ball", words) == ["threw", "ball", None]


@pytest.mark.parametrize(
    ("keyword", "message"),
    [((), "no alternatives"), ((1,), "must be one text"), (3, "must be a list of texts")],
)
def test_what_is_no_keyword(keyword: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        holds_words("", [keyword])


@given(st.text("ab7_ -海\u3099é\u0301\u200b\u00ad\u1100\u1161", max_size=9))
def test_boundaries_are_those_of_find_word(text: str) -> None:
    """Of every span with visible ends."""
    begins, ends = boundaries(text)
    assert len(begins) == len(ends) == len(text) + 1
    hidden = "\u200b\u00ad"
    for start in range(len(text)):
        for stop in range(start + 1, len(text) + 1):
            word = text[start:stop]
            if word[0] not in hidden and word[-1] not in hidden:
                assert (begins[start] and ends[stop]) == (find_word(text, word, start) == start)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("7.5", ["7.5"]),
        ("1,000.5 km", ["1,000.5", "km"]),
        ("iOS 7.5", ["iOS", "7.5"]),
        ("in 7. Then", ["in", "7", "Then"]),
        ("7, 8", ["7", "8"]),
        ("v7.x", ["v7", "x"]),
        ("他7.5岁", ["他", "7.5", "岁"]),
    ],
)
def test_no_span_begins_or_ends_inside_a_number(text: str, spans: list[str]) -> None:
    """Of the runs of letters and digits, and of numbers, just these are spans."""
    begins, ends = boundaries(text)
    found = {
        text[a:b]
        for a in range(len(text))
        for b in range(a + 1, len(text) + 1)
        if begins[a] and ends[b]
    }
    assert set(spans) <= found
    assert not {"5", "1", "000", "000.5", "iOS 7", ".5", "1,000"} & found
    assert ("7" in spans) == ("7" in found)


letters = st.text("abcdefgéñжя", min_size=1, max_size=5)


@given(left=letters, word=letters, right=letters)
def test_spaces_and_stops_part_words_and_letters_do_not(left: str, word: str, right: str) -> None:
    assert find_word(f"{left} {word}. {right}", word) >= 0
    glued = f"#{left}{word}{right}#"
    assert find_word(glued, word) == -1


@given(st.text(), st.text(min_size=1))
def test_what_is_found_stands_there(text: str, word: str) -> None:
    at = find_word(text, word)
    assert at == -1 or text[at : at + len(word)] == word


def test_scripts() -> None:
    assert all(map(is_unspaced, "海ひカ丂ไ")) and not any(map(is_unspaced, "aж한é1 "))
