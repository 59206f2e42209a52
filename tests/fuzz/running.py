"""A command line in process, and what must hold of it whatever it is given."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from hypothesis import strategies as st

from ergotext.cli import main

ASKED = '{"id": 0, "question": "How many moons has Mars?", "answer": "Mars ||| moons ||| 2"}\n'
TEMPLATES = "moons\tHow many moons has {subject}?\ncolour\tWhat colour is {subject}?\n"
SMALL = ["--model", "tiny-causal", "--chains", "1", "--steps", "2", "--max-length", "16"]

SECONDS = float(os.environ.get("ERGOTEXT_FUZZ_SECONDS", "30"))
"""Of the processor, within which every example ends; most take a twentieth of one."""

CODES: Counter[tuple[str, int]] = Counter()
"""How many examples of each command ended with which code."""


class Hang(BaseException):
    """It took too long."""


@contextmanager
def limited() -> Iterator[None]:
    def late(_: int, __: FrameType | None) -> None:
        raise Hang(f"after {SECONDS:g} s")

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, 1), (signal.SIGALRM, signal.ITIMER_REAL, 20))
    before = [signal.signal(number, late) for number, _, _ in timers]
    for _, timer, times in timers:  # by its own time, as the machine may be busy; and if it sleeps
        signal.setitimer(timer, SECONDS * times)
    try:
        yield
    finally:
        for (number, timer, _), was in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, was)


def stream(data: bytes = b"") -> io.TextIOWrapper:
    """As the process has them: a character that cannot be shown is shown by its code."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="backslashreplace")


def held(folder: Path) -> dict[str, bytes | str]:
    """The files below a folder, and where its links lead; weights are links."""
    found: dict[str, bytes | str] = {}
    for place in sorted(folder.rglob("*")):
        name = str(place.relative_to(folder))
        if place.is_symlink():
            found[name] = str(place.readlink())
        elif place.is_file():
            found[name] = place.read_bytes()
    return found


def check(
    arguments: Sequence[str], folder: Path, stdin: bytes = b"", may: Sequence[str] = ()
) -> None:
    """Run a command line in a folder: it succeeds, or says in one line why not.

    Parameters
    ----------
    may : sequence of str
        Beginnings of the names of files that a command that succeeds may write anew.
    """
    before, here = held(folder), Path.cwd()
    streams = sys.stdin, sys.stdout, sys.stderr
    out, err = stream(), stream()
    os.chdir(folder)
    try:
        sys.stdin, sys.stdout, sys.stderr = stream(stdin), out, err
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="matplotlib")
            code = main(list(arguments))
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        os.chdir(here)
    err.flush()
    # The stand-in for stderr is bytes below; the stubs of TextIO do not know that.
    lines = err.buffer.getvalue().decode().splitlines(keepends=True)  # type: ignore[attr-defined]
    said = "".join(line for line in lines if not line.startswith("converting "))  # what takes long
    told = f"{code} {list(arguments)!r:.2000}\n{said[-2000:]}"
    assert code in (0, 1, 2), told
    assert "Traceback" not in said and "ergotext: unexpected" not in said, told
    if code:
        last = said.splitlines()[-1:] or [""]
        assert said.count("\n") == 1 and last[0].startswith("ergotext: "), told
    CODES[arguments[0], code] += 1
    after = held(folder)
    for name, was in before.items():
        # A run of evaluate mends what one that was killed left, whatever comes after.
        own = name.startswith(tuple(may) or "\0") and (not code or arguments[0] == "evaluate")
        assert own or after.get(name) == was, f"{name} was changed: {told}"


@st.composite
def options(draw: st.DrawFn, **known: st.SearchStrategy[str] | None) -> list[str]:
    """Some options, with values; None for one that has none."""
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=2, unique=True))
    found: list[str] = []
    for name in chosen:
        flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        value = known[name]
        found += [flag] if value is None else [flag, draw(value)]
    return found


def run(arguments: list[str], files: dict[str, bytes], stdin: bytes = b"", may=()) -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "folder").mkdir()
        (folder / "empty").mkdir()
        (folder / "file").write_text("mine")
        (folder / "loop").symlink_to(folder / "loop")
        (folder / "link").symlink_to(folder / "file")
        (folder / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 40)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        check(arguments, folder, stdin, may=["file", *may])
