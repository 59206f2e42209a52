"""The command line: one function a subcommand; what they do is in ``ergotext.tasks``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended, as shells have it."""

app = typer.Typer(
    name="ergotext",
    help="Text as a sample from an energy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class SamplerName(StrEnum):
    """Samplers that can write."""

    annealing = "annealing"
    mh = "mh"


class DtypeName(StrEnum):
    """Number formats of the model."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@app.callback()
def ergotext() -> None:
    """Text as a sample from an energy."""


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"ergotext {installed('ergotext')}")


@app.command()
def write(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYWORD...",
            help="Words that must occur verbatim; or -: keyword sets from stdin, "
            "one JSON list of strings a line.",
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="Sentences to show.")] = 3,
    chains: Annotated[int, typer.Option(min=1, help="Chains run side by side.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each chain.")] = 300,
    sampler: Annotated[
        SamplerName, typer.Option(help="annealing: look for the best; mh: sample.")
    ] = SamplerName.annealing,
    length: Annotated[int, typer.Option(min=1, help="Wanted length in tokens.")] = 14,
    context: Annotated[
        str | None,
        typer.Option(
            help="Text that stands before the sentence and is not shown; '' for none. "
            "By default a plain sentence about a quiet morning."
        ),
    ] = None,
    max_length: Annotated[int, typer.Option(min=1, help="Longest sentence in tokens.")] = 40,
    max_seconds: Annotated[
        float | None, typer.Option(help="Time limit for each keyword set.")
    ] = None,
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Let keywords trade places.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="smollm2, gemma3-270m, a folder, a .gguf file or a hub id.")
    ] = "smollm2",
    dtype: Annotated[
        DtypeName, typer.Option(help="bfloat16 is faster and approximate.")
    ] = DtypeName.float32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same output.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write here, not to stdout.")
    ] = None,
) -> None:
    """Write fluent sentences in which every keyword occurs."""
    emit = _Output(output)
    from ergotext.tasks import write as task

    if "-" in words and len(words) > 1:
        raise typer.BadParameter("- (keyword sets from stdin) stands alone", param_hint="KEYWORD")
    sets = task.parse_keyword_sets(_stdin()) if words == ["-"] else [words]
    task.check_sets(sets)
    budget = task.Budget(sampler.value, chains, steps, max_seconds, seed)
    results = task.write_all(
        sets,
        _load(model, device, dtype, threads),
        budget,
        context=context,
        mean_length=length,
        max_length=max_length,
        any_order=any_order,
    )
    approximate = dtype is not DtypeName.float32
    with emit:
        for one, result in zip(sets, results, strict=True):
            best = result.best(count)
            if as_json:
                emit(task.as_json(best, one, emit.ascii_only))
                typer.echo(task.how(result, approximate), err=True)
            else:
                emit(task.as_text(result, best, approximate))
            if result.stopped == "interrupt":
                raise _Interrupted("interrupted; the best so far is kept")


class _Interrupted(typer.TyperException):
    """Ctrl-C in the middle of a run whose findings are out."""

    exit_code = INTERRUPTED


class _Output:
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


def _stdin() -> str:
    from ergotext.lm.protocols import InputError

    if sys.stdin is None:
        raise InputError("standard input is closed; pipe keyword sets in, one JSON list a line")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"standard input is not UTF-8 ({error.reason})") from error


def _load(model: str, device: str, dtype: DtypeName, threads: int | None) -> CausalLM:
    import torch

    from ergotext.lm.loading import load

    if threads is not None:
        torch.set_num_threads(threads)
    return load(model, device=device, dtype=dtype.value)


def main(arguments: list[str] | None = None, command: Callable[..., object] = app) -> int:
    """Run the command line; every expected failure is one line on stderr and an exit code."""
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
    except BrokenPipeError:
        # The reader has gone (… | head). Keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(str(error), 1)
    except MemoryError:
        return _fail("out of memory; try fewer --chains or a smaller model", 1)
    except Exception as error:
        from ergotext.lm.protocols import ErgotextError, InputError

        if _came_of_ctrl_c(error):
            return _fail("interrupted", INTERRUPTED)
        if "allocate" in str(error):  # torch's own out-of-memory errors, CPU and CUDA
            return _fail("out of memory; try fewer --chains or a smaller model", 1)
        if not isinstance(error, ErgotextError):
            raise
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """Lazy imports turn a KeyboardInterrupt into whatever error they like to raise."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    if line:
        typer.echo(f"ergotext: {line}", err=True)
    return code


def entry() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows its code
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
