"""List the samplers, a line each."""

from __future__ import annotations

from ergotext.samplers.catalog import CATALOG, PROMISES
from ergotext.samplers.registry import brought


def listed() -> str:
    """The samplers by what they promise, with a line each on when to use them."""
    width = max(map(len, CATALOG))
    parts: list[list[str]] = []
    for kind, promise in PROMISES.items():
        parts.append([f"{kind} ({promise})"])
        for name, entry in CATALOG.items():
            if entry.kind == kind:
                alias = f" (also {entry.alias})" if entry.alias else ""
                parts[-1].append(f"  {name:{width}}  {entry.use}{alias}")
    if others := brought():
        found = [f"  {name:{width}}  {point.value}" for name, point in sorted(others.items())]
        parts.append(["from installed packages", *found])
    return "\n\n".join("\n".join(part) for part in parts)
