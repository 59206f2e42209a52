"""The command ``ergotext sample``; the work is done in ``ergotext.tasks.sample``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from ergotext.commands.config_file import CONFIG_HELP, SHOW, SHOW_HELP
from ergotext.commands.console import Interrupted, Output
from ergotext.commands.groups import grouped
from ergotext.commands.options import DtypeName, ReportFile, Threads
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import load
from ergotext.samplers.catalog import CATALOG
from ergotext.support.bars import busy

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Flags:
    """Options that override those of a file: None is what was not given."""

    def given(self) -> dict[str, Any]:
        """By their names in the file."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True)
class SamplerFlags(Flags):
    """Which sampler, and how much of it."""

    TITLE: ClassVar = "Sampler"
    sampler: Annotated[
        str | None,
        typer.Option(
            help=f"Sampler: {', '.join(sorted(CATALOG))}; or your own, file.py:Class. The command "
            "samplers says when to use which. [smc with keywords, a regex or a schema, else mh]"
        ),
    ] = None
    n: Annotated[
        int | None,
        typer.Option(
            "-n", min=1, help="Number of texts; for a weighted sampler, of draws or particles. [64]"
        ),
    ] = None
    chains: Annotated[
        int | None, typer.Option(min=1, help="Number of chains, run in parallel. [8]")
    ] = None
    steps: Annotated[int | None, typer.Option(min=1, help="Steps per chain. [300]")] = None
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Option of the sampler, NAME=VALUE; repeatable."),
    ] = None

    def given(self) -> dict[str, Any]:
        """By their names in the file; options of the sampler in a table."""
        from ergotext.tasks.config import option

        told = super().given()
        told["options"] = dict(map(option, told.pop("option") or []))
        return told


@dataclass(frozen=True)
class EnergyFlags(Flags):
    """The terms of the energy."""

    TITLE: ClassVar = "Energy"
    keyword: Annotated[
        list[str] | None,
        typer.Option("--keyword", help="Word that must occur; repeatable, in this order."),
    ] = None
    length: Annotated[float | None, typer.Option(help="Mean length in tokens.")] = None
    regex: Annotated[
        str | None, typer.Option(help="Regular expression that the whole text must match.")
    ] = None
    json_schema: Annotated[
        str | None,
        typer.Option(help="JSON schema that the text must satisfy, or the file with it."),
    ] = None
    masked: Annotated[
        str | None,
        typer.Option(help="Masked model for the proposals of mlm-gibbs and mlm-mh: tiny-masked, …"),
    ] = None

    def given(self) -> dict[str, Any]:
        """A table."""
        from ergotext.tasks.config import energy

        return {"energy": energy(**vars(self))}


@dataclass(frozen=True)
class RunFlags(Flags):
    """What the texts stand in, and how the chains run."""

    TITLE: ClassVar = "Run"
    context: Annotated[
        str | None, typer.Option(help="Text to condition on, not shown in the output. ['']")
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            help="Initial text of the chains; gibbs and the samplers with a masked model keep its "
            "number of tokens."
        ),
    ] = None
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Maximum length in tokens. [40]")
    ] = None
    max_seconds: Annotated[
        float | None, typer.Option(help="Time limit of the chains in seconds.")
    ] = None
    r_hat: Annotated[
        float | None, typer.Option(help="Stop once R-hat falls below this, such as 1.01.")
    ] = None
    checkpoint: Annotated[
        str | None, typer.Option(help="Save the state of the chains to this file.")
    ] = None
    every: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints. [100]")] = (
        None
    )


@dataclass(frozen=True)
class ModelFlags(Flags):
    """Which model, and how it runs."""

    TITLE: ClassVar = "Model"
    model: Annotated[
        str | None,
        typer.Option(help="Model: a bundled name, folder, .gguf file or hub id. [smollm2]"),
    ] = None
    dtype: Annotated[
        DtypeName | None, typer.Option(help="Number format of the model. [float32]")
    ] = None
    device: Annotated[str | None, typer.Option(help="Device: auto, cpu or cuda. [auto]")] = None
    threads: Threads = None

    def given(self) -> dict[str, Any]:
        """By their names in the file."""
        return super().given() | {"dtype": self.dtype and self.dtype.value}


@dataclass(frozen=True)
class SavedFiles:
    """What is saved of a run, beside its checkpoint."""

    TITLE: ClassVar = "Output"
    plot: Annotated[
        Path | None,
        typer.Option(help="Save a plot of the chains' energy traces and ranks to this .png."),
    ] = None
    report: ReportFile = None
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file; the settings of the run are saved beside it (….run.toml).",
        ),
    ] = None


@grouped
def sample(
    *,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP)] = None,
    show_config: Annotated[bool, typer.Option(SHOW, help=SHOW_HELP)] = False,
    by: SamplerFlags,
    energy: EnergyFlags,
    run: RunFlags,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    lm: ModelFlags,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random seed; the same seed gives the same output. [0]"),
    ] = None,
    saved: SavedFiles,
) -> None:
    """Sample texts from any energy with any sampler.

    Prints JSON lines.

    Chains give draws of equal weight. Weighted samplers (importance, rejection, smc, ais,
    stochastic-beam) give each draw a "log_weight".
    """
    output, plot = saved.output, saved.plot
    emit = Output(output)
    from ergotext.tasks import config as table
    from ergotext.tasks.default_sampler import with_sampler
    from ergotext.tasks.sample_checks import beside, check, check_inputs

    flags = by.given() | energy.given() | run.given() | lm.given() | {"seed": seed}
    told = table.read(config, flags)
    check_inputs(told)
    others = ["plot"] * (plot is not None) + ["resume"] * resume
    told, why = with_sampler(told, *others)
    if show_config:
        emit(table.shown(config, flags, told))
        return
    record_file = beside(output) if emit.path is not None else None
    files = [config, output, record_file]
    check(told, resume=resume, plot=plot, others=files)
    kept = None if (one := told.get("checkpoint")) is None else Path(one)
    page = ReportPage(saved.report, plot, *files, kept)
    with busy("starting"):
        from ergotext.tasks import sample as task

    task.check_options(told)
    model = load(told["model"], told["device"], told["dtype"], told.get("threads"))
    result = task.sample_by(told, model, resume=resume, record=page.wanted)
    record = Output(record_file)
    with emit, record, page:
        texts = task.texts_of(result, told.get("n"))
        emit(task.as_json(texts, emit.ascii_only))
        if record.path is not None:
            record(task.saved(told, result))
        if page.takes():
            from ergotext.tasks.report.runs import section

            page.add(section(repr(result.problem), result, texts, record=task.saved(told, result)))
    if plot is not None:
        task.draw(result, plot)
    for line in (*why, *task.complaints(result, told["dtype"]), *task.unasked(told)):
        typer.echo(line, err=True)
    if task.interrupted(result):
        raise Interrupted("interrupted; the results so far are kept")
