"""The structure of a checkout in figures: sizes, imports between rooms, circles, longest chains.

``python benchmarks/structure.py [CHECKOUT ...]`` reads the source of ``ergotext`` in each checkout
(this one by default), runs none of it, and prints a table with one column per checkout. Rooms and
imports are defined in ``imports.py`` beside this file.

* Sizes are lines of a file. A function's lines run from ``def`` to its last line, methods and
  inner functions included.
* An *arrow* is a pair of rooms of which the first imports the second, however often. An arrow
  *up* goes against commands → tasks → samplers → lm → support → errors. The public names in
  ``ergotext/__init__.py`` are no room.
* A *circle* is a set of modules that import one another, directly or through others.
* The *chain* of a command is the longest path along imports that begins with its function. A
  function imports what it, or anything it mentions of its own module, imports; the other commands
  of the same file do not count. A circle counts as all its modules. *Reached* is the number of
  modules that the function leads to at all.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from imports import LAYERS, Checkout, Module

BASE = ("errors", "support")
SPLIT = ("lm", "samplers", "tasks")
COMMANDS = ("write", "retrieve", "train")


class Chains:
    """The longest chains of modules in a checkout."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.after: dict[str, list[str]] = {}
        for component in checkout.components:
            below = {one for name in component for one in checkout.graph[name]} - component
            longest = max((self.after[one] for one in sorted(below)), key=len, default=[])
            for name in component:
                self.after[name] = [name, *sorted(component - {name}), *longest]

    def of(self, command: str) -> list[str]:
        """The longest chain that begins with the function of a command."""
        home = self.home_of(command)
        used = sorted(self.used(home, command))
        return [home.name, *max((self.after[one] for one in used), key=len, default=[])]

    def reached(self, command: str) -> set[str]:
        """Every module that the function of a command leads to."""
        home = self.home_of(command)
        reached, queue = {home.name}, list(self.used(home, command))
        while queue:
            name = queue.pop()
            if name not in reached:
                reached.add(name)
                queue.extend(self.checkout.graph[name])
        return reached

    def home_of(self, command: str) -> Module:
        """The module that defines the function of a command."""
        for module in self.checkout.modules.values():
            if self.checkout.room(module.name) == "commands" and command in definitions(module):
                return module
        raise SystemExit(f"no command {command!r} in {self.checkout.package}")

    def used(self, module: Module, function: str) -> set[str]:
        """The modules that a function imports, itself or through what it mentions."""
        known, found = definitions(module), set()
        bound: dict[str, set[str]] = defaultdict(set)
        for statement in module.tree.body:
            if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                for one in self.checkout.imports_in(module, statement):
                    for name in one.names:
                        bound[name] |= one.targets
        mentioned: set[str] = set()
        queue = [function]
        while queue:
            name = queue.pop()
            found |= bound.get(name, set())
            if name not in mentioned and name in known:
                nodes = ast.walk(known[name])
                queue.extend(node.id for node in nodes if isinstance(node, ast.Name))
                for one in self.checkout.imports_in(module, known[name]):
                    found |= one.targets
            mentioned.add(name)
        return found


def definitions(module: Module) -> dict[str, ast.AST]:
    """What a module defines at its top, by name."""
    known: dict[str, ast.AST] = {}
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    known[target.id] = node
    return known


def last(node: ast.FunctionDef) -> int:
    """Its last line."""
    return node.end_lineno or node.lineno


def class_homes(checkout: Checkout) -> dict[str, set[str]]:
    """The modules that define a class of each name."""
    homes = defaultdict(set)
    for module in checkout.modules.values():
        for node in module.nodes(ast.ClassDef):
            homes[node.name].add(module.name)
    return dict(homes)


def sizes(checkout: Checkout) -> dict[str, int]:
    """The rows on files, functions and classes."""
    modules = checkout.modules.values()
    functions = [node for module in modules for node in module.nodes(ast.FunctionDef)]
    return {
        "modules": len(modules),
        "lines": sum(module.lines for module in modules),
        "files over 250 lines": sum(module.lines > 250 for module in modules),
        "functions over 50 lines": sum(last(node) - node.lineno >= 50 for node in functions),
        "modules under 40 lines, without `__init__`": sum(
            module.lines < 40 and not module.is_package for module in modules
        ),
        "class names used twice or more": sum(
            len(where) > 1 for where in class_homes(checkout).values()
        ),
    }


def rooms(checkout: Checkout) -> dict[str, int]:
    """The rows on imports."""
    top = checkout.between_rooms()
    main = Counter({arrow: count for arrow, count in top.items() if arrow[1] not in BASE})
    height = {room: -place for place, room in enumerate(LAYERS)}
    rows = {
        "imports between commands, tasks, samplers and lm": main.total(),
        "imports of errors and support": top.total() - main.total(),
        "arrows between commands, tasks, samplers and lm": len(main),
        "arrows up": sum(height[one] < height[other] for one, other in top),
    }
    for name in SPLIT:
        inner = checkout.between_rooms_within(name)
        rows[f"imports between rooms of {name}"] = inner.total()
        rows[f"arrows between rooms of {name}"] = len(inner)
    circles = [one for one in checkout.components if len(one) > 1]
    return rows | {"circles": len(circles), "modules in circles": sum(map(len, circles))}


def figures(checkout: Checkout) -> dict[str, int]:
    """The whole table of a checkout."""
    rows = sizes(checkout) | rooms(checkout)
    chains = Chains(checkout)
    for name in COMMANDS:
        rows[f"{name}: longest chain"] = len(chains.of(name))
        rows[f"{name}: modules reached"] = len(chains.reached(name))
    return rows


def details(checkout: Checkout) -> Iterator[str]:
    """What the counts hide: circles and chains."""
    for component in checkout.components:
        if len(component) > 1:
            yield f"circle: {', '.join(sorted(component))}"
    chains = Chains(checkout)
    for name in COMMANDS:
        yield f"{name}: {' → '.join(chains.of(name))}"


def main(arguments: list[str]) -> None:
    """Print the table."""
    folders = [Path(one).resolve() for one in arguments or [str(Path(__file__).parents[1])]]
    checkouts = [Checkout(folder) for folder in folders]
    tables = [figures(checkout) for checkout in checkouts]
    print("| |", *(f"{folder.name} |" for folder in folders))
    print("| --- |", *("---: |" for _ in folders))
    for row in tables[0]:
        print(f"| {row} |", *(f"{table[row]} |" for table in tables))
    for folder, checkout in zip(folders, checkouts, strict=True):
        print(f"\n{folder.name}", *details(checkout), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
