"""What every command shares, on commands that are made up: errors, signals, input and output."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from ergotext.cli import ergotext
from ergotext.commands import console
from ergotext.commands.console import Output, run, standard_input
from ergotext.errors import InputError, ModelError
from tests.faulty import load_with_fault


class Panic(BaseException):
    """As what Rust raises when it gives up: no Exception."""


def chained() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise ModuleNotFoundError("Could not import module") from error


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def call(command: Callable[[], object], *before: str) -> int:
    app = typer.Typer()
    app.callback()(ergotext)
    app.command("it")(command)
    return run(app, [*before, "it"])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (AttributeError("'int' object has\nno attribute"), 1, "unexpected AttributeError: 'int'"),
        (RecursionError("maximum recursion depth exceeded"), 1, "unexpected RecursionError"),
        (Panic("called `Option::unwrap()`"), 1, "unexpected Panic: called"),
        (SystemExit(7), 1, "unexpected SystemExit: 7"),
        (ValueError("x" * 10**6), 1, "unexpected ValueError: xxx"),
        (EOFError("file ended early"), 1, "unexpected EOFError: file ended early"),
        (OSError(5, "Input/output error", "x"), 1, "Input/output error"),
        (MemoryError(), 1, "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "out of memory"),
        (ModelError("no model"), 1, "ergotext: no model\n"),
        (InputError("no keyword 'allocate'"), 2, "ergotext: no keyword 'allocate'\n"),
        (KeyboardInterrupt(), 130, "ergotext: interrupted\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_is_one_line(capsys, error, code: int, message: str) -> None:
    assert call(raising(error)) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and len(err) < 500, err
    assert err.startswith("ergotext: ") and message in err
    assert "Traceback" not in err and ("--debug" in err) == ("unexpected" in err)


def test_an_interrupt_that_a_lazy_import_wrapped(capsys) -> None:
    assert call(chained) == 130 and capsys.readouterr().err == "ergotext: interrupted\n"


def test_debug_shows_where_it_happened(capsys, monkeypatch) -> None:
    error = ZeroDivisionError("division by zero")
    for before, variable in ((["--debug"], ""), ([], "1")):
        monkeypatch.setenv("ERGOTEXT_DEBUG", variable)
        assert call(raising(error), *before) == 1
        err = capsys.readouterr().err
        assert err.startswith("Traceback") and "in command" in err
        assert err.splitlines()[-1].startswith("ergotext: unexpected ZeroDivisionError")


SIGNALLED = """
import os, signal, sys, time, typer
from pathlib import Path
from ergotext.cli import ergotext
from ergotext.commands.console import Interrupted, Output, quit_by_signals, run
def it():
    emit = Output(Path(sys.argv[1]))
    with emit:
        emit("found")
        try:
            os.kill(os.getpid(), int(sys.argv[2]))
            time.sleep(30)
        except KeyboardInterrupt:
            {then}
