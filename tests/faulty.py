"""Our own modules with a piece of their source replaced: to see that the tests would notice."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest


def load_with_fault(name: str, *changes: tuple[str, str]) -> ModuleType:
    """A module of ergotext with pieces of its source replaced, beside the real one."""
    spec = find_spec(f"ergotext.{name}")
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"the faulty line is no longer in {name}: {old}"
        text = text.replace(old, new)
    module = ModuleType(f"faulty.{name}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(text, f"faulty {name}", "exec"), module.__dict__)
    return module


def modules(names: Iterable[str]) -> SimpleNamespace:
    """Modules of ``ergotext.samplers`` by their names, without those of their rooms."""
    return SimpleNamespace(
        **{name.rpartition(".")[2]: import_module(f"ergotext.samplers.{name}") for name in names}
    )


def modules_with_fault(
    names: Iterable[str], fault: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """The same with a piece of one replaced (name, old, new), wherever the others use it."""
    name, old, new = fault
    faulty, found = load_with_fault(f"samplers.{name}", (old, new)), modules(names)
    for module in vars(found).values():
        for key, value in vars(module).copy().items():
            if getattr(value, "__module__", None) == f"ergotext.samplers.{name}":
                monkeypatch.setattr(module, key, getattr(faulty, key))
    setattr(found, name.rpartition(".")[2], faulty)
    return found
