"""Shared behaviour of all commands: output files, exit codes, error lines and signals.

Exit codes: 0; 1 for a failure, expected or not; 2 for input that cannot be; 130 after Ctrl-C and
128 + its number after another signal. An error is one line on stderr; ``--debug`` shows the rest.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Protocol

import typer
from typer.completion import shell_complete

from ergotext.errors import ErgotextError, InputError
from ergotext.support.files import write_text
from ergotext.support.suggestions import meant

NAME = "ergotext"
COMPLETE = "_ERGOTEXT_COMPLETE"
"""Variable by which a shell asks for completions."""
INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended, as shells have it."""
_LONG_DASH = re.compile("[–—―－−]+([a-z][a-z-]+)(=.*)?", re.DOTALL)
_ARGUMENT = re.compile(r"\((\w+)\)|\bwith (resume)\b")
"""How messages of functions name an argument: "another file (dev)"."""
UNEXPECTED = "unexpected"
"""How the line of an error begins that nobody foresaw."""


@dataclass
class GlobalOptions:
    """Global options of the command line, in the context of every command."""

    debug: bool = False
    """Show tracebacks."""


class Quit(KeyboardInterrupt):
    """Raised by SIGTERM and SIGHUP; ends a run as Ctrl-C does, with the results so far.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    code: ClassVar[int] = INTERRUPTED
    """Exit code of the signal that came last, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupted(typer.TyperException):
    """A run was interrupted after its results were printed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.exit_code = Quit.code


def place(path: Path, option: str = "-o") -> Path:
    """Resolve and check an output path, before any work is done.

    Raises
    ------
    typer.BadParameter
        It is a folder or a link that leads nowhere, or its folder is not there or cannot be
        written.
    """
    if "\0" in str(path):
        raise typer.BadParameter("a file name cannot contain a NUL character", param_hint=option)
    real = Path(os.path.realpath(path))
    if path.exists() and not real.exists():
        return path  # /dev/fd/…, /dev/stdout: a pipe has no name of its own
    if real.is_symlink():
        raise typer.BadParameter(f"{path} is a link to itself", param_hint=option)
    if real.is_dir():
        raise typer.BadParameter(f"{path} is a folder; give a file name", param_hint=option)
    if not real.parent.exists():
        raise typer.BadParameter(f"the folder {real.parent} does not exist", param_hint=option)
    if not real.parent.is_dir():
        raise typer.BadParameter(f"{real.parent} is not a folder", param_hint=option)
    if not os.access(real.parent, os.W_OK):
        raise typer.BadParameter(f"the folder {real.parent} is not writable", param_hint=option)
    return real


def _is_stdout(path: Path) -> bool:
    """Whether it is stdout by another name: to replace its file would lose what follows."""
    with suppress(AttributeError, OSError, ValueError):  # there may be no file behind stdout
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


ARGUMENTS: ContextVar[Sequence[str]] = ContextVar("ARGUMENTS", default=())
"""Those of the command line that is being run, without the name of the program."""


class Output:
    """Lines to stdout, or to a file that appears when the run ends, whatever ends it.

    A file that was there stays as it is until then, and for good if nothing was found.

    Parameters
    ----------
    path : Path, optional
    *read : Path or None
        Files that the command reads; none of them is written over.
    """

    def __init__(self, path: Path | None, *read: Path | None) -> None:
        self.path = None if path is None or _is_stdout(path) else place(path)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self.ascii_only = path is None and encoding.lower().replace("-", "") != "utf8"
        self.lines: list[str] = []
        if self.path in [Path(os.path.realpath(file)) for file in read if file is not None]:
            raise typer.BadParameter(
                f"{path} is also an input of this command; give another file name", param_hint="-o"
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
            write_whole(self.path, "".join(self.lines))
        except OSError as error:
            typer.echo("".join(self.lines), nl=False)  # found is found
            raise typer.TyperException(
                f"{self.path} could not be written ({error.strerror or error}); the output was "
                "printed instead"
            ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file at once, or into a pipe; OSError if that cannot be."""
    # Half a surrogate pair, of an argument that was not UTF-8, is shown by its code.
    data = text.encode(errors="backslashreplace")
    if path.exists() and not path.is_file():  # a pipe or device: nothing to replace
        path.write_bytes(data)
        return
    write_text(path, data.decode())


