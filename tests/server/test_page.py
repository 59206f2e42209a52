"""The page by its source: nothing from elsewhere, every field labelled, results announced."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files

from tests.server.running import Running

PAGE = (files("ergotext.server") / "page.html").read_text("utf-8")


class Elements(HTMLParser):
    """All elements of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


ELEMENTS = Elements()
ELEMENTS.feed(PAGE)


def test_it_is_sent_with_a_policy_that_lets_it_talk_to_this_server_only(here: Running) -> None:
    reply = here.get("/")
    assert reply.text == PAGE and reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy


def test_nothing_comes_from_elsewhere() -> None:
    assert "http:" not in PAGE and "https:" not in PAGE and "//" not in re.sub(r"://", "", PAGE)
    assert not any("src" in attributes for _, attributes in ELEMENTS.found)
    assert [one["href"] for one in ELEMENTS.of("link")] == ["data:,"]


def test_what_is_needed_by_who_cannot_see_it() -> None:
    assert ELEMENTS.of("html")[0]["lang"] == "en" and "<title>ergotext</title>" in PAGE
    named = {one["for"] for one in ELEMENTS.of("label")}
    fields = [one["id"] for one in ELEMENTS.of("input")]
    assert fields and named == set(fields)
    live = [one for _, one in ELEMENTS.found if one.get("aria-live") == "polite"]
    assert {one["id"] for one in live} == {"sentences", "answers"}
    identifiers = {one["id"] for _, one in ELEMENTS.found if "id" in one}
    for _, one in ELEMENTS.found:
        for name in ("aria-labelledby", "aria-describedby"):
            assert name not in one or one[name] in identifiers
    assert "prefers-color-scheme: dark" in PAGE and "width=device-width" in PAGE


def test_what_a_model_writes_is_no_markup() -> None:
    """Texts are put into the page as texts only."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", PAGE)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_enough_in_both_schemes() -> None:
    """WCAG 2.1: 4.5 to 1 for texts, 3 to 1 for the borders of fields."""
    schemes = re.findall(r":root \{(.*?)\}", PAGE, re.S)
    assert len(schemes) == 2
    for scheme in schemes:
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", scheme))
        pairs = [("ink", "ground", 4.5), ("ink", "card", 4.5), ("soft", "card", 4.5),
                 ("soft", "ground", 4.5), ("warn", "card", 4.5), ("on-accent", "accent", 4.5),
                 ("accent", "card", 4.5), ("ink", "bar", 4.5), ("line", "card", 3.0)]  # fmt: skip
        for a, b, least in pairs:
            high, low = sorted((luminance(colour[a]), luminance(colour[b])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= least, (a, b)
