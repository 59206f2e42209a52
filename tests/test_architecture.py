"""The pictures of the architecture show the imports as they are."""

from __future__ import annotations

import sys

from tests.paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from diagram import ordered, pictures
from imports import Checkout

IMAGES = ROOT / "docs" / "images"


def test_pictures_are_up_to_date() -> None:
    drawn = pictures(Checkout(ROOT))
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name, text in drawn.items():
        assert f"images/{name}" in page
        assert (IMAGES / name).read_text(encoding="utf-8") == text, (
            f"{name} is out of date: run python benchmarks/diagram.py"
        )


def test_rooms_stand_above_what_they_import() -> None:
    assert ordered(["a", "b", "c"], {("c", "b"), ("b", "a"), ("c", "a")}) == ["c", "b", "a"]
