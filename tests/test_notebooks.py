"""The notebooks of examples/: they run, and what they print is still what is stored in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.paths import ROOT
from tests.test_docs import same

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SAMPLED = "sampled"
"""Tag of a cell whose output depends on the machine: only its kinds of output are compared."""
WORD = re.compile(r"<style.*?</style>|<[^>]+>", re.S)
SECONDS = re.compile(r"\b\d+(\.\d+)? s\b")


def code(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shown(outputs: list[Any]) -> list[tuple[str, str]]:
    """Each output as its kind and its text; a picture has none, and progress is none."""
    found = []
    for one in outputs:
        if one.output_type == "stream":
            if one.name == "stdout":
                found.append(("stream", one.text))
            continue
        data = one.get("data", {})
        kinds = "+".join(sorted(data))
        page = unescape(WORD.sub(" ", data.get("text/html", "")))
        plain = "" if "image/png" in data else data.get("text/plain", one.get("ename", ""))
        found.append((f"{one.output_type} {kinds}", f"{plain}\n{page}"))
    return found


def changes(before: Any, after: Any) -> list[str]:
    """What the outputs of a cell have become, where it is something else."""
    old, new = shown(before.outputs), shown(after.outputs)
    if [kind for kind, _ in old] != [kind for kind, _ in new]:
        return [f"{before.source}\nshowed {old}, and now {new}"]
    if SAMPLED in before.metadata.get("tags", []):
        return []
    return [
        f"{before.source}\nprinted {a}\nand now {b}"
        for (_, a), (_, b) in zip(old, new, strict=True)
        if not same(SECONDS.sub("# s", a), SECONDS.sub("# s", b))
    ]


def executed(notebook: Path, folder: Path) -> Any:
    """The notebook after a run; AssertionError if a cell raises."""
    copy = Path(shutil.copy(notebook, folder))
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "notebooks.py"), copy.name],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(copy, as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored(notebook: Path, tmp_path: Path) -> None:
    before, after = nbformat.read(notebook, as_version=4), executed(notebook, tmp_path)
    found = [line for a, b in zip(code(before), code(after), strict=True) for line in changes(a, b)]
    assert not found, "\n\n".join(found) + "\n\nif that is right: make notebooks"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_whole_and_clean(notebook: Path) -> None:
    """Every cell was run, in order, and nothing tells on the machine that it was run on."""
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    cells = code(book)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(one.output_type != "error" for cell in cells for one in cell.outputs)
    assert all(one.get("name") != "stderr" for cell in cells for one in cell.outputs)
    text = notebook.read_text(encoding="utf-8")
    assert not re.search(r"/work/|/root/|/home/|/tmp/|site-packages|iopub", text)
    for target in re.findall(r"\]\((\.\./[^)#]+)\)", text):
        assert (notebook.parent / target).is_file(), target


def cell(source: str, *outputs: Any, tags: tuple[str, ...] = ()) -> Any:
    return nbformat.v4.new_code_cell(source, outputs=[*outputs], metadata={"tags": [*tags]})


def said(text: str, name: str = "stdout") -> Any:
    return nbformat.v4.new_output("stream", name=name, text=text)


def picture(data: str) -> Any:
    data = {"image/png": data, "text/plain": f"<Figure {data}>"}
    return nbformat.v4.new_output("display_data", data=data)


def table(text: str, number: float) -> Any:
    data = {"text/plain": text, "text/html": f"<p>it took 3 s<td>{number}</td>"}
    return nbformat.v4.new_output("execute_result", data=data)


@pytest.mark.parametrize(
    ("before", "after", "fine"),
    [
        (cell("a", said("p 0.500, 3.1 s")), cell("a", said("p 0.501, 12 s")), True),
        (cell("a", said("p 0.5")), cell("a", said("p 0.6")), False),
        (cell("a", said("Paris")), cell("a", said("Rome")), False),
        (cell("a", said("Paris")), cell("a"), False),
        (cell("a"), cell("a", said("loading [00:01]", "stderr")), True),
        (cell("a", picture("x")), cell("a", picture("y")), True),
        (cell("a", picture("x")), cell("a", said("x")), False),
        (cell("a", table("t", 0.5)), cell("a", table("t", 0.5)), True),
        (cell("a", table("t", 0.5)), cell("a", table("t", 0.7)), False),
        (cell("a", table("t", 0.5)), cell("a", table("s", 0.5)), False),
        (cell("a", said("x"), tags=(SAMPLED,)), cell("a", said("y")), True),
        (cell("a", said("x"), tags=(SAMPLED,)), cell("a", table("y", 1.0)), False),
    ],
)
def test_other_outputs_are_seen(before: Any, after: Any, fine: bool) -> None:
    assert (changes(before, after) == []) == fine


def test_a_cell_that_raises_is_seen(tmp_path: Path) -> None:
    book = nbformat.v4.new_notebook(cells=[cell("1 / 0")])
    nbformat.write(book, tmp_path / "bad.ipynb")
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        executed(tmp_path / "bad.ipynb", folder)
