"""The pages of docs/: what they name exists, every sampler has its page, and their code runs."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ergotext as et
from ergotext import cli
from ergotext.samplers.catalog import CATALOG
from tests.paths import DOCS, ROOT
from tests.test_readme import README, shell

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


def unknown_names(text: str) -> list[str]:
    """What is written as et.name and is none."""
    unknown = []
    for path in set(re.findall(r"\bet\.([A-Za-z_][\w.]*\w)", text)):
        thing: Any = et
        for name in path.split("."):
            thing = getattr(thing, name, None)
        if thing is None:
            unknown.append(path)
    return unknown


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_public_names_exist(page: Path) -> None:
    assert not unknown_names(text_of(page))


def test_a_name_that_is_none_is_seen() -> None:
    assert unknown_names("`et.sample`, et.samplers.register(…), `et.sampel`") == ["sampel"]


def test_warnings_of_the_site_are_counted() -> None:
    """With --quiet mkdocs logs none, and --strict passes whatever there is."""
    (build,) = re.findall(r"mkdocs build.*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert "--strict" in build.partition("#")[0] and "--quiet" not in build.partition("#")[0]


def test_every_extra_is_explained() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = re.findall(r"^\| `(\w+)` \|", text_of(DOCS / "install.md"), re.M)
    assert sorted([*listed, "dev"]) == sorted(extras["optional-dependencies"])


WHOLE = [
    "index", "install", "five-minutes", "own-energy", "own-sampler", "own-model", "machines", "faq",
]  # fmt: skip
"""Pages all of whose code runs, in its order, and prints what is shown."""
NOT_RUN = ("make ", ". ", "pip install ")
"""What changes the environment."""


class Block(NamedTuple):
    """Code of a page, and the output that is shown for it."""

    language: str
    code: str
    output: str
    sampled: bool
    """Whether the output depends on the machine."""


def blocks_of(text: str) -> Iterator[Block]:
    """Python and console blocks; the text block that follows code at once is its output."""
    found = re.findall(
        r"^```(python|console)\n(.*?)^```\n(?:\n(<!-- sampled -->\n)?```text\n(.*?)^```\n)?",
        text, re.M | re.S,
    )  # fmt: skip
    for language, code, sampled, output in found:
        yield Block(language, code, output, bool(sampled))


def same(printed: str, shown: str) -> bool:
    """Whether two outputs agree, numbers to half a percent."""
    number = re.compile(r"-?\d+\.\d+")
    a, b = ([float(one) for one in number.findall(text)] for text in (printed, shown))
    words = [number.sub("#", text).split() for text in (printed, shown)]
    return words[0] == words[1] and a == pytest.approx(b, rel=0.005, abs=0.002)


def console(code: str) -> tuple[list[str], list[str]]:
    """The commands of a block, and the output shown for each."""
    first, *rest = re.split(r"^\$ ", code, flags=re.M)
    assert not first
    return (
        [one.partition("\n")[0] for one in rest],
        [one.partition("\n")[2] for one in rest],
    )


def run_command(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints: one of ours in this process, others by the shell."""
    if not command.startswith("ergotext ") or "|" in command:
        return shell(command, folder)
    capsys.readouterr()
    assert cli.main(shlex.split(command)[1:]) == 0, command
    return capsys.readouterr().out


def run_page(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Run the code of a page; how many outputs were compared."""
    names: dict[str, Any] = {"__name__": "page"}
    compared = 0
    for block in blocks_of(text):
        if block.language == "console":
            # The README's blocks, with their output, are run by its own tests.
            known = f"```console\n{block.code}```" in README
            for command, shown in zip(*console(block.code), strict=True):
                if known or command.startswith(NOT_RUN) or f"$ {command}\n{shown}" in README:
                    continue
                printed = run_command(command, folder, capsys)
                assert not shown or same(printed, shown), printed
                compared += bool(shown)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block.code, names)
        if block.output and not block.sampled:
            assert same(printed.getvalue(), block.output), printed.getvalue()
            compared += 1
    return compared


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.slow] * (p == "five-minutes")) for p in WHOLE],
)
def test_all_code_of_a_page_runs_and_prints_what_is_shown(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = text_of(DOCS / f"{page}.md")
    compared = run_page(text, tmp_path, capsys)
    assert compared or not re.search("^```text", text, re.M)


@pytest.mark.parametrize(
    ("page", "fine"),
    [
        ("```python\nprint(0.5001)\n```\n\n```text\n0.5\n```\n", True),
        ("```python\nprint(0.6)\n```\n\n```text\n0.5\n```\n", False),
        ("```python\nprint('a')\n```\n\n```text\nb\n```\n", False),
        ("```console\n$ printf hello\nhello\n```\n", True),
        ("```console\n$ printf hello\nhallo\n```\n", False),
    ],
)
def test_output_that_is_another_is_seen(
    page: str, fine: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.nullcontext() if fine else pytest.raises(AssertionError):
        assert run_page(page, tmp_path, capsys) == 1
