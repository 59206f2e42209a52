"""The command-line application: its subcommands, global options and entry point."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from ergotext.commands.calibrate import calibrate
from ergotext.commands.config_file import ConfigurableCommand, configurable
from ergotext.commands.console import quit_by_signals, run
from ergotext.commands.diagnose import diagnose
from ergotext.commands.doctor import doctor
from ergotext.commands.evaluate import evaluate
from ergotext.commands.generate import generate
from ergotext.commands.help import EXIT_CODES, of
from ergotext.commands.index import index
from ergotext.commands.infill import infill
from ergotext.commands.paraphrase import paraphrase
from ergotext.commands.read import read
from ergotext.commands.retrieve import retrieve
from ergotext.commands.sample import sample
from ergotext.commands.samplers import samplers
from ergotext.commands.serve import serve
from ergotext.commands.train import train
from ergotext.commands.write import write

app = typer.Typer(
    name="ergotext",
    help="Text as a sample from an energy.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
PLAIN = (sample, samplers, doctor)
"""Commands without options of a file: sample reads tables from its own, the others have none."""
for command in (
    write,
    retrieve,
    generate,
    serve,
    infill,
    paraphrase,
    sample,
    samplers,
    doctor,
    evaluate,
    calibrate,
    read,
    diagnose,
    train,
):
    name = command.__name__.replace("_", "-")
    if command in PLAIN:
        app.command(**of(name))(command)
    else:
        app.command(**of(name, ConfigurableCommand))(configurable(command))
app.add_typer(index, name="index")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"ergotext {installed('ergotext')}")
        raise typer.Exit


@app.callback()
def ergotext(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="ERGOTEXT_DEBUG", help="Show tracebacks."),
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Text as a sample from an energy."""
    context.obj.debug = debug


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; an error is one line on stderr."""
    return run(app, arguments)


def entry() -> None:
    """Run the console script."""
    # ``quiet`` silences libraries while they load a model; this silences the rest.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    quit_by_signals(main)
