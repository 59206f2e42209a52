"""The script that measures the structure of a checkout, on a package small enough to count."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from imports import Checkout
from structure import Chains, class_homes, rooms, sizes

TOY = {
    "__init__.py": "from toy.commands.write import write\n",
    "errors.py": "class Wrong(Exception):\n    pass\n",
    "commands/__init__.py": "",
    "commands/write.py": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from toy.tasks.read import Unused
        from toy.errors import Wrong
        FAILS = Wrong
        def retrieve():
            from toy.tasks import read
        def train(): pass
        def write():
            from toy.tasks.story.teller import tell
            return FAILS
        """,
    "tasks/__init__.py": "",
    "tasks/read.py": "import toy.lm.model\nclass Wrong:\n    pass\nclass Unused:\n    pass\n",
    "tasks/story/__init__.py": "",
    "tasks/story/teller.py": "from .. import read\nfrom ..story import plot\n",
    "tasks/story/plot.py": "def f():\n    from toy.tasks.story.teller import tell\n",
    "lm/__init__.py": "",
    "lm/model.py": "from toy.commands.write import write\ndef long():\n" + 60 * "    pass\n",
    "samplers/__init__.py": "",
}


@pytest.fixture
def toy(tmp_path: Path) -> Checkout:
    for name, text in TOY.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("\n" + 8 * " ", "\n"), encoding="utf-8")
    return Checkout(tmp_path, "toy")


def test_sizes(toy: Checkout) -> None:
    counted = sizes(toy)
    assert counted["modules"] == len(TOY) and counted["files over 250 lines"] == 0
    assert counted["functions over 50 lines"] == 1
    assert counted["modules under 40 lines, without `__init__`"] == 5
    assert counted["class names used twice or more"] == 1  # Wrong


def test_rooms_and_circles(toy: Checkout) -> None:
    assert toy.between_rooms() == {
        ("commands", "errors"): 1, ("commands", "tasks"): 3,
        ("tasks", "lm"): 1, ("lm", "commands"): 1,
    }  # fmt: skip
    assert toy.between_rooms_within("tasks") == {("tasks.story", "tasks"): 1}
    counted = rooms(toy)
    assert counted["imports between commands, tasks, samplers and lm"] == 5
    assert counted["imports of errors and support"] == 1
    assert counted["arrows up"] == 1
    circles = [set(one) for one in toy.components if len(one) > 1]
    assert {f"toy.{one}" for one in ("commands.write", "tasks.read", "lm.model",
            "tasks.story.teller", "tasks.story.plot")} in circles and len(circles) == 1  # fmt: skip


def test_chains_begin_with_the_function_of_a_command(toy: Checkout) -> None:
    chains = Chains(toy)
    assert chains.of("train") == ["toy.commands.write"] and chains.reached("train") == set(
        chains.of("train")
    )
    assert chains.reached("write") >= {"toy.errors", "toy.tasks.story.plot", "toy.lm.model"}
    assert "toy.errors" in chains.of("retrieve")  # behind the circle through lm.model


def test_this_tree_has_no_circle_and_no_arrow_up() -> None:
    counted = rooms(Checkout(ROOT))
    assert counted["circles"] == 0 and counted["arrows up"] == 0


def test_a_folder_without_the_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="root of a checkout"):
        Checkout(tmp_path)


def test_no_class_name_of_the_package_means_two_things() -> None:
    homes = class_homes(Checkout(ROOT, "ergotext"))
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}
