"""The command ``ergotext paraphrase``; the work is done in ``ergotext.tasks.paraphrase``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import ModelOptions, OutputOptions, SearchOptions, grouped
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import about, each_found, script_note, show
from ergotext.support.bars import busy


@grouped
def paraphrase(
    text: Annotated[
        str,
        typer.Argument(
            help="The text to paraphrase, at most 60 words. Or - to read texts from standard "
            "input, one per line."
        ),
    ],
    similarity: Annotated[
        str,
        typer.Option(
            help="Measure of similarity: minilm, a folder or hub id of a sentence encoder, or "
            "words (word overlap). auto: minilm where it is installed and the text suits it."
        ),
    ] = "auto",
    least: Annotated[
        float | None,
        typer.Option(
            "--min-similarity", help="Least similarity, 0 to 1 (a cosine of 0.8; 0.3 of words)."
        ),
    ] = None,
    *,
    search: SearchOptions,
    lm: ModelOptions,
    shown: OutputOptions,
) -> None:
    """Say a text in other words.

    Paraphrases are fluent, close in meaning and worded differently. smc keeps names, numbers and
    quotations.
    """
    emit, page = Output(shown.output), ReportPage(shown.report, shown.output)
    from ergotext.tasks.given import check_similarity, check_wordings, lines

    budget = search.budget(shown.count, page.wanted)
    check_similarity(similarity)
    texts = lines(standard_input()) if text == "-" else [text]
    check_wordings(texts, least)
    lm.check()
    with busy("starting"):
        from ergotext.tasks import wordings
        from ergotext.tasks.encoders import encoders_for, missing_encoder
        from ergotext.tasks.paraphrase import paraphrase_all

        encoders = encoders_for(texts, similarity)
    model = lm.load()
    for note in (missing_encoder(similarity), script_note(model, texts)):
        if note:
            typer.echo(note, err=True)
    results = paraphrase_all(texts, model, budget, encoders=encoders, least=least)
    with emit, page:
        for k, result in each_found(texts, results, "texts got no paraphrase"):
            one = texts[k]
            found = wordings.others(result, one.strip(), shown.count)
            records = wordings.as_json(found, one, result, emit.ascii_only)
            notes = wordings.notes(found, result)
            if len(texts) > 1 and not shown.as_json:
                emit(f"> {one.strip()}")
            try:
                show(emit, result, found, lm.dtype, records, shown.as_json, notes)
            finally:  # a run that was interrupted says so once its texts are shown
                if page.takes():
                    from ergotext.tasks.report.runs import section

                    near = [f"similarity {wordings.similarity_of(s, result):.2f}" for s in found]
                    page.add(section(one.strip(), result, found, searched=True, notes=near))
            if not found:
                of = f"{about(one)}: " if len(texts) > 1 else ""
                typer.echo(f"warning: {of}{wordings.NOTHING_ELSE}", err=True)
