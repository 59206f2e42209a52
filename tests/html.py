"""HTML as a tree of elements that tests can ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br", "img", "input"})


@dataclass
class Element:
    """An element with its attributes, and what is in it, in order."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of its text, white space as a browser shows it."""
        parts = [one if isinstance(one, str) else one.text for one in self.children]
        return " ".join("".join(parts).split())

    def all(self, tag: str, kind: str | None = None) -> list[Element]:
        """The elements of a tag, and of a class, below this one."""
        return [*self._all(tag, kind)]

    def _all(self, tag: str, kind: str | None) -> Iterator[Element]:
        for one in self.children:
            if isinstance(one, str):
                continue
            classes = (one.attributes.get("class") or "").split()
            if tag in ("*", one.tag) and (kind is None or kind in classes):
                yield one
            yield from one._all(tag, kind)


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = Element(tag, dict(attrs))
        self.open[-1].children.append(one)
        if tag not in VOID:
            self.open.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parsed(text: str) -> Element:
    """The tree; AssertionError where an element is not closed, or another one is."""
    tree = _Tree()
    tree.feed(text)
    tree.close()
    assert tree.open == [tree.root]
    return tree.root


def check_alone(page: Element, text: str) -> None:
    """Nothing is loaded from anywhere, nothing runs, and no name is given twice."""
    outside = ("src", "href", "xlink:href", "action", "data", "srcset", "poster")
    for one in page.all("*"):
        assert one.tag not in ("script", "iframe", "object", "embed", "form", "base")
        assert not any(name.startswith("on") for name in one.attributes)
        for name in outside:
            value = one.attributes.get(name)
            assert value is None or value.startswith(("#", "data:,")), (one.tag, name, value)
    assert "@import" not in text and "http" not in text.replace("http-equiv", "")
    assert all(part.startswith("#") for part in text.split("url(")[1:])
    named = [one.attributes["id"] for one in page.all("*") if "id" in one.attributes]
    assert len(named) == len(set(named))
