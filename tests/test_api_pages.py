"""The API pages: what they name exists, and every public name is on one."""

from __future__ import annotations

import re
from importlib import import_module
from types import ModuleType

import pytest

from tests.paths import ROOT

PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
ENTRY = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)
ROOMS = ("ergotext", "ergotext.samplers", "ergotext.lm.automata", "ergotext.lm.trie")


def found(path: str) -> object:
    """What a dotted path leads to."""
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            thing = getattr(thing, name)
        return thing
    raise ModuleNotFoundError(path)


def named(text: str) -> list[str]:
    """The paths that a page documents, members of modules one by one."""
    paths = []
    for path, options in ENTRY.findall(text):
        paths.append(path)
        if members := re.search(r"members: \[(.*)\]", options):
            paths += [f"{path}.{name.strip()}" for name in members[1].split(",")]
        elif isinstance(thing := found(path), ModuleType):
            paths += [f"{path}.{name}" for name in vars(thing) if not name.startswith("_")]
    return paths


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_exists(page) -> None:
    for path in named(page.read_text(encoding="utf-8")):
        found(path)


def test_every_public_name_is_on_a_page() -> None:
    shown = {id(found(path)) for page in PAGES for path in named(page.read_text(encoding="utf-8"))}
    queue, missing, seen = [import_module(room) for room in ROOMS], [], set()
    while queue:
        room = queue.pop()
        seen.add(room)
        for name in room.__all__:
            thing = getattr(room, name)
            if isinstance(thing, ModuleType):
                queue += [thing] if hasattr(thing, "__all__") and thing not in seen else []
            elif id(thing) not in shown:
                missing.append(f"{room.__name__}.{name}")
    assert missing == [], "add these to a page in docs/api"
