"""Build, change and verify index files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.trie.file import load, save, state_of, verify
from ergotext.lm.trie.header import IndexFile, IndexFileError
from ergotext.lm.trie.lines import Lines, build_from_lines
from ergotext.lm.trie.opening import named, opened
from ergotext.lm.trie.schema import TRIPLES, Schema, schema_of
from ergotext.lm.trie.tree import TokenTrie
from ergotext.lm.trie.update import add_lines, remove_lines
from ergotext.support.untrusted import CONVERT
from ergotext.support.words import counted
from ergotext.tasks.index_lock import changing
from ergotext.tasks.key_warnings import heading_warning, key_warnings


@dataclass(frozen=True)
class Change:
    """Result of ``build``, ``add`` or ``remove``."""

    path: Path
    keys: int
    bytes: int
    lines: Lines
    seconds: float
    warnings: list[str]

    def text(self) -> str:
        """One line on what there is now."""
        return (
            f"{self.path}: {counted(self.keys, 'key')}, {self.bytes:,} bytes "
            f"({self.lines.read - self.lines.bad:,} of {counted(self.lines.read, 'line')} used, "
            f"{self.seconds:.1f} s)"
        )

    def complaints(self) -> list[str]:
        """Lines on what was left out, and on what may surprise."""
        if not self.lines.bad:
            return self.warnings
        left = self.lines.bad - len(self.lines.shown)
        more = [f"  … and {left:,} more"] if left else []
        count = f"{self.lines.bad:,} of {counted(self.lines.read, 'line')} left out:"
        return [count, *(f"  {line}" for line in self.lines.shown), *more, *self.warnings]


def build(
    source: str | Path,
    output: str | Path,
    *,
    tokenizer: str | None = None,
    columns: str | Schema = TRIPLES,
    strict: bool = False,
) -> Change:
    """Build an index file of the lines of ``source`` (``lm.trie.lines.build_from_lines``).

    Parameters
    ----------
    source, output : str or Path
    tokenizer : str, optional
        Name of a fast tokenizer (``lm.fast_tokenizer.load_tokenizer``); without one, every
        character of the file has a token of its own, and the index needs nothing besides itself.
    columns : str or Schema
        Names of the columns, separated by commas, or what they are; noted in the index.
    strict : bool
        Stop at the first bad line.

    Raises
    ------
    InputError
        A file cannot be read or written, another file than an index is at ``output``, no line
        makes a key, or one is bad and ``strict`` is set.
    ErgotextError
        The disk is full. What was at ``output`` is untouched then.
    """
    began = time.perf_counter()
    source, output = Path(source), Path(output)
    _check_new(output, source)
    schema = columns if isinstance(columns, Schema) else schema_of(_columns(columns))
    chosen = named(tokenizer) if tokenizer is not None else None
    trie, lines = build_from_lines(source, chosen, columns=schema, strict=strict)
    if not len(trie):
        raise _no_keys(source, lines, schema)
    notes = schema.notes()
    if tokenizer is not None:
        notes["tokenizer"] = tokenizer
    with changing(output) if output.exists() else nullcontext():
        save(trie, output, notes)
    warnings = heading_warning(source, schema) + key_warnings(trie, schema, tokenizer or "")
    return _change(output, trie, lines, began, warnings)


def described(
    columns: str, mention: str | None, key: str | None, answer: str | None, brackets: str | None
) -> Schema:
    """A schema by its parts as people write them, with commas between names (``Schema.of``)."""
    return Schema.of(
        _columns(columns),
        mention=mention,
        key=None if key is None else _columns(key),
        answer=answer,
        brackets=brackets,
    )


def add(
    index: str | Path,
    source: str | Path,
    *,
    tokenizer: str | None = None,
    columns: str | None = None,
    strict: bool = False,
) -> Change:
    """Add the lines of a file to an index; arguments and errors as ``build``.

    ``columns`` and ``tokenizer`` are those that the index was built with if not given. While
    another process changes the index this one waits.
    """
    return _changed(add_lines, index, source, tokenizer, columns, strict)


def remove(
    index: str | Path,
    source: str | Path,
    *,
    tokenizer: str | None = None,
    columns: str | None = None,
    strict: bool = False,
) -> Change:
    """Remove the lines of a file from an index (``lm.trie.update.remove_lines``); as ``add``."""
    return _changed(remove_lines, index, source, tokenizer, columns, strict)


def check(index: str | Path) -> str:
    """Read all of an index and compare its checksums; one line if nothing has changed."""
    index = Path(index)
    verify(index)
    return f"{index} is intact ({index.stat().st_size:,} bytes)"


def _changed(
    change: Callable[..., tuple[TokenTrie, Lines]],
    index: str | Path,
    source: str | Path,
    tokenizer: str | None,
    columns: str | None,
    strict: bool,
) -> Change:
    index, source = Path(index), Path(source)
    _check_output(index, source)
    if not index.is_file():
        load(index)  # says that it is missing; nothing is locked for that
    with changing(index):
        return _changed_alone(change, index, source, tokenizer, columns, strict)


def _changed_alone(
    change: Callable[..., tuple[TokenTrie, Lines]],
    index: Path,
    source: Path,
    tokenizer: str | None,
    columns: str | None,
    strict: bool,
) -> Change:
    began = time.perf_counter()
    before = state_of(index)
    verify(index)  # damage must not be written down again, with a checksum that says it is sound
    trie, notes = opened(index, tokenizer)
    noted = Schema.noted(notes) or TRIPLES
    schema = noted if columns is None else noted.ordered(_columns(columns))
    if schema is None:
        raise InputError(
            f"{index} has keys from the columns {','.join(noted.columns)}, which {columns} do not "
            "match: name the same key columns (columns)"
        )
    trie, lines = change(trie, source, columns=schema, strict=strict)
    # ``remove`` counts keys that are not there: a file removed twice is no mistake.
    if change is add_lines and lines.bad == lines.read:
        raise _no_keys(source, lines, schema)
    save(trie, index, notes, replaces=before)  # Python's ``save_trie`` takes no lock
    return _change(
        index, trie, lines, began, key_warnings(trie, schema, notes.get("tokenizer", ""))
    )


def _change(path: Path, trie: TokenTrie, lines: Lines, began: float, warnings: list[str]) -> Change:
    seconds = time.perf_counter() - began
    return Change(path, len(trie), path.stat().st_size, lines, seconds, warnings)


def _no_keys(source: Path, lines: Lines, schema: Schema) -> InputError:
    """What to say of a file that makes no key."""
    if not lines.read:
        return InputError(f"{source} is empty: give a file with a key on each line")
    first = f" (the first: {lines.shown[0]})" if lines.shown else ""
    mend = f"name its columns (columns), now {','.join(schema.columns)}"
    return InputError(
        f"{source} contains no valid keys: {lines.bad:,} of {counted(lines.read, 'line')} "
        f"{'is' if lines.read == 1 else 'are'} malformed{first}; "
        f"{CONVERT if 'is not UTF-8' in first else mend}"
    )


def _columns(columns: str) -> list[str]:
    return [name.strip() for name in columns.split(",")]


def _check_new(output: Path, source: Path) -> None:
    """As ``_check_output``; what is replaced must be an index."""
    _check_output(output, source)
    if output.exists() and output.stat().st_size and not _is_index(output):
        raise InputError(
            f"{output} already exists and is not an index: use another file name, or remove it "
            "first"
        )


def _check_output(path: Path, source: Path) -> None:
    """Check before the work what would otherwise fail after it."""
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file name")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is a pipe or device: give a file name")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} does not exist or is not writable")
    if path.exists() and source.exists() and path.samefile(source):
        raise InputError(f"{path} is also the input file: use another one for the index")


def _is_index(path: Path) -> bool:
    try:
        IndexFile.open(path)
    except IndexFileError:
        return False
    return True
