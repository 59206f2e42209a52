"""Our own modules with a piece of their source replaced: to see that the tests would notice."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def load_with_fault(name: str, *changes: tuple[str, str]) -> ModuleType:
    """A module of ergotext with pieces of its source replaced, beside the real one."""
    spec = find_spec(f"ergotext.{name}")
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"the faulty line is no longer in {name}: {old}"
        text = text.replace(old, new)
    # A sampler is registered once.
    text = "\n".join(line for line in text.splitlines() if not line.startswith("@register"))
    module = ModuleType(f"faulty.{name}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(text, f"faulty {name}", "exec"), module.__dict__)
    return module
