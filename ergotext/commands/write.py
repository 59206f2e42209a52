"""The command ``ergotext write``; the work is done in ``ergotext.tasks.write``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import ModelOptions, OutputOptions, SearchOptions, grouped
from ergotext.commands.kept import LineSink, SectionSink
from ergotext.commands.many import tell_all
from ergotext.commands.options import Context
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import joined, script_note, show
from ergotext.commands.work_options import WorkOptions
from ergotext.support.bars import busy

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM
    from ergotext.samplers.result import Result
    from ergotext.samplers.weighted.result import WeightedResult
    from ergotext.samplers.weighted.samples import ZeroWeightError
    from ergotext.support.words import Keyword
    from ergotext.tasks.demands import Demands


@dataclass(frozen=True)
class TextOptions:
    """What the texts are to be like."""

    TITLE: ClassVar = "Text"
    in_order: Annotated[
        bool, typer.Option("--in-order", help="Keep the keywords in the order given.")
    ] = False
    forms: Annotated[
        bool,
        typer.Option(
            "--forms", help="Allow inflected forms of English keywords: sit, sat, sitting."
        ),
    ] = False
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="Word or phrase that must not occur; may be repeated."),
    ] = None
    length: Annotated[
        str | None,
        typer.Option("--words", metavar="8-15", help="Number of words, or least and most."),
    ] = None
    end: Annotated[
        str,
        typer.Option(help="Where a text ends: sentence, or token (the model's end token)."),
    ] = "sentence"
    mean_length: Annotated[
        int | None,
        typer.Option("--length", min=1, help="Mean length in tokens for annealing and mh (14)."),
    ] = None
    context: Context = None
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum length in tokens: 40 for annealing and mh; for smc 22, or "
            "more for many words.",
        ),
    ] = None

    def demands(self) -> Demands:
        """The same for the task; InputError for a number of words that is none."""
        from ergotext.commands.keyword_options import window_of
        from ergotext.tasks.demands import Demands

        window = None if self.length is None else window_of(self.length)
        return Demands(
            self.in_order, self.without or (), window, self.end, self.max_length, self.mean_length
        )


@grouped
def write(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYWORD",
            help="Words or phrases that must occur verbatim; throw|threw is either. Or - to read "
            "keyword sets from standard input, one JSON list of strings per line.",
        ),
    ],
    *,
    text: TextOptions,
    search: SearchOptions,
    lm: ModelOptions,
    work: WorkOptions,
    shown: OutputOptions,
) -> None:
    """Write fluent sentences that contain every keyword."""
    emit, page = Output(shown.output), ReportPage(shown.report, shown.output)
    from ergotext.tasks.demands import check_demands, check_sets, parse_keyword_sets

    if "-" in words and len(words) > 1:
        raise typer.BadParameter(
            "- (keyword sets from standard input) cannot be combined with other keywords",
            param_hint="KEYWORD",
        )
    if text.end not in ("sentence", "token"):
        raise typer.BadParameter(f"{text.end!r} is neither sentence nor token", param_hint="--end")
    demands, budget = text.demands(), search.budget(shown.count)
    given = parse_keyword_sets(standard_input()) if words == ["-"] else [words]
    sets = [_keywords(one, text.forms) for one in given]
    check_sets(sets)
    check_demands(sets, demands, budget)
    lm.check()
    work.check()
    # What is wrong was said before torch is imported, which takes seconds.
    with busy("starting"):
        import ergotext.tasks.write  # noqa: F401 - what takes the time

    model = lm.load()
    flat = [word for words in given for word in words]
    for note in filter(None, [joined(flat), script_note(model, flat)]):
        typer.echo(note, err=True)
    writing = _WriteCommand(
        text, search, lm, shown.count, shown.as_json,
        len(sets) > 1, emit.ascii_only, page.wanted,
    )  # fmt: skip
    tell_all(
        writing, [*map(json.dumps, given)], [*map(", ".join, given)],
        "keyword sets got no text", model, work, emit, page,
    )  # fmt: skip


@dataclass(frozen=True)
class _WriteCommand:
    """The command, as it travels to workers; an input is a JSON list of keywords."""

    text: TextOptions
    search: SearchOptions
    lm: ModelOptions
    count: int
    as_json: bool
    several: bool
    ascii_only: bool
    report: bool

    def found(
        self, given: Sequence[str], lm: CausalLM
    ) -> Iterator[Result | WeightedResult | ZeroWeightError]:
        """Sentences with each set of keywords."""
        from ergotext.tasks.write import write_all

        sets = [_keywords(json.loads(one), self.text.forms) for one in given]
        budget = self.search.budget(self.count, self.report)
        return write_all(sets, lm, budget, self.text.demands(), context=self.text.context)

    def tell(
        self, one: str, result: Result | WeightedResult, emit: LineSink, page: SectionSink
    ) -> None:
        """Print the best sentences with the keywords of a set."""
        from ergotext.support.words import spellings_used
        from ergotext.tasks.selection import chosen
        from ergotext.tasks.texts import as_json as records

        given, best = json.loads(one), chosen(result, self.count)
        words, named = _keywords(given, self.text.forms), ", ".join(given)
        beside = [
            {"keywords": given, "spellings": spellings_used(each.text, words)} for each in best
        ]
        if self.several and not self.as_json:
            emit(f"> {named}")
        listed = records(best, beside, emit.ascii_only)
        try:
            show(emit, result, best, self.lm.dtype, listed, self.as_json)
        finally:  # a run that was interrupted says so once its texts are shown
            if page.takes():
                from ergotext.tasks.report.runs import section

                page.add(section(named, result, best, searched=True))


def _keywords(words: list[str], forms: bool) -> list[Keyword]:
    """Keywords as they were typed, with their forms if asked for."""
    from ergotext.commands.keyword_options import keyword_of

    found = [keyword_of(word) for word in words]
    if not forms:
        return found
    from ergotext.support.forms import with_forms

    return list(with_forms(found))
