"""What is installed, what is missing, and the command that installs it."""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ergotext.lm.conversion import cache_folder
from ergotext.lm.sources import BUNDLED, SHIPPED, hub_cache
from ergotext.support.extras import extras, install, lacking, version_of
from ergotext.support.words import counted

NAMED = (
    "ergotext", "torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "typer",
)  # fmt: skip
"""Packages whose versions are shown."""
INSTALLED = "installed"
HUB = "models--"
"""How the folder of a model begins in the cache of the hub."""
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Folder:
    """A folder of models on disk."""

    path: str
    bytes: int
    models: dict[str, int]
    """Bytes of each."""


@dataclass(frozen=True)
class Health:
    """What ``examined`` found."""

    python: str
    system: str
    versions: dict[str, str]
    devices: list[str]
    threads: int | None
    cores: int
    models: dict[str, str]
    """Bundled models: ``installed``, or what is to be done."""
    cache: Folder
    hub: Folder
    extras: dict[str, str]
    """``installed``, or the command that installs what is missing."""
    broken: list[str] = field(default_factory=list)
    """What every command needs and is not as it should be, with what to do."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ok": not self.broken}

    def text(self) -> str:
        """A few lines for a terminal."""
        named = [f"{name} {number}" for name, number in self.versions.items()]
        used = "threads unknown" if self.threads is None else counted(self.threads, "thread")
        rows: list[tuple[str, list[str]]] = [
            ("system", [f"Python {self.python}, {self.system}"]),
            ("packages", [", ".join(named[:4]), ", ".join(named[4:])]),
            ("devices", [*self.devices, f"{used} of {self.cores} processors"]),
            ("models", [f"{name}: {state}" for name, state in self.models.items()]),
            ("cache", [_line(self.cache), *_each(self.cache)]),
            ("hub cache", [_line(self.hub), *_each(self.hub)]),
            ("extras", [f"{name}: {state}" for name, state in self.extras.items()]),
            ("broken" if self.broken else "all well", self.broken or ["nothing needed is missing"]),
        ]
        return "\n".join(
            f"{'' if number else title:10} {line}".rstrip()
            for title, lines in rows
            for number, line in enumerate(lines)
        )


def examined() -> Health:
    """Look at everything; imports torch (to see that it can be), never transformers."""
    broken = [
        f"{one.name} is {version_of(one.name) or 'missing'}, but {one.specifier} is needed; run: "
        f"pip install '{one}'"
        for one in lacking()
    ]
    devices, threads = _devices(broken)
    cache = cache_folder()
    if not _writable(cache):
        broken.append(f"the cache {cache} is not writable; set ERGOTEXT_CACHE to another folder")
    models = {name: _shipped(name, path, broken) for name, path in SHIPPED.items()}
    models |= {name: _bundled(name) for name in BUNDLED}
    return Health(
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
        {name: found for name in NAMED if (found := version_of(name))},
        devices,
        threads,
        os.cpu_count() or 1,
        models,
        _folder(cache),
        _folder(hub_cache(), HUB),
        {name: _extra(name) for name in extras()},
        broken,
    )


def _devices(broken: list[str]) -> tuple[list[str], int | None]:
    """The devices, and how many threads torch uses; None where it cannot be imported."""
    try:
        torch: Any = import_module("torch")
    except Exception as error:  # a broken library raises whatever it trips over
        broken.append(f"torch cannot be imported ({error!s:.200}); install it again")
        return ["unknown"], None
    names = [
        f"cuda:{number}, {torch.cuda.get_device_name(number)}"
        for number in range(torch.cuda.device_count())
    ]
    return ["cpu", *(names or ["no CUDA device"])], int(torch.get_num_threads())


def _shipped(name: str, folder: Path, broken: list[str]) -> str:
    """Whether a model of this package is whole."""
    missing = [one for one in ("config.json", "model.safetensors") if not (folder / one).is_file()]
    if missing:
        broken.append(f"the model {name} lacks {' and '.join(missing)}; install ergotext again")
    return f"without {' and '.join(missing)}" if missing else INSTALLED


def _bundled(name: str) -> str:
    """Whether the package of a model is there, and what reads it."""
    one = BUNDLED[name]
    if one.installed and not lacking("gguf"):
        return INSTALLED
    return f"missing; run: {one.install}"


def _extra(name: str) -> str:
    return f"missing; run: {install(name)}" if lacking(name) else INSTALLED


def _folder(path: Path, prefix: str = "") -> Folder:
    """What lies in a folder of models, those whose folder begins so."""
    each = {
        one.name.removeprefix(prefix).replace("--", "/") if prefix else one.name: _size(one)
        for one in _inside(path)
        if one.is_dir() and one.name.startswith(prefix)
    }
    return Folder(str(path), _size(path), each)


def _inside(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    """Bytes of all files below, each once: snapshots of the hub are links to its blobs."""
    return sum(size for size in _sizes(path))


def _sizes(path: Path) -> Iterator[int]:
    for folder, _, files in os.walk(path):
        for file in files:
            with suppress(OSError):
                found = (Path(folder) / file).lstat()
                if stat.S_ISREG(found.st_mode):
                    yield found.st_size


def _writable(path: Path) -> bool:
    """Whether files can be made there, or in the nearest folder above that exists."""
    try:
        there = next(one for one in (path, *path.parents) if one.exists())
        return there.is_dir() and os.access(there, os.W_OK)
    except PermissionError:  # a folder above may not be entered
        return False


def _line(folder: Folder) -> str:
    return f"{folder.path}, {_megabytes(folder.bytes)}"


def _each(folder: Folder) -> list[str]:
    return [f"  {name}, {_megabytes(size)}" for name, size in folder.models.items()]


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.0f} MB"
