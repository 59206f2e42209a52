"""``et.report``: the page of a result, the same section as that of the command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import ergotext as et
from ergotext.cli import main
from ergotext.lm.causal import CausalLM
from ergotext.tasks.report.page import MOST
from tests.html import Element, check_alone, parsed

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


def read(file: Path) -> Element:
    text = file.read_text("utf-8")
    page = parsed(text)
    check_alone(page, text)
    assert page.all("h1")[0].text == "ergotext" and "command" not in page.text
    return page


def without_seconds(text: str) -> str:
    return re.sub(r"\d+\.\d s\b", "# s", text)


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("name", ["mh", "smc", "annealing"])
def test_a_run(name: str, record: bool, placed_lm: CausalLM, tmp_path: Path) -> None:
    energy = et.fluency(placed_lm) + et.length(5)
    count: dict[str, Any] = {"n": 8} if name == "smc" else {"chains": 2, "steps": 20}
    result = et.sample(
        energy, name, **count, max_length=8, seed=3, progress=False, record=record
    )  # fmt: skip
    et.report(result, tmp_path / "page.html")
    page = read(tmp_path / "page.html")
    assert page.all("h2")[0].text == " ".join(repr(result.problem).split())
    texts = [one.text for one in page.all("p", "text")]
    assert texts == [" ".join(one.text.split()) for one in result.best(5)]
    assert ("particles" in page.text or "refused" in page.text) or not record


def test_the_page_of_a_command(model_folder: Path, tmp_path: Path, capsys) -> None:
    """Of generate, whose page holds nothing but what was found."""
    model, file, other = str(model_folder), tmp_path / "page.html", tmp_path / "other.html"
    asked = ["It is", "--regex", "[a-c]{1,9}", "--method", "sample", "-n", "2", "--seed", "4"]
    assert main(["generate", *asked, "--model", model, "--report", str(other)]) == 0
    said = capsys.readouterr().out
    found = et.generate(model, "It is", regex="[a-c]{1,9}", method="sample", n=2, seed=4)
    assert said == found.shown() + "\n"
    et.report(found, str(file), titles="It is")
    section, whole = (read(file).all("section")[0], parsed(other.read_text("utf-8")))
    assert without_seconds(section.text) == without_seconds(whole.all("section")[0].text)


def test_many(model_folder: Path, tmp_path: Path) -> None:
    prompts = [f"It is {k}" for k in range(MOST + 3)]
    found = et.generate(str(model_folder), prompts, choices=[" on", " no"])
    et.report(found, tmp_path / "page.html", titles=prompts)
    page = read(tmp_path / "page.html")
    assert [one.text for one in page.all("h2")] == prompts[:MOST]
    assert "3 more inputs have no section here." in page.text
    et.report(found[:2], tmp_path / "page.html")
    assert [one.text for one in read(tmp_path / "page.html").all("h2")] == ["Generated texts"] * 2


def test_what_cannot_be(model_folder: Path, tmp_path: Path) -> None:
    found = et.generate(str(model_folder), "It is", choices=[" on", " no"])
    page: Any = tmp_path / "page.html"
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ([], {}, "nothing to report"),
        (found[0], {}, "type Generation$"),
        (5, {}, "type int"),
        ("text", {}, "type str"),
        ([found, found], {"titles": ["one"]}, "got 1 for 2"),
    ]
    for what, more, said in wrong:
        with pytest.raises(et.InputError, match=said):
            et.report(what, page, **more)
    assert not page.exists()
    with pytest.raises(et.ErgotextError, match="could not be written"):
        et.report(found, tmp_path)
    with pytest.raises(et.ErgotextError, match="could not be written"):
        et.report(found, tmp_path / "none" / "page.html")
