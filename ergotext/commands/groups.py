"""Groups of options that several commands share: one parameter of a command for each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from ergotext.commands.options import (
    FLOAT32,
    SMC,
    AsJson,
    Count,
    Device,
    Dtype,
    EditedChains,
    EditSteps,
    Model,
    OutFile,
    Particles,
    ReportFile,
    Seconds,
    Seed,
    Threads,
    Writer,
)
from ergotext.commands.texts import check_model, load

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM
    from ergotext.tasks.budget import Budget


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and how it runs."""

    TITLE: ClassVar = "Model"
    model: Model = "smollm2"
    dtype: Dtype = FLOAT32
    device: Device = "auto"
    threads: Threads = None

    def check(self) -> None:
        """See that there may be such a model, before anything is imported for it."""
        check_model(self.model, self.device)

    def load(self) -> CausalLM:
        """The model, once the rest of the command line is known to be sound."""
        return load(self.model, self.device, self.dtype.value, self.threads)


@dataclass(frozen=True)
class SearchOptions:
    """How texts are looked for."""

    TITLE: ClassVar = "Search"
    sampler: Writer = SMC
    particles: Particles = None
    chains: EditedChains = None
    steps: EditSteps = None
    max_seconds: Seconds = None
    seed: Seed = 0

    def budget(self, count: int, record: bool = False) -> Budget:
        """The same for a task that is to show so many; InputError if they do not go together."""
        from ergotext.tasks.budget import FINALS, Budget

        return Budget(
            self.sampler.value,
            self.particles,
            self.chains,
            self.steps,
            self.max_seconds,
            self.seed,
            finals=max(FINALS, 4 * count),
            record=record,
        )


@dataclass(frozen=True)
class OutputOptions:
    """How many texts are shown, as what and where."""

    TITLE: ClassVar = "Output"
    count: Count = 3
    as_json: AsJson = False
    output: OutFile = None
    report: ReportFile = None


@dataclass(frozen=True)
class TrainingFiles:
    """What is trained on, and what is scored."""

    TITLE: ClassVar = "Files"
    questions: Annotated[
        Path, typer.Argument(help="Questions about the base with their answers, JSON lines.")
    ]
    index: Annotated[
        Path, typer.Option("-i", "--index", help="Index of the knowledge base (triples).")
    ]
    output: Annotated[Path, typer.Option("-o", "--output", help="Output folder for the model.")]
    dev: Annotated[
        Path | None,
        typer.Option(
            help="Held-out questions, never trained on: half to choose by, half to score. [30% of "
            "the questions]"
        ),
    ] = None
    templates: Annotated[
        list[Path] | None,
        typer.Option(
            help="File of question templates: a predicate, a tab, a question with {subject}; "
            "repeatable."
        ),
    ] = None
    synonyms: Annotated[
        list[Path] | None,
        typer.Option(help="File of synonyms, one tab-separated group per line; repeatable."),
    ] = None

    def check(self) -> None:
        """See that there are such files, before anything is imported to train with."""
        from ergotext.lm.trie.file import load
        from ergotext.support.files import check_readable

        check_readable("questions", self.questions, *() if self.dev is None else (self.dev,))
        check_readable("templates", *self.templates or ())
        check_readable("synonyms", *self.synonyms or ())
        load(self.index)


def _titled(annotation: Any, title: str | None) -> Any:
    """The annotation of an option, with the title below which the help shows it."""
    kind, *told = get_args(annotation)
    told = [copy(one) if isinstance(one, OptionInfo) else one for one in told]
    for one in told:
        if isinstance(one, OptionInfo):
            one.rich_help_panel = one.rich_help_panel or title
    return Annotated[(kind, *told)]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer whose parameters of a dataclass are options, one for each field."""
    hints, groups = get_type_hints(command, include_extras=True), dict[str, Any]()
    options: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            options.append(parameter.replace(annotation=kind, kind=Parameter.KEYWORD_ONLY))
            continue
        groups[name], each = kind, get_type_hints(kind, include_extras=True)
        title = getattr(kind, "TITLE", None)
        for one in fields(kind):
            default = Parameter.empty if one.default is MISSING else one.default
            told = _titled(each[one.name], title)
            options.append(
                Parameter(one.name, Parameter.KEYWORD_ONLY, default=default, annotation=told)
            )

    def flat(**given: Any) -> None:
        made = {
            name: kind(**{one.name: given.pop(one.name) for one in fields(kind)})
            for name, kind in groups.items()
        }
        command(**given, **made)

    return with_parameters(flat, command, options)


def with_parameters(
    made: Callable[..., None], command: Callable[..., None], parameters: Sequence[Parameter]
) -> Callable[..., None]:
    """``made``, which typer takes for the command with these parameters."""
    made.__name__, made.__doc__ = command.__name__, command.__doc__
    made.__annotations__ = {one.name: one.annotation for one in parameters}
    made.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]  # typer reads it; types know none
    return made
