"""Functions and classes of a user's own: how they are named, and what is said of their errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.support.plugins import OwnCodeError, own

MINE = """from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar

class Base:
    def step(self, x):
        return 1 / x

@dataclass(frozen=True)
class Mine(Base):
    \"\"\"What it does.\"\"\"
    size: ClassVar[int] = 3
    scale: float = 1.0

    def __post_init__(self):
        self.scale + 1

    def other(self):
        raise KeyError("not guarded")

number = 3
"""


def test_an_error_in_no_line_of_the_file(tmp_path: Path) -> None:
    """A built-in function has no lines."""
    file = tmp_path / "mine.py"
    file.write_text("from math import sqrt\n", encoding="utf-8")
    with pytest.raises(OwnCodeError, match=r"sqrt of .* failed outside of its lines: Type"):
        own(f"{file}:sqrt")(["a text"])


def test_a_class_stays_what_it_is_and_its_errors_name_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE, encoding="utf-8")
    found = own(f"{file}:Mine", ["step", "draw"])
    assert found.__name__ == "Mine" and found.__doc__ == "What it does." and found.size == 3
    assert found(scale=2.0).step(2) == 0.5
    with pytest.raises(OwnCodeError, match=r"Mine.step of .*mine.py failed in line 7: ZeroDiv"):
        found().step(0)
    with pytest.raises(OwnCodeError, match=r"Mine.__init__ of .* in line 16: TypeError"):
        found(scale="much")
    with pytest.raises(KeyError):
        found().other()


def test_a_file_is_run_once_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class A: pass\nclass B: pass\n", encoding="utf-8")
    assert own(f"{file}:A").__mro__[1] is own(f"{file}:A").__mro__[1]
    file.write_text("class A: pass\nclass C: pass  # another\n", encoding="utf-8")
    assert own(f"{file}:C").__name__ == "C"
    with pytest.raises(InputError, match="names no function or class"):
        own(f"{file}:B")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mine", "names no function or class; write file.py:name"),
        (":Mine", "names no function or class"),
        ("mine.py:number", "names no function or class"),
        ("nothere.py:Mine", "there is no Python file nothere.py"),
        (".:Mine", "there is no Python file"),
    ],
)
def test_what_names_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        own(place)


def test_static_and_class_methods_stay_such(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "class A:\n    @staticmethod\n    def init(x): return 1 / x\n"
        "    @classmethod\n    def step(cls, x): return cls.__name__ * x\n",
        encoding="utf-8",
    )
    found = own(f"{file}:A", ["init", "step"])
    assert found().init(2) == 0.5 and found().step(2) == "AA"
    with pytest.raises(OwnCodeError, match=r"A.init of .* failed in line 3: ZeroDiv"):
        found().init(0)


def test_a_syntax_error_of_another_file_is_not_said_to_be_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_helper.py").write_text("\n\n\n\n\ndef (:\n", encoding="utf-8")
    file = tmp_path / "mine.py"
    file.write_text("import broken_helper\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"failed in line 1: SyntaxError.*helper.py, line 6"):
        own(f"{file}:A")
    file.write_text("\n\nclass A(:\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"failed in line 3: SyntaxError"):
        own(f"{file}:A")
