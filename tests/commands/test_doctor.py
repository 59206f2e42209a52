"""``ergotext doctor``: what is there, what is missing, and what is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from ergotext.cli import main
from ergotext.lm.sources import hub_cache, in_hub_cache
from ergotext.support import extras
from ergotext.tasks import doctor
from tests.faulty import load_with_fault


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ERGOTEXT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "cache" / "some-model").mkdir(parents=True)
    (tmp_path / "cache" / "some-model" / "model.safetensors").write_bytes(bytes(3_000_000))
    blobs = tmp_path / "hub" / "models--someone--small" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x").write_bytes(bytes(2_000_000))
    (blobs.parent / "link").symlink_to(blobs / "x")
    (tmp_path / "hub" / "version.txt").write_text("1")
    return tmp_path


def examined(module: ModuleType, folders: Path) -> None:
    found = module.examined()
    assert found.broken == [] and found.record()["ok"] and found.versions["torch"]
    assert found.cache.models == {"some-model": 3_000_000} and found.cache.bytes == 3_000_000
    assert found.hub.models == {"someone/small": 2_000_000}, "a link is no second copy"
    assert found.hub.path == str(folders / "hub") and found.threads and found.cores
    assert found.models["tiny-causal"] == found.models["smollm2"] == "installed"
    assert found.extras["gguf"] == "installed" and "dev" not in found.extras


def test_what_is_there(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examined(doctor, folders)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for line in ("system     Python 3.", "devices    cpu", "  someone/small, 2 MB", "all well   "):
        assert line in text
    assert "tiny-causal: installed" in text and "gguf: installed" in text
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cache"]["models"] == {"some-model": 3_000_000}


@pytest.mark.parametrize(
    "change",
    [
        ("if stat.S_ISREG(found.st_mode)", "if True"),
        ('removeprefix(prefix).replace("--", "/")', "removeprefix(prefix)"),
        ("one.is_dir() and one.name.startswith(prefix)", "one.name.startswith(prefix)"),
        ('one.installed and not lacking("gguf")', 'lacking("gguf")'),
        ("return f\"missing; run: {install(name)}\" if lacking(name)", "return \"\" if True"),
    ],
)  # fmt: skip
def test_faults_are_seen(folders: Path, change: tuple[str, str]) -> None:
    (folders / "hub" / "models--list.txt").write_text("a file")
    faulty = load_with_fault("tasks.doctor", change)
    with pytest.raises(AssertionError):
        examined(faulty, folders)


def test_what_is_missing_and_broken(folders, capsys, monkeypatch) -> None:
    """An extra that lacks a package costs nothing; what every command needs does."""
    real = extras.version_of
    monkeypatch.setattr(
        extras, "version_of", lambda name: {"lemminflect": None}.get(name, real(name))
    )
    assert main(["doctor"]) == 0
    assert "forms: missing; run: pip install 'lemminflect" in capsys.readouterr().out
    monkeypatch.setattr(extras, "version_of", lambda name: {"numpy": "1.2"}.get(name, real(name)))
    monkeypatch.setattr(doctor, "SHIPPED", {"tiny-causal": folders})
    monkeypatch.setattr(doctor, "_writable", lambda _: False)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "numpy is " in text and "is needed; run: pip install 'numpy" in text
    assert "the model tiny-causal lacks config.json and model.safetensors" in text
    assert "is not writable; set ERGOTEXT_CACHE" in text and "all well" not in text


def test_a_cache_below_a_folder_that_may_not_be_entered(folders, monkeypatch) -> None:
    """As ``Path.exists`` has it for a user who is not root."""

    def exists(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", exists)
        assert not doctor._writable(folders / "none" / "cache")
    assert doctor._writable(folders / "none" / "cache")


def test_a_copy_that_is_not_installed_is_looked_at(folders, monkeypatch) -> None:
    real = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda n: None if n == "ergotext" else real(n))
    monkeypatch.setattr("importlib.metadata.version", lambda _: 1 / 0)
    assert "ergotext" not in doctor.examined().versions


def test_a_broken_torch_is_named(folders, capsys, monkeypatch) -> None:
    def broken(name: str) -> ModuleType:
        raise OSError(f"{name}: undefined symbol")

    monkeypatch.setattr(doctor, "import_module", broken)
    assert main(["doctor"]) == 1
    assert "torch cannot be imported (torch: undefined symbol)" in capsys.readouterr().out


def test_transformers_is_not_imported() -> None:
    code = "import sys; from ergotext.cli import main; main(['doctor']); " \
        "assert 'transformers' not in sys.modules"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_where_the_hub_keeps_models(folders, monkeypatch) -> None:
    assert in_hub_cache("someone/small") and not in_hub_cache("small")
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(folders / "home"))
    assert hub_cache() == folders / "home" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders / "xdg"))
    assert hub_cache() == folders / "xdg" / "huggingface" / "hub"


def test_what_an_extra_lacks(monkeypatch) -> None:
    assert "gguf" in extras.extras() and extras.lacking() == []
    monkeypatch.setattr(extras, "requires", lambda _: ["numpy>=99", "gone>=1; extra == 'some'"])
    assert [str(one) for one in extras.lacking()] == ["numpy>=99"]
    assert extras.lacking("some") == [Requirement("gone>=1")]
