"""The command ``ergotext retrieve``; the work is done in ``ergotext.tasks.retrieval``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.groups import grouped
from ergotext.commands.kept import LineSink, SectionSink, kept, read
from ergotext.commands.report import ReportPage
from ergotext.commands.retrieval_options import (
    AnswerOptions,
    AnswerOutput,
    AnswerSearch,
    ProbabilityOptions,
    RetrieverModel,
)
from ergotext.commands.work_options import WorkOptions
from ergotext.errors import InputError
from ergotext.support.bars import bar, busy
from ergotext.support.words import counted

if TYPE_CHECKING:
    from ergotext.tasks.retrieval.retriever import Retriever
    from ergotext.tasks.workers import Work


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
    work: WorkOptions,
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
    work.check()
    load_index(index)
    # What is wrong was said before torch is imported, which takes seconds.
    with busy("starting"):
        from ergotext.tasks.retrieval.loading import together

    answering = _RetrieveCommand(
        index, wanted, search, probability, lm, shown.as_json, emit.ascii_only
    )
    answers = answering.load()
    some, notes, told = asked[: wanted.limit], answers.notes, []
    size = together(wanted.batch_size)
    with emit, page:
        if not work.shared:
            told = [answers.tell(some, emit, page, notes)]
        else:
            from ergotext.tasks.report.page import MOST

            del answers  # workers have their own
            # Only the first get sections.
            chunks = [
                json.dumps([some[at : at + size], page.wanted and at < MOST])
                for at in range(0, len(some), size)
            ]
            with bar(desc="answering", total=len(some), unit="question") as line:
                for text in work.results(partial(_started, answering), chunks):
                    reply = read(text)
                    tell_notes(notes)
                    with line.external_write_mode():
                        reply.repeat(emit, page)
                    line.update(len(some[size * len(told) :][:size]))
                    told.append(reply.value)
        guarantee = told[-1][1] if told else None
        if guarantee is not None and not shown.as_json:
            emit(guarantee)
    if lost := sum(each[0] for each in told):
        typer.echo(_unanswered(lost, len(some)), err=True)


def tell_notes(notes: list[str]) -> None:
    """Notes on answers, once; an error before the first of these stands alone."""
    while notes:
        typer.echo(notes.pop(0), err=True)


@dataclass(frozen=True)
class _RetrieveCommand:
    """The command, as it travels to workers."""

    index: Path
    wanted: AnswerOptions
    search: AnswerSearch
    probability: ProbabilityOptions
    lm: RetrieverModel
    as_json: bool
    ascii_only: bool

    def load(self) -> _Answers:
        """What answers, with its model."""
        from ergotext.tasks.retrieval.answering import Answerer

        answerer = Answerer.open(
            self.lm.model,
            self.index,
            lookahead=self.search.lookahead.value,
            prompt=self.search.prompt,
            device=self.lm.device,
            dtype=self.lm.dtype.value,
            threads=self.lm.threads,
            decode=self.search.decode.value,
        )
        notes = answerer.notes(self.search.anywhere, self.probability.model_probability)
        options = answerer.options(
            anywhere=self.search.anywhere,
            model_probability=self.probability.model_probability,
            temperature=self.probability.temperature,
        ) | {
            "k": self.wanted.k,
            "beams": self.search.beams,
            "prefixes": self.probability.prefixes,
            "threshold": self.wanted.threshold,
            "coverage": self.wanted.coverage,
        }
        return _Answers(answerer.retriever, options, self.wanted.batch_size, notes, self.as_json)


@dataclass(frozen=True)
class _Answers:
    """What finds answers and tells them."""

    retriever: Retriever
    options: dict[str, Any]
    batch_size: int
    notes: list[str]
    as_json: bool

    def tell(
        self, questions: Sequence[str], emit: LineSink, page: SectionSink, notes: list[str]
    ) -> tuple[int, str | None]:
        """Print the answers; how many questions named no subject, and what is promised of sets."""
        from ergotext.tasks.retrieval.loading import answers

        lost, promised = 0, None
        for question, hits in answers(
            self.retriever, questions, **self.options, batch_size=self.batch_size
        ):
            tell_notes(notes)
            promised = hits.answer_set
            lost += hits.subject == "none"
            emit(hits.json(question, emit.ascii_only) if self.as_json else hits.shown(question))
            if page.takes():
                from ergotext.tasks.report.answers import section

                page.add(section(self.retriever, question, hits, self.options))
        return lost, None if promised is None else f"({promised.guarantee})"


def _started(answering: _RetrieveCommand) -> Work:
    """What answers one chunk of questions after another, in another process."""
    answers = answering.load()

    def told(chunk: str) -> str:
        questions, report = json.loads(chunk)
        return kept(
            lambda emit, page: answers.tell(questions, emit, page, []),
            answering.ascii_only,
            report,
        )

    return told


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
