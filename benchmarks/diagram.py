"""Draw the rooms of the package and who imports whom, for ``docs/architecture.md``.

``python benchmarks/diagram.py`` writes ``docs/images/rooms.svg`` and one picture each for the rooms
within ``lm``, ``samplers`` and ``tasks``, from the imports in the source. A room stands above the
rooms that it imports; an arrow that runs up is dashed. A picture changes only when a room or an
arrow does.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from html import escape
from itertools import permutations
from pathlib import Path

from imports import LAYERS, Checkout

ROOT = Path(__file__).resolve().parents[1]
SPLIT = ("lm", "samplers", "tasks")
STEP, HEIGHT, WIDTH = 58, 34, 150
"""Pixels from a box to the next one, and of a box."""
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #222 }
.name { font-weight: 600; text-anchor: middle }
rect { fill: #eef3fa; stroke: #4a6fa5; stroke-width: 1.2 }
path { fill: none; stroke: #4a6fa5; stroke-width: 1.4 }
.up { stroke: #a54a4a; stroke-dasharray: 5 4 }
"""

Arrow = tuple[str, str]


def ordered(rooms: Collection[str], arrows: Collection[Arrow]) -> list[str]:
    """The rooms from top to bottom so that the fewest arrows run up, short ones before long."""

    def cost(order: tuple[str, ...]) -> tuple[int, int]:
        place = {room: number for number, room in enumerate(order)}
        steps = [place[to] - place[source] for source, to in arrows]
        return sum(step < 0 for step in steps), sum(map(abs, steps))

    return list(min(permutations(sorted(rooms)), key=cost))


def purpose(checkout: Checkout, room: str) -> str:
    """The first line of what the room says of itself."""
    name = f"{checkout.package}.{room}"
    text = ast.get_docstring(checkout.modules[name].tree) or ""
    return text.split("\n")[0]


def picture(rooms: list[str], arrows: Iterable[Arrow], says: dict[str, str]) -> str:
    """An SVG: boxes in a column, arrows as arcs on their left, words on their right."""
    place = {room: 20 + STEP * number for number, room in enumerate(rooms)}
    widest = max((abs(place[a] - place[b]) // STEP for a, b in arrows), default=1)
    left = 30 + 22 * widest
    drawn = []
    for source, to in sorted(arrows):
        span = abs(place[source] - place[to]) // STEP
        down = place[to] > place[source]
        # Arcs leave a box in its lower half and arrive in its upper half.
        start = place[source] + HEIGHT * (0.7 if down else 0.1)
        end = place[to] + HEIGHT * (0.3 if down else 0.9)
        out = left - 22 * span - (6 if down else 20)
        style = "" if down else ' class="up"'
        drawn.append(
            f'<path{style} marker-end="url(#head)" '
            f'd="M{left} {start:g} C{out} {start:g} {out} {end:g} {left - 2} {end:g}"/>'
        )
    for room in rooms:
        name = room.rsplit(".", 1)[-1]
        drawn.append(
            f'<rect x="{left}" y="{place[room]}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        )
        middle = place[room] + HEIGHT // 2 + 5
        drawn.append(
            f'<text class="name" x="{left + WIDTH // 2}" y="{middle}">{escape(name)}</text>'
        )
        drawn.append(f'<text x="{left + WIDTH + 16}" y="{middle}">{escape(says[room])}</text>')
    width = left + WIDTH + 32 + 8 * max(map(len, says.values()))
    height = 20 + STEP * len(rooms)
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path style="fill:#4a6fa5;stroke:none" '
        'd="M0 0 L8 4 L0 8 z"/></marker></defs>'
    )
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
    return "\n".join([opening, f"<style>{STYLE}</style>", head, *drawn, "</svg>", ""])


def pictures(checkout: Checkout) -> dict[str, str]:
    """Every picture by the name of its file."""
    top = set(checkout.between_rooms())
    rooms = [room for room in LAYERS if any(room in arrow for arrow in top)]
    drawn = {"rooms.svg": picture(rooms, top, {one: purpose(checkout, one) for one in rooms})}
    for name in SPLIT:
        arrows = set(checkout.between_rooms_within(name))
        inner = {
            checkout.room_within(one) for one in checkout.modules if checkout.room(one) == name
        }
        says = {one: purpose(checkout, one) for one in inner} | {
            name: "Its modules that lie in no folder."
        }
        drawn[f"{name}.svg"] = picture(ordered(inner, arrows), arrows, says)
    return drawn


if __name__ == "__main__":
    for file, text in pictures(Checkout(ROOT)).items():
        (ROOT / "docs" / "images" / file).write_text(text, encoding="utf-8")
