"""The page on entity linking, as it stands: a model is trained, links, and generates."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs" / "linking.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_runs() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "linking.md", "exec"), {"__name__": "page"})
    apple, _, paris, note, generated, whole = said.getvalue().splitlines()
    assert apple.startswith("Apple 0 Apple (company) ") and paris.startswith("Paris 30 Paris ")
    assert note == "the mention table has no 'Paris': all titles were searched"
    assert generated.count("Mercury (planet)") == 2 and whole == "tensor(True)"
