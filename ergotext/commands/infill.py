"""The command ``ergotext infill``; the work is done in ``ergotext.tasks.infill``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import ModelOptions, OutputOptions, SearchOptions, grouped
from ergotext.commands.kept import LineSink, SectionSink
from ergotext.commands.many import tell_all
from ergotext.commands.options import Context
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import script_note, show
from ergotext.commands.work_options import WorkOptions
from ergotext.support.bars import busy

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM
    from ergotext.samplers.result import Result
    from ergotext.samplers.weighted.result import WeightedResult
    from ergotext.samplers.weighted.samples import ZeroWeightError


@grouped
def infill(
    text: Annotated[
        str,
        typer.Argument(
            help="Text with blanks: ___ is one or more words, ___{2} two, ___{1,3} one to three. "
            "Or - to read such texts from standard input, one per line."
        ),
    ],
    context: Context = None,
    *,
    search: SearchOptions,
    lm: ModelOptions,
    work: WorkOptions,
    shown: OutputOptions,
) -> None:
    """Fill the blanks of a text.

    The rest is kept word for word.
    """
    emit, page = Output(shown.output), ReportPage(shown.report, shown.output)
    from ergotext.tasks.given import check_blanks, lines

    search.budget(shown.count)
    texts = lines(standard_input()) if text == "-" else [text]
    check_blanks(texts)
    lm.check()
    work.check()
    with busy("starting"):
        import ergotext.tasks.infill  # noqa: F401 - what takes the time

    model = lm.load()
    if note := script_note(model, texts):
        typer.echo(note, err=True)
    filling = _InfillCommand(
        context, search, lm, shown.count, shown.as_json,
        len(texts) > 1, emit.ascii_only, page.wanted,
    )  # fmt: skip
    tell_all(filling, texts, texts, "texts got no filling", model, work, emit, page)


@dataclass(frozen=True)
class _InfillCommand:
    """The command, as it travels to workers."""

    context: str | None
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
        """Fillings of each text."""
        from ergotext.tasks.infill import infill_all

        budget = self.search.budget(self.count, self.report)
        return infill_all(given, lm, budget, context=self.context)

    def tell(
        self, one: str, result: Result | WeightedResult, emit: LineSink, page: SectionSink
    ) -> None:
        """Print the best fillings of a text."""
        from ergotext.tasks import infill as task
        from ergotext.tasks.selection import chosen

        best = chosen(result, self.count)
        if self.several and not self.as_json:
            emit(f"> {one.strip()}")
        records = task.as_json(best, one, emit.ascii_only)
        try:
            show(emit, result, best, self.lm.dtype, records, self.as_json)
        finally:  # a run that was interrupted says so once its texts are shown
            if page.takes():
                from ergotext.tasks.report.runs import section

                page.add(section(one, result, best, searched=True))
