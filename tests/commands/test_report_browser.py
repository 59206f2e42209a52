"""Reports in a real Chromium, where one is installed: nothing is loaded, all fits, axe's rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from ergotext.cli import main
from tests.paths import ROOT
from tests.server.test_browser import CHROMIUM, QUIET

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
SMALL = ["--model", "tiny-causal", "--max-length", "16"]
CHAINS = ["--chains", "2", "--steps", "40", "--length", "8"]
COMMANDS = {
    "particles": ["write", "summer", "beach", *SMALL, "--particles", "16"],
    "chains": ["sample", "--keyword", "summer", *CHAINS, "--sampler", "mh", *SMALL, "-n", "4"],
    "weights": ["sample", "--regex", "[ab]{1,9}", "--sampler", "importance", "-n", "30", *SMALL],
    "choices": ["generate", "It is", "--choice", " on", "--choice", " no", *SMALL[:2]],
    "answers": ["retrieve", "-i", "facts.ergo", "Who painted Guernica?", "How tall is Godzilla?"],
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    index, facts = folder / "facts.ergo", ROOT / "examples" / "facts.tsv"
    made = ["index", "build", str(facts), "-o", str(index), "--tokenizer", "tiny-retriever"]
    assert main(made) == 0
    found = {name: folder / f"{name}.html" for name in COMMANDS}
    for name, command in COMMANDS.items():
        asked = [str(index) if one == "facts.ergo" else one for one in command]
        assert main([*asked, "--report", str(found[name])]) == 0
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "light") for name in COMMANDS), ("particles", "dark"), ("answers", "dark")],
)
def test_a_page_on_a_phone(name: str, scheme: str, browser: Browser, pages: dict) -> None:
    size = {"width": 390, "height": 844}
    context = browser.new_context(color_scheme=scheme, viewport=size)
    page = context.new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text))
    page.on("request", lambda one: asked.append(one.url))
    page.goto(pages[name].as_uri())
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert asked == [pages[name].as_uri()] and not wrong
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()
