"""The command ``ergotext retrieve``; the work is done in ``ergotext.tasks.retrieval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import grouped
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
    emit = Output(shown.output, index)
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
        from ergotext.tasks.retrieval.calibration import UNFITTED
        from ergotext.tasks.retrieval.loading import answers, opened
        from ergotext.tasks.retrieval.lookahead.fitted import temperature_for
        from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
        from ergotext.tasks.retrieval.lookahead.own import own_calibration
        from ergotext.tasks.retrieval.notes import NAMELESS

    retriever = opened(
        lm.model,
        index,
        prompt=search.prompt,
        device=lm.device,
        dtype=lm.dtype.value,
        threads=lm.threads,
        decode=search.decode.value,
    )
    ahead = lookahead_named(search.lookahead.value, lm.model, search.decode.value)
    joint = (
        ahead is not None
        and retriever.triples
        and not (search.anywhere or probability.model_probability)
    )
    calibration, notes = None, [NAMELESS] if retriever.nameless else []
    if joint:
        assert ahead is not None
        calibration, warning = own_calibration(index, lm.model, ahead)
        if warning is None and calibration is None and (warning := retriever.misfit(None, ahead)):
            calibration = UNFITTED
        if warning:
            notes.insert(0, warning)
    found = answers(
        retriever,
        asked[: wanted.limit],
        lookahead=ahead,
        anywhere=search.anywhere,
        k=wanted.k,
        beams=search.beams,
        prefixes=probability.prefixes,
        temperature=temperature_for(lm.model, probability.temperature, joint),
        model_probability=probability.model_probability,
        calibration=calibration,
        threshold=wanted.threshold,
        coverage=wanted.coverage,
        batch_size=wanted.batch_size,
    )
    lost, promised = 0, None
    with emit:
        for question, hits in found:
            while notes:  # of answers; an error stands alone
                typer.echo(notes.pop(0), err=True)
            promised = hits.answer_set
            lost += hits.subject == "none"
            emit(hits.json(question, emit.ascii_only) if shown.as_json else hits.shown(question))
        if promised is not None and not shown.as_json:
            emit(f"({promised.guarantee})")
    if lost:
        typer.echo(_unanswered(lost, len(asked[: wanted.limit])), err=True)


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
