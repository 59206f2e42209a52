"""What of JSON Schema is followed: other projects' schemas and instances, run through ours.

    python benchmarks/conformance.py PATH… [--write]

A path is the folder of a JSON-Schema-Test-Suite, or a file with lines of ``{"name", "schema",
"tests": [{"valid", "data"}]}``. For every
keyword it prints how many instances are judged rightly, how many valid ones are refused (the
language is narrower), how many stand in schemas that are refused, and how many invalid ones are
accepted, which must be none. What is narrower or refused is listed in ``conformance.txt`` beside
this file; the list may only shrink: the script exits with 1 where something is new, and writes
the list anew with --write. Give all paths at once.

An instance counts as accepted if it is in any order of its objects' members.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.automata import Pieces, json_schema
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet

BYTES = Pieces(Alphabet(258, 257, 256), [bytes([byte]) for byte in range(256)])
LISTED = Path(__file__).with_suffix(".txt")
ORDERS = 2000
"""Steps that are taken to find an order of members before a value counts as refused."""


class Reader:
    """Whether an automaton takes a value, its members in any order."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton, self.steps = automaton, 0

    def takes(self, value: Any) -> bool:
        self.steps = 0
        ends = self.value(int(self.automaton.start(1)[0]), value)
        return any(self.automaton.accepting(np.array([state]))[0] for state in ends)

    def text(self, state: int, text: str) -> int:
        for byte in text.encode():
            state = int(self.automaton.advance(np.array([state]), np.array([byte]))[0])
            if state < 0:
                break
        return state

    def value(self, state: int, value: Any) -> Iterator[int]:
        """The states behind a value."""
        if isinstance(value, list):
            yield from self.elements(self.text(state, "["), value, first=True)
        elif isinstance(value, dict):
            yield from self.members(self.text(state, "{"), value, first=True)
        else:
            number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            after = self.text(
                state, str(value) if number else json.dumps(value, ensure_ascii=False)
            )
            if after >= 0:
                yield after

    def elements(self, state: int, rest: list[Any], first: bool) -> Iterator[int]:
        if state < 0:
            return
        if not rest:
            after = self.text(state, "]")
            yield from [after] if after >= 0 else []
            return
        state = state if first else self.text(state, ",")
        for after in self.value(state, rest[0]) if state >= 0 else ():
            yield from self.elements(after, rest[1:], first=False)

    def members(self, state: int, rest: dict[str, Any], first: bool) -> Iterator[int]:
        self.steps += 1
        if state < 0 or self.steps > ORDERS:
            return
        if not rest:
            after = self.text(state, "}")
            yield from [after] if after >= 0 else []
            return
        state = state if first else self.text(state, ",")
        for name in rest if state >= 0 else ():
            left = {other: value for other, value in rest.items() if other != name}
            named = self.text(state, json.dumps(name, ensure_ascii=False) + ":")
            for after in self.value(named, rest[name]) if named >= 0 else ():
                yield from self.members(after, left, first=False)


def cases(path: Path) -> Iterator[tuple[str, str, Any, list[dict[str, Any]]]]:
    """Keyword, name, schema and instances."""
    if path.is_file():
        for line in path.read_text().splitlines():
            case = json.loads(line, parse_float=_exact)
            yield case["name"].split("---")[0], case["name"], case["schema"], case["tests"]
        return
    for file in sorted(path.rglob("*.json")):
        keyword = file.relative_to(path).with_suffix("").as_posix()
        for case in json.loads(file.read_text(), parse_float=_exact):
            yield keyword, f"{keyword}: {case['description']}", case["schema"], case["tests"]


def _exact(text: str) -> Any:
    """A number as it is written."""
    return _Written(text)


class _Written(Decimal):
    def __new__(cls, text: str) -> _Written:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def judged(path: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Counts by keyword, and the lines of what is not as it should be."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    lines = []
    for keyword, name, schema, tests in cases(path):
        try:
            automaton = json_schema(_text(schema), BYTES)
            reader = Reader(automaton)
        except InputError as error:
            if "no value satisfies" in str(error):
                for test in tests:
                    verdict = "narrower" if test["valid"] else "right"
                    counts[keyword][verdict] += 1
                    if test["valid"]:
                        lines.append(f"narrower\t{name}\t{_shown(test['data'])}")
                continue
            counts[keyword]["refused"] += len(tests)
            lines.append(f"refused\t{name}\t{error}")
            continue
        for test in tests:
            taken = reader.takes(test["data"])
            verdict = "right" if taken == test["valid"] else "wrong" if taken else "narrower"
            counts[keyword][verdict] += 1
            if verdict != "right":
                lines.append(f"{verdict}\t{name}\t{_shown(test['data'])}")
    return counts, lines


def _text(value: Any) -> str:
    """JSON with its numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_text(v)}" for name, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _shown(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _case(line: str) -> str:
    """What is judged; of a schema that is refused, without the message, which may be reworded."""
    verdict, name, _ = line.split("\t", 2)
    return f"{verdict}\t{name}" if verdict == "refused" else line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help="write the list anew")
    chosen = parser.parse_args()
    lines: list[str] = []
    verdicts = ("right", "narrower", "refused", "wrong")
    for path in chosen.paths:
        counts, found = judged(path)
        lines += found
        print(f"{path.name:44}", *(f"{verdict:>9}" for verdict in verdicts))
        total = sum(counts.values(), Counter[str]())
        for keyword, count in [*sorted(counts.items()), ("all", total)]:
            print(f"{keyword:44}", *(f"{count[verdict]:9}" for verdict in verdicts))
    if chosen.write:
        LISTED.write_text("".join(f"{line}\n" for line in sorted(lines)))
    known = set(map(_case, LISTED.read_text().splitlines())) if LISTED.exists() else set()
    new = [line for line in lines if _case(line) not in known or line.startswith("wrong")]
    for line in new:
        print(f"new: {line}")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
