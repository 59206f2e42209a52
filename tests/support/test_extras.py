"""What an error about a missing library tells the user to run."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError

import pytest

from ergotext.errors import InputError
from ergotext.support import extras
from ergotext.support.extras import install, needed
from tests.paths import ROOT

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = sorted(set(DECLARED["optional-dependencies"]) - {"dev"})


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_command_names_every_package_of_the_extra_and_nothing_else(extra: str) -> None:
    wanted = {re.split("[<>=;]", one)[0] for one in DECLARED["optional-dependencies"][extra]}
    command = install(extra)
    assert command.startswith("pip install '") and "ergotext" not in command
    assert {re.split("[<>=]", one)[0] for one in re.findall("'(.*?)'", command)} == wanted


def test_without_an_installation_the_clone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", missing)
    assert install("gguf") == "pip install '.[gguf]' in a clone of ergotext"


def test_a_missing_module_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^no_such is not installed \(.*\); run: pip install 'll"):
        needed("no_such", "automata")


def test_nothing_says_that_pypi_has_us() -> None:
    """``pip install 'ergotext[extra]'`` finds nothing there."""
    told = [*(ROOT / "ergotext").rglob("*.py"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    wrong = re.compile(r"pip install (-\S+ )*['\"]?ergotext(\[[^\]]*\])?(?!\S* @ git)")
    assert [path for path in told if wrong.search(path.read_text(encoding="utf-8"))] == []
