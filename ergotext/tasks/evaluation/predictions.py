"""Append-only file of predictions, and the record of how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.support.files import write_text
from ergotext.support.untrusted import read_toml
from ergotext.tasks.config import as_toml
from ergotext.tasks.datasets.kgclue.data import Id, is_id, record

_BEGIN = b'{"id": '


class JsonLines:
    """JSON objects with an ``id``, one a line, in a file that outlives any end of a run.

    A line that a killed run has torn is taken away; all others stay as they are.

    Parameters
    ----------
    path : Path
    names : sequence of str
        What every object has besides its id.

    Raises
    ------
    InputError
        The file is none of this kind, or cannot be read. It is left as it was.
    """

    def __init__(self, path: Path, *names: str) -> None:
        self.path, self.names = path, names
        self.found: dict[Id, dict[str, Any]] = {}
        """what is in the file; of two with one id, the later"""
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is a folder, pipe or device: give a file")
        try:
            raw = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise InputError(f"cannot read {path} ({error.strerror})") from error
        *whole, last = raw.split(b"\n")
        for number, line in enumerate(whole, 1):
            if line.strip():
                self._take(line, number)
        self._length, self._end = len(raw), b""
        """where the last line ends that shall stay, and what is missing there"""
        if not last:
            return
        try:
            self._take(last, len(whole) + 1)
            self._end = b"\n"
        except InputError:
            if not (last.startswith(_BEGIN) or _BEGIN.startswith(last)):
                raise  # no line of ours begins like this
            self._length -= len(last)

    def mend(self) -> None:
        """Repair the end of the file before the first ``add``."""
        with self.path.open("ab") as file:
            file.truncate(self._length)
            file.write(self._end)
        self._end = b""

    def add(self, *objects: Mapping[str, Any]) -> None:
        """Append objects; a crash can only leave a torn last line."""
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
        with self.path.open("ab") as file:
            file.write(lines.encode())
        self.found.update((one["id"], dict(one)) for one in objects)

    def _take(self, line: bytes, number: int) -> None:
        try:
            one = record(line)
            if not is_id(one.get("id")) or any(name not in one for name in self.names):
                raise ValueError(f"it lacks id or {' or '.join(self.names)}")
        except ValueError as error:
            raise InputError(
                f"{self.path}, line {number} does not belong in {self.path.name} ({error}): use "
                "another file, or remove that line"
            ) from error
        self.found[one["id"]] = one


def beside(output: Path, suffix: str) -> Path:
    """``predictions.jsonl`` → ``predictions.run.toml``."""
    return output.with_suffix(suffix)


def check_same(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to continue predictions made with other settings.

    Raises
    ------
    InputError
        The recorded run had other settings, or the record cannot be read.
    """
    if not path.exists():
        return
    before = read_toml(
        path, advice="it records how the predictions were made; use another output file"
    )
    for name, value in settings.items():
        if (was := before.get(name)) != value:
            if (changed := name.removesuffix("_digest")) != name:
                what = {"data": "the questions", "lookahead": "the look-ahead"}.get(changed)
                raise InputError(
                    f"{what or f'the {changed}'} changed since the predictions in {path} were "
                    "made: use another output file, or delete them"
                )
            raise InputError(
                f"the predictions in {path} were made with {name} = {was!r}, but it is {value!r} "
                "now: use another output file, or delete them"
            )


def tell(path: Path, tables: Mapping[str, Any]) -> None:
    """Write names, values and tables as TOML in the place of what was there."""
    write_text(path, as_toml(tables) + "\n")
