"""The way of a command through the modules: where it stays, and where it climbs.

``python benchmarks/way.py CHECKOUT COMMAND ...`` runs ``ergotext COMMAND ...`` of a checkout, say
``retrieve -i facts.ergo "Who painted Guernica?"``, and watches every call of our functions.

* A *stay* is a module of ``commands`` or ``tasks`` of which a function runs.
* A *climb* is a call from a module into one that imports it (and not the other way about): a
  callback, or an object handed down. Calls within ``commands``, which typer makes, do not count.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

from imports import Checkout


class Watch:
    """The modules that run, in the order of their first call, and who calls whom."""

    def __init__(self, checkout: Checkout, folder: Path) -> None:
        self.paths: dict[str, str] = {}
        for name, module in checkout.modules.items():
            path = folder.joinpath(*name.split("."))
            file = path / "__init__.py" if module.is_package else path.with_suffix(".py")
            self.paths[str(file)] = name
        self.order: list[str] = []
        self.calls: dict[tuple[str, str], None] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """What ``sys.setprofile`` calls."""
        name = self.paths.get(frame.f_code.co_filename)
        if event != "call" or name is None or frame.f_code.co_name == "<module>":
            return
        above = frame.f_back
        while above is not None and above.f_code.co_filename not in self.paths:
            above = above.f_back
        if above is None or above.f_code.co_name == "<module>":  # a decorator, at import
            return
        self.calls[self.paths[above.f_code.co_filename], name] = None
        if name not in self.order:
            self.order.append(name)


def reached(checkout: Checkout, name: str) -> set[str]:
    """The modules that a module imports, directly or through others."""
    found: set[str] = set()
    queue = [name]
    while queue:
        new = checkout.graph[queue.pop()] - found
        found |= new
        queue.extend(new)
    return found


def main(checkout_folder: str, *arguments: str) -> None:
    """Run the command and print its way."""
    folder = Path(checkout_folder).resolve()
    checkout = Checkout(folder)
    watch = Watch(checkout, folder)
    sys.path.insert(0, str(folder))
    from ergotext.cli import entry

    sys.argv = ["ergotext", *arguments]
    sys.setprofile(watch)
    try:
        entry()
    finally:
        sys.setprofile(None)
        stays = [one for one in watch.order if checkout.room(one) in ("commands", "tasks")]
        climbs = [
            f"{one} → {other}"
            for one, other in watch.calls
            if {checkout.room(one), checkout.room(other)} != {"commands"}
            and one in reached(checkout, other)
            and other not in reached(checkout, one)
        ]
        print(f"\n{len(watch.order)} modules run; {len(stays)} stays:", *stays, sep="\n  ")
        print(f"{len(climbs)} climbs:", *climbs, sep="\n  ")


if __name__ == "__main__":
    main(*sys.argv[1:])
