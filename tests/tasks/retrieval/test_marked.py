"""Marked mentions: what is read, what is cut, what is refused."""

from __future__ import annotations

import pytest

from ergotext.errors import InputError
from ergotext.tasks.retrieval.marked import check_marks, parse_marked

TEXT = "The [START_ENT] US [END_ENT] and [START_ENT]  UK[END_ENT], 在[START_ENT]北京 [END_ENT]。"
PLAIN = "The US and UK, 在北京。"


def test_mentions_of_a_text() -> None:
    found = parse_marked(TEXT)
    assert [one.mention for one in found] == ["US", "UK", "北京"]
    assert {one.plain for one in found} == {PLAIN}
    assert [PLAIN[one.start : one.stop] for one in found] == ["US", "UK", "北京"]
    assert [one.question for one in found] == [
        "The [START_ENT] US [END_ENT] and UK, 在北京。",
        "The US and [START_ENT]  UK[END_ENT], 在北京。",
        "The US and UK, 在[START_ENT]北京 [END_ENT]。",
    ]


def test_marks_of_ones_own() -> None:
    (one,) = parse_marked("a (.*) <<b>> c", ("<<", ">>"))
    assert (one.plain, one.mention, one.question) == ("a (.*) b c", "b", "a (.*) <<b>> c")
    for marks in (("<", ""), ("<", "<"), ("<", "<<"), (" ", ">")):
        with pytest.raises(InputError, match="marks must be two different texts"):
            check_marks(marks)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no mention", r"text 3 has no marked mention: put < … > around one"),
        ("", r"text 3 has no marked mention"),
        ("a <b", r"text 3: the mention at character 2 has no >: add it"),
        ("a b> c", r"text 3: > at character 3 ends no mention: put < before it"),
        ("<a> b> c", r"text 3: > at character 5 ends no mention"),
        ("a <b <c> d>", r"text 3: < at character 5 is inside another mention: end that one with >"),
        ("a < > c", r"text 3: the mention at character 2 is empty: put a text between < and >"),
        ("<>", r"text 3: the mention at character 0 is empty"),
    ],
)
def test_bad_marks(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        parse_marked(text, ("<", ">"), "text 3")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("before", [0, 3, 200])
@pytest.mark.parametrize("after", [0, 5, 200])
def test_as_much_as_fits(before: int, after: int) -> None:
    (one,) = parse_marked("x" * before + "<mention>" + "y" * after, ("<", ">"))
    for room in (9, 10, 30, 120, 500):
        short = one.shortened(lambda question, room=room: len(question) <= room)
        assert short is not None and short.mention == "mention"
        assert len(short.question) == min(room, 9 + before + after)  # all that there is room for
        assert short.question in one.question
        left, right = short.start, len(short.plain) - short.stop
        if left < before and right < after:
            assert abs(left - right) <= 1
    assert one.shortened(lambda question: len(question) <= 8) is None
