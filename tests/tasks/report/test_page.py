"""The page of a report: whole, escaped, alone and light."""

from __future__ import annotations

import pytest

from ergotext.errors import InputError
from ergotext.tasks.report import page as pages
from tests.html import check_alone, parsed

BAD = '<script>alert("1")</script>'


def test_everything_is_escaped() -> None:
    text = pages.page(["write", BAD, "'; --"], [], left_out=3)
    page = parsed(text)
    check_alone(page, text)
    assert BAD in page.all("pre")[0].text and "3 more inputs" in page.text
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    assert "width=device-width" in text and len(text) < 20_000


def test_sections_stand_as_they_are() -> None:
    page = parsed(pages.page(["write"], ["<section>one</section>", "<section>two</section>"]))
    assert [one.text for one in page.all("section")] == ["one", "two"]


def test_nothing_turns_the_line_around() -> None:
    text = pages.page(["write", "a\u202eb\x00c\x1b[31m\ud800"], [])
    assert not {"\u202e", "\x00", "\x1b"} & set(text)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pages.check_libraries()
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"jinja2 and matplotlib.*pip install"):
        pages.check_libraries()
