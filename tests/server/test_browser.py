"""The page in a real Chromium, where one is installed: type, click, see; and axe's rules."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Semaphore

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from ergotext.server import writing
from ergotext.server.models import ServedModels
from ergotext.server.settings import ServerSettings
from tests.server.running import Running, running

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SHOTS = os.environ.get("ERGOTEXT_SCREENSHOTS")
"""Folder for pictures of the page, as docs show them."""
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
expect.set_options(timeout=60_000)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


def fault(said: ConsoleMessage) -> bool:
    """Whether the console says that something is wrong; that a request failed, tests see to."""
    return said.type == "error" and "Failed to load resource" not in said.text


@pytest.fixture(params=["light", "dark"])
def page(request, browser: Browser, here: Running) -> Iterator[Page]:
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": 390, "height": 844}
    )
    found = context.new_page()
    found.scheme = request.param  # type: ignore[attr-defined]  # for the names of pictures
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("console", lambda said: wrong.append(said.text) if fault(said) else None)
    asked: list[str] = []
    found.on("request", lambda one: asked.append(one.url))
    found.goto(here.address)
    yield found
    assert not wrong and all(url.startswith((here.address, "data:")) for url in asked)
    context.close()


def checked(page: Page, name: str) -> None:
    """No rule of axe is broken, nothing is wider than a phone; a picture, if asked for."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if SHOTS and page.scheme == "light":  # type: ignore[attr-defined]
        page.screenshot(path=Path(SHOTS) / f"page-{name}.png", full_page=True)


def test_keywords_become_sentences(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(page.get_by_text("tiny-causal writes, tiny-retriever answers.")).to_be_visible()
    page.evaluate("""() => {
        window.seen = new Set();
        window.changes = 0;
        new MutationObserver(() => {
            seen.add(document.getElementById("forming").textContent);
            changes += 1;
        }).observe(document.getElementById("forming"), {childList: true, characterData: true});
    }""")
    on, changes = Semaphore(0), 0
    paced = writing.paced
    monkeypatch.setattr(writing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(
        writing, "paced", lambda tell: paced(lambda one: (tell(one), on.acquire(timeout=60))[0])
    )
    page.get_by_label("Keywords").fill("dog, ball")
    page.keyboard.press("Enter")
    sentences = page.locator("#sentences li .answer")
    while page.evaluate("seen.size") < 4:  # as it forms, which goes on when this has been seen
        page.wait_for_function("before => changes > before", arg=changes, timeout=60_000)
        changes = page.evaluate("changes")
        on.release()
    on.release(10**6)
    expect(sentences.first).to_be_visible()
    for text in sentences.all_inner_texts():
        assert "dog" in text and "ball" in text
    assert {"dog", "ball"} <= set(page.locator("#sentences mark").all_inner_texts())
    expect(page.get_by_role("button", name="Write")).to_be_enabled()
    checked(page, "keywords")


def test_a_run_can_be_stopped(page: Page) -> None:
    page.route("**/v1/sample", lambda route: route.continue_(
        post_data='{"keywords": ["dog"], "sampler": "mh", "steps": 5000, "chains": 16}'
    ))  # fmt: skip
    page.get_by_label("Keywords").fill("dog")
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#forming")).not_to_be_empty()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Write")).to_be_enabled()


def test_a_question_is_answered_or_not(page: Page) -> None:
    page.get_by_label("Question").fill("Who painted Guernica?")
    page.get_by_role("button", name="Ask").click()
    first = page.locator("#answers li").first
    expect(first).to_contain_text("Pablo Picasso")
    expect(first).to_contain_text("Guernica · painter")
    expect(first).to_contain_text("probability 0.8")
    checked(page, "question")
    page.get_by_label("Question").fill("Who painted the ceiling of my kitchen?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("I don't know.")).to_be_visible()
    checked(page, "unknown")


def test_errors_are_shown(page: Page) -> None:
    page.get_by_label("Keywords").fill('""  ,')
    page.keyboard.press("Enter")
    expect(page.get_by_text("type at least one keyword")).to_be_visible()
    expect(page.get_by_label("Keywords")).to_be_focused()
    page.route("**/v1/retrieve", lambda route: route.abort())
    page.get_by_label("Question").fill("x")
    page.keyboard.press("Enter")
    expect(page.get_by_text("the server cannot be reached")).to_be_visible()


def test_a_token_is_asked_for(browser: Browser, models: ServedModels) -> None:
    with running(models, ServerSettings(token="se-cret")) as closed:
        page = browser.new_page()
        page.goto(closed.address)
        field = page.get_by_label("This server needs a token")
        expect(field).to_be_focused()
        field.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("not known yet: this server needs a token")).to_be_visible()
        field.fill("se-cret")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Keywords")).to_be_focused()
        expect(field).to_be_hidden()
        page.close()
