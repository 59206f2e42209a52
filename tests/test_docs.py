"""The pages of docs/: what they name exists, every sampler has its page, and their code runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ergotext.samplers.catalog import CATALOG
from tests.paths import DOCS, ROOT

THEORY = sorted((DOCS / "theory").glob("*.md"))
SECTIONS = [
    "The equation", "What it promises", "When it fails, and how you see it", "Cost", "Source",
    "The test that proves it",
]  # fmt: skip


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def quoted_tests(text: str) -> list[str]:
    """What is quoted as path::name."""
    return re.findall(r"`(tests/[\w/.]+::\w+)`", text)


def missing_tests(text: str) -> list[str]:
    """Those that no file of tests/ defines."""
    missing = []
    for quoted in quoted_tests(text):
        path, name = quoted.split("::")
        body = ast.parse((ROOT / path).read_text("utf-8")).body if (ROOT / path).is_file() else []
        if not any(isinstance(one, ast.FunctionDef) and one.name == name for one in body):
            missing.append(quoted)
    return missing


def unlisted_samplers(titles: list[str]) -> list[str]:
    """Samplers that no title names, or several."""
    named = [name for title in titles for name in re.findall(r"`([\w-]+)`", title.split(":")[0])]
    return [name for name in [*CATALOG, "beam"] if named.count(name) != 1]


def test_every_sampler_has_its_page() -> None:
    titles = [text_of(page).splitlines()[0] for page in THEORY]
    assert not unlisted_samplers(titles), "each needs one page in docs/theory that is named for it"
    assert unlisted_samplers(titles[1:]) and unlisted_samplers([*titles, titles[0]])


@pytest.mark.parametrize("page", THEORY, ids=lambda page: page.stem)
def test_a_page_on_a_sampler_has_all_that_it_should(page: Path) -> None:
    text = text_of(page)
    assert re.findall(r"^## (.*)$", text, re.M) == SECTIONS
    assert quoted_tests(text[text.index("## The test that proves it") :])


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_quoted_tests_exist(page: Path) -> None:
    assert not missing_tests(text_of(page))


def test_a_test_that_is_gone_is_seen() -> None:
    here = "tests/test_docs.py::test_quoted_tests_exist"
    gone = ["tests/test_docs.py::test_nothing", "tests/test_nothing.py::test_quoted_tests_exist"]
    assert missing_tests(" ".join(f"`{one}`" for one in [here, *gone])) == gone
