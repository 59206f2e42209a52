"""Who imports whom in a checkout, read from its source without running it.

An *import* is a statement that names one of our modules, wherever it stands: inside functions and
under ``TYPE_CHECKING`` too. A *room* is a folder at the top of the package, with ``errors`` as one
more. ``cli``, ``__main__`` and, in old checkouts, ``cli_*`` and ``console`` count as the room
``commands``. The rooms within a top room are its folders; the modules that lie in none are one
more room, which has the name of the top room.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

LAYERS = ("testing", "commands", "server", "tasks", "samplers", "lm", "support", "errors")
"""The top rooms, each of which imports only those after it."""

Arrows = Counter[tuple[str, str]]
"""Import statements from one room to another."""


Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Import:
    """One import statement: the module it is in, and those of ours that it names."""

    source: str
    targets: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True)
class Module:
    """A source file."""

    name: str
    is_package: bool
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def nodes(self, kind: type[Node]) -> Iterator[Node]:
        """The nodes of a kind, wherever they stand."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kind))


class Checkout:
    """The modules of a checkout and who imports whom."""

    def __init__(self, folder: Path, package: str = "ergotext") -> None:
        self.package = package
        self.modules: dict[str, Module] = {}
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            inits = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if inits else parts)
            self.modules[name] = Module(name, inits, path.read_text(encoding="utf-8"))
        if not self.modules:
            raise SystemExit(f"{folder} holds no package {package!r}: name the root of a checkout")

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of a module of ours."""
        return [one for module in self.modules.values() for one in self.imports_in(module)]

    def imports_in(self, module: Module, part: ast.AST | None = None) -> list[Import]:
        """The imports of a module, or of a part of it."""
        nodes = ast.walk(part or module.tree)
        kinds = (ast.Import, ast.ImportFrom)
        found = [self._read(module, node) for node in nodes if isinstance(node, kinds)]
        return [one for one in found if one.targets]

    def _read(self, module: Module, node: ast.Import | ast.ImportFrom) -> Import:
        """``from a import b`` names the module a.b if there is one, else a."""
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            bound = {alias.asname or alias.name.split(".")[0] for alias in node.names}
        else:
            base = node.module or ""
            if node.level:
                above = module.name.split(".")
                above = above[: len(above) - node.level + module.is_package]
                base = ".".join([*above, *([base] if base else [])])
            whole = [f"{base}.{alias.name}" for alias in node.names]
            names = [one if one in self.modules else base for one in whole]
            bound = {alias.asname or alias.name for alias in node.names}
        targets = frozenset(names) & set(self.modules) - {module.name}
        return Import(module.name, targets, frozenset(bound))

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        """The modules that each module imports."""
        arrows: dict[str, set[str]] = {name: set() for name in self.modules}
        for one in self.imports:
            arrows[one.source] |= one.targets
        return arrows

    def room(self, name: str) -> str:
        """The top room of a module; empty for the package itself."""
        top = name.split(".")[1] if "." in name else ""
        outer = top.startswith("cli") or top in ("console", "__main__")
        return "commands" if outer else top

    def room_within(self, name: str) -> str:
        """The room of a module inside its top room."""
        parts = name.split(".")
        inside = len(parts) > 3 or (len(parts) == 3 and self.modules[name].is_package)
        return ".".join(parts[1:3]) if inside else parts[1]

    def between_rooms(self) -> Arrows:
        """Import statements from one top room to another."""
        return self._between(self.room, self.modules)

    def between_rooms_within(self, top: str) -> Arrows:
        """Import statements between the rooms of one top room."""
        inner = {name for name in self.modules if self.room(name) == top}
        return self._between(self.room_within, inner)

    def _between(self, room: Callable[[str], str], modules: Collection[str]) -> Arrows:
        count: Arrows = Counter()
        for one in self.imports:
            if one.source in modules and one.source != self.package:
                targets = {room(target) for target in one.targets & set(modules)}
                count.update((room(one.source), to) for to in targets - {room(one.source), ""})
        return count

    @cached_property
    def components(self) -> list[frozenset[str]]:
        """Strongly connected components, those imported first (Tarjan)."""
        index: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[frozenset[str]] = []

        def visit(name: str) -> None:
            index[name] = low[name] = len(index)
            stack.append(name)
            for other in sorted(self.graph[name]):
                if other not in index:
                    visit(other)
                if other in stack:
                    low[name] = min(low[name], low[other])
            if low[name] == index[name]:
                cut = stack.index(name)
                found.append(frozenset(stack[cut:]))
                del stack[cut:]

        for name in self.graph:
            if name not in index:
                visit(name)
        return found
