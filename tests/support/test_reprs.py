"""Representations: short, printable, escaped, and never an error."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from ergotext.support import reprs
from tests.faulty import load_with_fault


class HalfMade:
    """What a debugger shows before ``__init__`` is done."""


def check(module: ModuleType) -> None:
    def broken(self: HalfMade) -> str:
        return str(vars(self)["missing"])

    assert module.safe(broken)(HalfMade()) == "<HalfMade>"
    assert module.cut("a\tb\x1b[2J\n\u202ec", 20) == "a b [2J c"
    assert module.cut("x" * 1000, 10) == "x" * 9 + "…"
    assert module.cut("a" + " " * 99 + "b", 10) == "a…", "more follows"
    assert module.cut("夏" * 6, 8) == "夏夏夏…" and module.cut("夏天", 4) == "夏天"
    assert module.cut("e\u0301" * 4, 4) == "e\u0301" * 4, "marks take no column"
    assert module.quoted(" [a-z]+") == '" [a-z]+"', "a space counts in an expression"
    assert module.listed("abcd", 3) == "a, b, c, …" and module.listed("abc", 3) == "a, b, c"
    assert module.called("length", "14", "") == "length(14)"
    assert module.brief(HalfMade()) == "HalfMade" and module.brief(3) == "3"
    table = module.Listing("two <of> them", ["n", "text"], [["1", "x" * 99], ["10", "夏<b>"]], 1200)
    assert table.text().splitlines() == [
        "two <of> them", "   n  text", f"   1  {'x' * 71}…", "  10  夏<b>", "  … and 1,200 more",
    ]  # fmt: skip
    html = table.html()
    assert re.findall('<th style="text-align: (.*?)">', html) == ["right", "left"]
    assert "two &lt;of&gt; them" in html and "夏&lt;b&gt;" in html and "… and 1,200 more" in html
    assert "x" * 99 in html and html.count("<tr>") == 3
    assert module.Listing("none", ["n"], []).text() == "none"
    assert module.Listing("none", ["n"], []).html() == "<p>none</p>"


def test_representations() -> None:
    check(reprs)


@pytest.mark.parametrize(
    "change",
    [
        ("    except Exception:\n", "    except KeyboardInterrupt:\n"),
        ("escape(cut(cell, WIDEST))", "cut(cell, WIDEST)"),
        ("<p>{escape(self.head)}", "<p>{self.head}"),
        ("if not more and width_of", "if width_of"),
        ('2 if unicodedata.east_asian_width(char) in "WF" else 1', "1"),
        ("_within(printable(text[: most + 1]), most)", "_within(as_line(text[: most + 1]), most)"),
        ("cut(row[-1])] for row", "row[-1]] for row"),
    ],
)
def test_faults_are_seen(change: tuple[str, str]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        check(load_with_fault("support.reprs", change))
