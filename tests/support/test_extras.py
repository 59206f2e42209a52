"""What an error about a missing library tells the user to run."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from types import ModuleType

import pytest

from ergotext.errors import InputError
from ergotext.support import extras
from ergotext.support.extras import install, needed
from tests.faulty import load_with_fault
from tests.paths import ROOT

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = sorted(set(DECLARED["optional-dependencies"]) - {"dev"})


def absent(name: str) -> str:
    raise PackageNotFoundError(name)


def names(command: str) -> set[str]:
    """The packages that a command names."""
    return {re.split("[<>=]", one)[0] for one in re.findall("'(.*?)'", command)}


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_command_names_every_package_of_the_extra_and_nothing_else(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {re.split("[<>=;]", one)[0] for one in DECLARED["optional-dependencies"][extra]}
    assert names(install(extra)) == wanted, "all are there, so none of them works"
    monkeypatch.setattr(extras, "version", absent)
    command = install(extra)
    assert command.startswith("pip install '") and "ergotext" not in command
    assert names(command) == wanted


def check_what_is_missing(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that are there are not named, but those of a version that will not do are."""
    found = {"gguf": "0.17.1", "accelerate": "1.2"}
    monkeypatch.setattr(module, "version", lambda name: found.get(name) or absent(name))
    assert names(module.install("gguf")) == {"accelerate"}
    model = {"no_such_module": "--no-deps no-such==1"}
    assert module.install("gguf", model).endswith("' && pip install --no-deps no-such==1")
    found["accelerate"] = "1.3"
    assert module.install("gguf", model) == "pip install --no-deps no-such==1"
    assert module.install("automata", {"json": "json"}).startswith("pip install 'llguidance")
    assert "json" not in module.install("automata", {"json": "json"})


def test_only_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_what_is_missing(extras, monkeypatch)


def check_one_package_is_named_once(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines that bound one package are one command, with both bounds."""
    lines = ["plotter<4,>=3.9; extra == 'plot'", "plotter<3.11; extra == 'plot'"]
    monkeypatch.setattr(module, "requires", lambda _: lines)
    monkeypatch.setattr(module, "version", absent)
    command = module.install("plot")
    assert command.count("plotter") == 1
    assert all(bound in command for bound in ("<4", ">=3.9", "<3.11"))


def test_one_package_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check_one_package_is_named_once(extras, monkeypatch)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one.specifier &= found[one.name].specifier", "pass"),
        ("if one.name in found:", "if False:"),
    ],
)
def test_a_bound_that_is_lost_is_caught(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = load_with_fault("support.extras", (old, new))
    with pytest.raises(AssertionError):
        check_one_package_is_named_once(faulty, monkeypatch)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if not _met(one)", "if one"),
        ("found is not None and wanted.specifier", "found is not None or wanted.specifier"),
        ("if find_spec(module) is None", "if module"),
    ],
)
def test_naming_what_is_there_is_caught(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = load_with_fault("support.extras", (old, new))
    with pytest.raises(AssertionError):
        check_what_is_missing(faulty, monkeypatch)


def test_without_an_installation_the_clone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "requires", absent)
    assert install("gguf") == "pip install '.[gguf]' in a clone of ergotext"


def test_a_missing_module_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^no_such is not installed \(.*\); run: pip install 'll"):
        needed("no_such", "automata")


def test_nothing_says_that_pypi_has_us() -> None:
    """``pip install 'ergotext[extra]'`` finds nothing there."""
    told = [*(ROOT / "ergotext").rglob("*.py"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    wrong = re.compile(r"pip install (-\S+ )*['\"]?ergotext(\[[^\]]*\])?(?!\S* @ git)")
    assert [path for path in told if wrong.search(path.read_text(encoding="utf-8"))] == []
