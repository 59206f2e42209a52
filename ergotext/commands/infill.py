"""The command ``ergotext infill``; the work is done in ``ergotext.tasks.infill``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import ModelOptions, OutputOptions, SearchOptions, grouped
from ergotext.commands.options import Context
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import each_found, script_note, show
from ergotext.support.bars import busy


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
    shown: OutputOptions,
) -> None:
    """Fill the blanks of a text.

    The rest is kept word for word.
    """
    emit, page = Output(shown.output), ReportPage(shown.report, shown.output)
    from ergotext.tasks.given import check_blanks, lines

    budget = search.budget(shown.count, page.wanted)
    texts = lines(standard_input()) if text == "-" else [text]
    check_blanks(texts)
    lm.check()
    with busy("starting"):
        from ergotext.tasks import infill as task
        from ergotext.tasks.selection import chosen

    model = lm.load()
    if note := script_note(model, texts):
        typer.echo(note, err=True)
    results = task.infill_all(texts, model, budget, context=context)
    with emit, page:
        for k, result in each_found(texts, results, "texts got no filling"):
            best = chosen(result, shown.count)
            if len(texts) > 1 and not shown.as_json:
                emit(f"> {texts[k].strip()}")
            records = task.as_json(best, texts[k], emit.ascii_only)
            try:
                show(emit, result, best, lm.dtype, records, shown.as_json)
            finally:  # a run that was interrupted says so once its texts are shown
                if page.takes():
                    from ergotext.tasks.report.runs import section

                    page.add(section(texts[k], result, best, searched=True))