app = typer.Typer()
app.callback()(ergotext)
app.command()(it)
quit_by_signals(lambda: run(app, ["it"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("then", ["raise", "raise Interrupted('interrupted; it is kept')"])
def test_signals_keep_what_was_found(tmp_path: Path, number: int, then: str) -> None:
    """Also where a run handles the interrupt: the exit code is that of the signal."""
    code = SIGNALLED.format(then=then)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out), str(int(number))],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 128 + number and out.read_text() == "found\n"
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("ergotext: "), done.stderr


@pytest.mark.parametrize("kind", ["loop", "ring", "folder", "to-folder", "nowhere", "below-file"])
def test_places_that_cannot_be_written(tmp_path: Path, kind: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "ring").symlink_to(tmp_path / "gnir")
    (tmp_path / "gnir").symlink_to(tmp_path / "ring")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to(tmp_path / "folder")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none" / "out")
    (tmp_path / "file").write_text("")
    (tmp_path / "below-file").symlink_to(tmp_path / "file" / "out")
    with pytest.raises(typer.BadParameter, match=r"link|folder"):
        Output(tmp_path / kind)
    assert (tmp_path / "loop").is_symlink()


def test_what_is_no_character_is_written_by_its_code(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    with output:
        output("a\udcff")
    assert (tmp_path / "out").read_text() == "a\\udcff\n"


def test_a_name_that_no_file_has() -> None:
    with pytest.raises(typer.BadParameter, match="NUL"):
        Output(Path("a\0b"))


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("mine")
    (tmp_path / "link").symlink_to(given)
    with pytest.raises(typer.BadParameter, match="an input of this command"):
        Output(tmp_path / "link", None, given)
    Output(tmp_path / "link", None, tmp_path / "another")


def written_without_room(output: type[Output], path: Path) -> str:
    """What is in a file after longer text could not be written to it: a disk that is full."""
    path.write_text("old")
    emit = output(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(typer.TyperException, match="File too large"), emit:
            emit("new " * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return path.read_text() if path.exists() else ""


def test_a_file_stays_until_all_of_the_new_one_is_there(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    assert written_without_room(Output, tmp_path / "out") == "old"
    assert capsys.readouterr().out == "new " * 20 + "\n"  # found is found
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    faulty = load_with_fault(
        "support.files", ('part = path.with_name(f"{_BEGIN}{uuid4().hex}{_END}")', "part = path")
    )
    monkeypatch.setattr(console, "write_text", faulty.write_text)
    assert written_without_room(Output, tmp_path / "out2") != "old"


def read_from(monkeypatch: pytest.MonkeyPatch, data: bytes, read: Callable[[], str]) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return read()


def test_a_byte_order_mark_on_standard_input_is_no_text(monkeypatch) -> None:
    data = b'\xef\xbb\xbf["summer"]\n'
    assert read_from(monkeypatch, data, standard_input) == '["summer"]\n'
    faulty = load_with_fault("commands.console", ('"utf-8-sig"', '"utf-8"'))
    assert read_from(monkeypatch, data, faulty.standard_input) != '["summer"]\n'


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import typer
        from ergotext.cli import ergotext
        from ergotext.commands.console import Output, quit_by_signals, run
        def it():
            emit = Output(None)
            for _ in range(10**6):
                emit("line")
        app = typer.Typer()
        app.callback()(ergotext)
        app.command()(it)
        quit_by_signals(lambda: run(app, ["it"]))
    """)
    reader, writer = os.pipe()
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    os.close(reader)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1 and err == ""


def test_stdout_by_another_name(tmp_path: Path) -> None:
    """A pipe has no name of its own; a file that stdout is redirected to is not replaced."""
    code = """
        import sys
        from pathlib import Path
        from ergotext.commands.console import Output
        emit = Output(Path("/dev/stdout"))
        with emit:
            emit("one")
        print("two")
        """
    script = [sys.executable, "-c", textwrap.dedent(code)]
    piped = subprocess.run(script, capture_output=True, text=True, check=True)
    assert piped.stdout == "one\ntwo\n"
    with (tmp_path / "out").open("w") as file:
        subprocess.run(script, stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "one\ntwo\n"


def test_a_pipe_given_as_a_descriptor() -> None:
    """As ``-o >(gzip > file)`` of a shell."""
    read, write = os.pipe()
    emit = Output(Path(f"/dev/fd/{write}"))
    with emit:
        emit("text")
    os.close(write)
    with os.fdopen(read) as stream:
        assert stream.read() == "text\n"


def test_arguments_are_named_as_options(capsys: pytest.CaptureFixture[str]) -> None:
    def command(dev: str = "", resume: bool = False) -> None:
        said = f"questions in another file (dev), a kind of (film); continue with resume{dev}"
        raise InputError(f"{said} or do not resume" if not resume else said)

    assert call(command) == 2
    said = capsys.readouterr().err
    assert "another file (--dev), a kind of (film)" in said
    assert "continue with --resume or do not resume" in said


def test_an_argument_that_is_no_option_stays(capsys: pytest.CaptureFixture[str]) -> None:
    def command(there: str = "") -> None:
        raise InputError(f"allow more tokens (max_length){there}")

    assert call(command) == 2
    assert "allow more tokens (max_length)" in capsys.readouterr().err
