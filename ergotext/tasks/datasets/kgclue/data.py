"""Read questions in KgCLUE's form: JSON lines with an id, a question and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from ergotext.errors import InputError
from ergotext.lm.trie.lines import Lines
from ergotext.support.untrusted import json_of

SEPARATOR = " ||| "
Id = int | str


class Triple(NamedTuple):
    """An entry of the knowledge base."""

    subject: str
    predicate: str
    object: str

    def __str__(self) -> str:
        """As data files and submissions have it: ``subject ||| predicate ||| object``."""
        return SEPARATOR.join(self)

    @property
    def is_told_apart(self) -> bool:
        """Whether that can be parted into the same fields again."""
        return str(self).split(SEPARATOR) == list(self)


class Question(NamedTuple):
    """A line of a data file."""

    line: int
    """its number, from 1"""
    id: Id
    text: str
    answer: Triple | None
    """None where the file has none, as in test sets, or titles"""
    title: str | None = None
    """the answer in a file of titles"""


@dataclass(frozen=True)
class Questions:
    """The questions of a data file."""

    path: Path
    asked: list[Question]
    lines: Lines
    """what became of all lines: how many were bad, the first few with number and fault"""
    digest: str
    """of the file's bytes"""
    titles: bool = False
    """whether the answers are titles, and not triples"""


def read(path: str | Path, limit: int | None = None, titles: bool | None = False) -> Questions:
    """The questions of a file, or the first ``limit`` of them.

    The answers are triples, or ``titles``; with None, whichever most of them are.

    A line that is not UTF-8 or JSON, lacks a field, repeats an id, or has an answer of another form
    is left out and counted. A line without an answer (or with null) is a question all the same.
    Blank lines are none.

    Raises
    ------
    InputError
        The file cannot be read, or no line of it is a question.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the questions {path} ({error.strerror})") from error
    if titles is None:
        answers = [line for line in raw.split(b"\n") if b'"answer"' in line]
        titles = 2 * sum(SEPARATOR.encode() in line for line in answers) < len(answers)
    asked, bad = _parsed(raw, titles)
    lines = Lines()
    lines.count(path, len(asked) + len(bad), bad, strict=False)
    if not asked:
        seen = f": the first fault is in {lines.shown[0]}" if bad else ""
        answer = "title" if titles else SEPARATOR.join(Triple._fields)
        raise InputError(
            f'{path} contains no questions{seen}; give lines such as {{"id": 0, "question": "…", '
            f'"answer": "{answer}"}}'
        )
    digest = blake2b(raw, digest_size=16).hexdigest()
    return Questions(path, asked[:limit], lines, digest, titles)


def _parsed(raw: bytes, titles: bool) -> tuple[list[Question], dict[int, str]]:
    """The questions of a file's bytes, and what is wrong with each bad line, by its number."""
    asked: list[Question] = []
    bad: dict[int, str] = {}
    first: dict[Id, int] = {}
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            question = _question(number, line, titles)
            if question.id in first:
                raise ValueError(
                    f"the id {question.id!r} is already used in line {first[question.id]}"
                )
        except ValueError as error:
            bad[number] = str(error)
            continue
        first[question.id] = number
        asked.append(question)
    return asked, bad


def triple(answer: str) -> Triple:
    """Parse the answer of a data file or submission as a triple.

    Raises
    ------
    ValueError
        It has more or fewer than three fields.
    """
    fields = answer.split(SEPARATOR)
    if len(fields) != 3:
        raise ValueError(f"the answer {answer[:60]!r} is not subject ||| predicate ||| object")
    return Triple(*fields)


def is_id(value: object) -> bool:
    """Whether questions may be known by this."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def record(line: bytes) -> dict[str, Any]:
    """The JSON object that a line is.

    Raises
    ------
    ValueError
        It is none, or holds characters that no text can have.
    """
    found = json_of(line)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def _question(number: int, line: bytes, titles: bool) -> Question:
    found = record(line)
    if missing := [name for name in ("id", "question") if name not in found]:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    if not is_id(found["id"]):
        raise ValueError(f"the id {found['id']!r:.60} is neither an integer nor a text")
    text, answer = found["question"], found.get("answer")
    if not isinstance(text, str):
        raise ValueError(f"the question {text!r:.60} is not a text")
    if answer is not None and not isinstance(answer, str):
        raise ValueError(f"the answer {answer!r:.60} is not a text")
    if titles and SEPARATOR in (answer or ""):
        raise ValueError(f"the answer {answer!r:.60} is a triple, where titles are expected")
    if titles:
        return Question(number, found["id"], text, None, answer)
    return Question(number, found["id"], text, None if answer is None else triple(answer))
