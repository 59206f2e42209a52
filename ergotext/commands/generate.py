"""The command ``ergotext generate``; the work is done in ``ergotext.tasks.generation``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import ModelOptions, grouped
from ergotext.commands.options import AsJson, OutFile, ReportFile, Seed
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import about, joined
from ergotext.commands.work_options import WorkOptions
from ergotext.errors import ErgotextError, InputError
from ergotext.support.bars import bar, busy

if TYPE_CHECKING:
    from ergotext.tasks.generation.options import GenerationOptions
    from ergotext.tasks.generation.wanted import Wanted
    from ergotext.tasks.workers import Work


class MethodName(StrEnum):
    """Ways to choose texts."""

    best = "best"
    sample = "sample"


class EndName(StrEnum):
    """Where a text ends."""

    token = "token"
    line = "line"


@dataclass(frozen=True)
class ConstraintOptions:
    """What the texts must be: one of these."""

    TITLE: ClassVar = "Constraint"
    schema: Annotated[str | None, typer.Option(help="JSON schema, or the file with it.")] = None
    regex: Annotated[
        str | None, typer.Option(help="Regular expression that the whole text must match.")
    ] = None
    choice: Annotated[
        list[str] | None, typer.Option(help="A text to choose; give several of this option.")
    ] = None
    grammar: Annotated[
        Path | None, typer.Option(help="File with a grammar in llguidance's form of Lark.")
    ] = None
    index: Annotated[
        Path | None,
        typer.Option(
            "-i", "--index", help="Index file, built with the model's tokenizer: one of its keys."
        ),
    ] = None
    whitespace: Annotated[
        bool,
        typer.Option("--whitespace", help="Allow spaces and line breaks around all parts of JSON."),
    ] = False

    def files(self) -> list[Path | None]:
        """The files that are read."""
        text = self.schema is not None and not self.schema.lstrip().startswith("{")
        return [self.grammar, self.index, Path(self.schema) if text and self.schema else None]

    def wanted(self) -> Wanted:
        """The same for the task; InputError for none or several, or an impossible one."""
        from ergotext.tasks.config import schema_of
        from ergotext.tasks.generation.wanted import wanted
        from ergotext.tasks.given import passage_at

        every = {
            "--schema": self.schema,
            "--regex": self.regex,
            "--choice": self.choice or None,
            "--grammar": self.grammar,
            "--index": self.index,
        }
        given = [name for name, one in every.items() if one is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise InputError(f"give one of {', '.join(every)}; got {said}")
        return wanted(
            schema=None if self.schema is None else schema_of(self.schema),
            regex=self.regex,
            choices=self.choice or None,
            grammar=None if self.grammar is None else passage_at(self.grammar),
            trie=self.index,
        )


@dataclass(frozen=True)
class ChoosingOptions:
    """How texts are chosen, and how many."""

    TITLE: ClassVar = "Texts"
    count: Annotated[int, typer.Option("-n", min=1, help="Number of texts for each prompt.")] = 1
    method: Annotated[
        MethodName,
        typer.Option(
            help="best searches for the most probable texts; sample draws by their probabilities."
        ),
    ] = MethodName.best
    seed: Seed = 0
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Maximum length of a text in tokens. [128]")
    ] = None
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the prompt into the model's chat template.")
    ] = False
    end: Annotated[
        EndName | None,
        typer.Option(
            help="Where a text ends: at the model's end token, or also before a line break. [line "
            "for plain prompts, but for grammars; token with --chat]"
        ),
    ] = None
    alternatives: Annotated[
        bool,
        typer.Option(
            "--alternatives",
            help="Show the probability of each value of JSON fields whose values are listed.",
        ),
    ] = False
    beams: Annotated[int | None, typer.Option(min=1, help="Beam width. [8, or 2n]")] = None
    particles: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Particles of sample [32, or 4n]; with best, estimate probabilities by so many.",
        ),
    ] = None

    def checked(self, whitespace: bool, record: bool = False) -> GenerationOptions:
        """The same for the task; InputError if they do not go together."""
        from ergotext.tasks.generation.options import GenerationOptions

        return GenerationOptions(
            n=self.count,
            method=self.method.value,
            seed=self.seed,
            max_tokens=self.max_tokens,
            chat=self.chat or None,
            end=None if self.end is None else self.end.value,
            whitespace=whitespace,
            alternatives=self.alternatives,
            beams=self.beams,
            particles=self.particles,
            record=record,
        )


@grouped
def generate(
    prompt: Annotated[
        str,
        typer.Argument(
            help="What the model reads before the text. Or - to read prompts from standard input, "
            "one per line."
        ),
    ],
    *,
    constraint: ConstraintOptions,
    choosing: ChoosingOptions,
    lm: ModelOptions,
    work: WorkOptions,
    as_json: AsJson = False,
    output: OutFile = None,
    report: ReportFile = None,
) -> None:
    """Generate texts that satisfy a schema, expression, choice, grammar or index.

    Each is shown with its probability among all texts that do.
    """
    from ergotext.support.words import check_text
    from ergotext.tasks.given import lines

    what = constraint.wanted()
    read = [*constraint.files(), *map(Path, what.indexes)]
    emit, page = Output(output, *read), ReportPage(report, output, *read)
    options = choosing.checked(constraint.whitespace, page.wanted)
    prompts = lines(standard_input()) if prompt == "-" else [prompt]
    for one in prompts:
        check_text(one, "a prompt")
    if (note := joined(constraint.choice or ())) and len(constraint.choice or ()) == 1:
        typer.echo(note.replace("with spaces between", "each with --choice"), err=True)
    lm.check()
    work.check()
    # What is wrong was said before torch is imported, which takes seconds.
    with busy("starting"):
        import ergotext.tasks.generation.generate  # noqa: F401 - what takes the time

    failed, alone = 0, len(prompts) == 1
    start = partial(_started, constraint, options, lm, as_json, emit.ascii_only)
    several = bar(desc="generating", total=len(prompts), unit="prompt", progress=not alone)
    with emit, page, several as shown, busy("generating", progress=alone):
        for one, result in zip(prompts, work.results(start, prompts), strict=True):
            done = _Done(**json.loads(result))
            if done.error and alone:
                raise (InputError if done.usage else ErgotextError)(done.error)
            failed += bool(done.error)
            if done.section and page.takes():
                page.add(done.section)
            with shown.external_write_mode():
                for line in [done.text] if done.text else []:
                    emit(line)
                for line in [f"{about(one)}: {done.error}"] if done.error else done.warnings:
                    typer.echo(f"warning: {line}", err=True)
                if done.how:
                    typer.echo(f"({done.how})", err=True)
            shown.update()
    if failed:
        raise typer.TyperException(
            f"{failed:,} of {len(prompts):,} prompts got no text (see the warnings)"
        )


@dataclass(frozen=True)
class _Done:
    """What is printed for a prompt, or why there is nothing."""

    text: str = ""
    warnings: Sequence[str] = ()
    how: str = ""
    error: str = ""
    usage: bool = False
    """whether the error is of the input"""
    section: str = ""
    """of a report"""


def _started(
    constraint: ConstraintOptions,
    options: GenerationOptions,
    lm: ModelOptions,
    as_json: bool,
    ascii_only: bool,
) -> Work:
    """What generates for one prompt after another, here or in another process."""
    from ergotext.tasks.generation.generate import PromptGenerator

    generator = PromptGenerator(lm.load(), constraint.wanted(), options)

    def generated(prompt: str) -> str:
        try:
            (found,) = generator([prompt])
            text = found.json(prompt, ascii_only) if as_json else found.shown()
            done = _Done(text, found.warnings, found.how if as_json else "")
            if options.record:
                from ergotext.tasks.report.generations import section

                done = replace(done, section=section(prompt, found))
        except ErgotextError as error:
            done = _Done(error=str(error), usage=isinstance(error, InputError))
        return json.dumps(vars(done))

    return generated