class Report(Protocol):
    """Report of a command, with warnings for its user."""

    def text(self) -> str:
        """For stdout."""

    def complaints(self) -> list[str]:
        """Lines for stderr; none if all is well."""


def report(done: Report) -> None:
    """Print the report of a command."""
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
    if sys.stdin is None:
        raise InputError("standard input is closed; pipe text into it")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"standard input is not UTF-8 ({error.reason})") from error


_NO_MEMORY = "out of memory; use fewer --chains or a smaller model, or free some memory"


def run(app: typer.Typer, arguments: list[str] | None) -> int:
    """Run a command line and return the exit code; an error is one line on stderr."""
    asked, Quit.code = GlobalOptions(), INTERRUPTED
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = typer.main.get_command(app)
    try:
        # Not called, but taken apart: a call makes a Ctrl-C of EOFError, and leaves at EPIPE.
        if (wanted := os.environ.get(COMPLETE)) and arguments is None:
            return shell_complete(command, {}, NAME, COMPLETE, wanted)
        ARGUMENTS.set(given)
        _check_dashes(given)
        with command.make_context(NAME, given, obj=asked) as context:
            command.invoke(context)
    except typer.Exit as error:
        return error.exit_code
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            return 0  # typer's options that print or install a completion
        if isinstance(error, typer.TyperException) and type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)
            return error.exit_code
        if asked.debug:
            typer.echo("".join(traceback.format_exception(error)), nl=False, err=True)
        said, code = _ending(error)
        return _fail(_as_options(said, command, given), code)
    return 0


def _as_options(said: str, command: Any, given: Sequence[str]) -> str:
    """A message in which arguments that a command has as options are named as these."""
    for word in given:
        command = getattr(command, "commands", {}).get(word, command)
    options = {str(one.name): max(one.opts, key=len) for one in command.params if one.opts}
    named: dict[str, str] = {
        name: option for name, option in options.items() if option.startswith("--")
    }

    def renamed(found: re.Match[str]) -> str:
        name = found[1] or found[2] or ""
        return found[0].replace(name, named.get(name, name))

    return _ARGUMENT.sub(renamed, said)


def _check_dashes(given: Sequence[str]) -> None:
    """Refuse options with the dash that word processors make of ``--``: it would be a text."""
    options = given[: given.index("--")] if "--" in given else given
    if wrong := next(filter(None, map(_LONG_DASH.fullmatch, options)), None):
        raise typer.BadParameter(f"{wrong[0]!r} begins with another dash: write --{wrong[1]}")


def _ending(error: BaseException) -> tuple[str, int]:
    """What is said of an error, and the exit code."""
    if isinstance(error, typer.TyperException):
        return _usage(error), error.exit_code
    # Lazy imports make an error of their own of whatever is raised in them.
    if (signalled := _came_of(error, KeyboardInterrupt)) is not None:
        why = "".join(f": {note}" for note in getattr(signalled, "__notes__", ()))
        if isinstance(signalled, Quit):
            return f"terminated by {signalled}{why}", signalled.exit_code
        return f"interrupted{why}", INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader has gone (… | head)
        _leave_stdout()
        return "", 1
    if _came_of(error, MemoryError) or "ried to allocate" in str(_came_of(error, RuntimeError)):
        return _NO_MEMORY, 1  # torch has an error of its own for it
    if isinstance(error, ErgotextError):
        return str(error), 2 if isinstance(error, InputError) else 1
    if isinstance(error, OSError):
        return str(error), 1
    return (
        f"{UNEXPECTED} {type(error).__name__}: {str(error)[:300]}; please report this, with the "
        "traceback that ergotext --debug … prints",
        1,
    )


def _usage(error: typer.TyperException) -> str:
    """What is said of a command line, in our words where typer quotes pydantic's."""
    if not isinstance(error, typer.BadParameter) or error.__cause__ is None:
        return error.format_message()
    from pydantic import ValidationError

    if isinstance(error.__cause__, ValidationError):
        from ergotext.support.records import reason

        error.message = reason(error.__cause__)
        wrong, _, choices = error.message.partition(" is not one of ")
        error.message += meant(wrong.strip("'"), re.findall("'([^']*)'", choices))
    return error.format_message()


def _leave_stdout() -> None:
    """Keep Python from complaining at exit that nobody reads what is left to be written."""
    with suppress(OSError, ValueError):  # there may be no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    Quit.code = 128 + number
    raise Quit(number)
