"""The command ``ergotext retrieve``; the work is done in ``ergotext.tasks.retrieval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import grouped
from ergotext.commands.report import ReportPage
from ergotext.commands.retrieval_options import (
    AnswerOptions,
    AnswerOutput,
    AnswerSearch,
    ProbabilityOptions,
    RetrieverModel,
)
from ergotext.errors import InputError
from ergotext.support.bars import busy
from ergotext.support.words import counted


@grouped
def retrieve(
    questions: Annotated[
        list[str],
        typer.Argument(
            metavar="QUESTION",
            help="Questions, or - to read them from standard input, one per line.",
        ),
    ],
    index: Annotated[
        Path, typer.Option("-i", "--index", help="The index file.", rich_help_panel="Index")
    ],
    *,
    wanted: AnswerOptions,
    search: AnswerSearch,
    probability: ProbabilityOptions,
    lm: RetrieverModel,
    shown: AnswerOutput,
) -> None:
    """Answer questions with entries of an index.

    The most probable entries under a model come first.
    """
    emit, page = Output(shown.output, index), ReportPage(shown.report, shown.output, index)
    from ergotext.lm.trie.file import load as load_index
    from ergotext.support.words import check_texts

    if "-" in questions and len(questions) > 1:
        raise typer.BadParameter(
            "- (questions from standard input) cannot be combined with other questions",
            param_hint="QUESTION",
        )
    asked = _lines(standard_input()) if questions == ["-"] else questions
    check_texts(asked, "questions")
    lm.check()
    load_index(index)
    # What is wrong was said before torch is imported, which takes seconds.
    with busy("starting"):
        from ergotext.tasks.retrieval.answering import Answerer
        from ergotext.tasks.retrieval.loading import answers

    answerer = Answerer.open(
        lm.model,
        index,
        lookahead=search.lookahead.value,
        prompt=search.prompt,
        device=lm.device,
        dtype=lm.dtype.value,
        threads=lm.threads,
        decode=search.decode.value,
    )
    notes = answerer.notes(search.anywhere, probability.model_probability)
    options = answerer.options(
        anywhere=search.anywhere,
        model_probability=probability.model_probability,
        temperature=probability.temperature,
    ) | {
        "k": wanted.k,
        "beams": search.beams,
        "prefixes": probability.prefixes,
        "threshold": wanted.threshold,
        "coverage": wanted.coverage,
    }
    some = asked[: wanted.limit]
    found = answers(answerer.retriever, some, **options, batch_size=wanted.batch_size)
    lost, promised = 0, None
    with emit, page:
        for question, hits in found:
            while notes:  # of answers; an error stands alone
                typer.echo(notes.pop(0), err=True)
            promised = hits.answer_set
            lost += hits.subject == "none"
            emit(hits.json(question, emit.ascii_only) if shown.as_json else hits.shown(question))
            if page.takes():
                from ergotext.tasks.report.answers import section

                page.add(section(answerer.retriever, question, hits, options))
        if promised is not None and not shown.as_json:
            emit(f"({promised.guarantee})")
    if lost:
        typer.echo(_unanswered(lost, len(some)), err=True)


def _lines(text: str) -> list[str]:
    """The questions of a text, one per line; InputError if there are none."""
    found = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(line.strip() for line in found):
        raise InputError("no questions on standard input; give one per line")
    return found


def _unanswered(lost: int, asked: int) -> str:
    """A line on questions in which no subject of the index was found."""
    return (
        f"{lost:,} of {counted(asked, 'question')} named no subject of the index and got no "
        "answer; --anywhere searches all entries"
    )
