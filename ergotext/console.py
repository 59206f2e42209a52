"""What every command shares: its output file, its exit codes, and how a signal ends it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from uuid import uuid4

import typer

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended, as shells have it."""


class Interrupted(typer.TyperException):
    """Ctrl-C in the middle of a run whose findings are out."""

    exit_code = INTERRUPTED


class Quit(BaseException):
    """SIGTERM, or the terminal was closed: what was being written is cleared away on the way out.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        """as shells have it"""


class Output:
    """Lines to stdout, or to a file that appears when the run ends, whatever ends it.

    A file that was there stays as it is until then, and for good if nothing was found.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path and Path(os.path.realpath(path))
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self.ascii_only = path is None and encoding.lower().replace("-", "") != "utf8"
        self.lines: list[str] = []
        if self.path is None:
            return
        if self.path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file", param_hint="-o")
        if not os.access(self.path.parent, os.W_OK):
            raise typer.BadParameter(
                f"the folder {self.path.parent} cannot be written", param_hint="-o"
            )

    def __call__(self, text: str) -> None:
        if self.path is None:
            typer.echo(text)
        else:
            self.lines.append(text + "\n")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.path is None or not self.lines:
            return
        try:
            self._write(self.path)
        except OSError:
            typer.echo("".join(self.lines), nl=False)  # found is found
            raise

    def _write(self, path: Path) -> None:
        if path.exists() and not path.is_file():  # a pipe or device: nothing to replace
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(self.lines)
            return
        part = path.with_name(f".ergotext-{uuid4().hex}")
        try:
            with part.open("x", encoding="utf-8") as stream:
                stream.writelines(self.lines)
            if path.exists():
                shutil.copymode(path, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


class Report(Protocol):
    """What a command did, and what its user should know besides."""

    def text(self) -> str:
        """For stdout."""

    def complaints(self) -> list[str]:
        """Lines for stderr; none if all is well."""


def report(done: Report) -> None:
    """Show what a command did."""
    for number, line in enumerate(done.complaints()):
        typer.echo(line if number else f"ergotext: {line}", err=True)
    typer.echo(done.text())


def standard_input() -> str:
    """All of it, as text.

    Raises
    ------
    InputError
        It is closed, or not UTF-8.
    """
    from ergotext.lm.protocols import InputError

    if sys.stdin is None:
        raise InputError("standard input is closed; pipe keyword sets in, one JSON list a line")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"standard input is not UTF-8 ({error.reason})") from error


_NO_MEMORY = "out of memory; ask for less at a time (fewer --chains, a smaller model) or free some"


def run(command: Callable[..., object], arguments: list[str] | None) -> int:
    """Run a command line; every expected failure is one line on stderr and an exit code."""
    try:
        code = command(args=arguments, prog_name="ergotext", standalone_mode=False)
        if code == INTERRUPTED:  # typer's answer to Ctrl-C, which it gives without a word
            return _fail("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else 0
    except typer.TyperException as error:
        if not arguments and type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)
            return error.exit_code
        return _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except Quit as signalled:
        return _fail(f"ended by {signalled}", signalled.exit_code)
    except BrokenPipeError:
        # The reader has gone (… | head). Keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(str(error), 1)
    except MemoryError:
        return _fail(_NO_MEMORY, 1)
    except Exception as error:
        from ergotext.lm.protocols import ErgotextError, InputError

        if (cause := _came_of(error, Quit)) is not None:
            return _fail(f"ended by {cause}", cause.exit_code)
        if _came_of(error, KeyboardInterrupt) is not None:
            return _fail("interrupted", INTERRUPTED)
        if "allocate" in str(error):  # torch's own out-of-memory errors, CPU and CUDA
            return _fail(_NO_MEMORY, 1)
        if not isinstance(error, ErgotextError):
            raise
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)


def _came_of(error: BaseException | None, kind: type[Any]) -> Any:
    """What a signal raised; lazy imports turn it into whatever error they like to raise."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    if line:
        typer.echo(f"ergotext: {line}", err=True)
    return code


def quit_by_signals(main: Callable[[], int]) -> None:
    """End the process with the code of ``main``, which signals end as an exception would."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup: not ours
            signal.signal(number, _quit)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows its code
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())


def _quit(number: int, _: FrameType | None) -> None:
    raise Quit(number)
