"""``ergotext retrieve``; what it does is in ``ergotext.tasks.retrieval.retriever``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.options import FLOAT32, Device, Dtype, OutFile, Threads


class LookAheadName(StrEnum):
    """What may speak for an entry before the model is asked."""

    auto = "auto"
    learned = "learned"
    strings = "strings"
    none = "none"


class DecodeName(StrEnum):
    """How the model writes entries."""

    beam = "beam"
    mlm = "mlm"


LOOKAHEAD = (
    "learned: what the model brings along; strings: prefer long subjects and predicates like the "
    "question; auto: learned where there is one, else strings."
)
DECODE = "beam: token by token; mlm: a masked model fills in the blanks behind the question."
PREFIXES = (
    "Beginnings of entries looked at for each question to bound probabilities, which are exact for "
    "an index of no more entries; 0: give none."
)
Posterior = Annotated[
    bool,
    typer.Option(
        "--posterior", help="Probabilities of model and look-ahead together, not the model's alone."
    ),
]
AUTO, BEAM = LookAheadName.auto, DecodeName.beam
RETRIEVER = "tiny-retriever"
Temperature = Annotated[
    float | None, typer.Option(help="T of the probabilities p^(1/T). [the model's own, or 1]")
]


def retrieve(
    questions: Annotated[
        list[str],
        typer.Argument(metavar="QUESTION...", help="Questions; or -: from stdin, one a line."),
    ],
    index: Annotated[Path, typer.Option("-i", "--index", help="An index file.")],
    model: Annotated[
        str,
        typer.Option(
            help="An encoder-decoder (folder or hub id), a causal or, with --decode mlm, a masked "
            "model, whose tokenizer the index was built with."
        ),
    ] = RETRIEVER,
    decode: Annotated[DecodeName, typer.Option(help=DECODE)] = BEAM,
    k: Annotated[int, typer.Option("-k", min=1, help="Answers to each question.")] = 5,
    beams: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Beginnings kept at a time; of mlm, entries of each length scored twice. "
            "[10, or k]",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="No answer where the first is less probable than this."),
    ] = 0.0,
    lookahead: Annotated[LookAheadName, typer.Option(help=LOOKAHEAD)] = AUTO,
    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="Search all entries, not only those whose subject is in the question.",
        ),
    ] = False,
    prompt: Annotated[
        str | None,
        typer.Option(help="What the model reads, with {question} in it, and for mlm {answer}."),
    ] = None,
    prefixes: Annotated[int, typer.Option(min=0, help=PREFIXES)] = 2048,
    posterior: Posterior = False,
    temperature: Temperature = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions read at a time.")] = 32,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Answer only the first so many questions.")
    ] = None,
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a question.")] = False,
    output: OutFile = None,
) -> None:
    """Answer questions with the entries of an index that a model finds most likely."""
    emit = Output(output, index)
    if "-" in questions and len(questions) > 1:
        raise typer.BadParameter("- (questions from stdin) stands alone", param_hint="QUESTION")
    from ergotext.tasks.retrieval import loading as task

    asked = task.lines(standard_input()) if questions == ["-"] else questions
    retriever = task.opened(
        model,
        index,
        prompt=prompt,
        device=device,
        dtype=dtype.value,
        threads=threads,
        decode=decode.value,
    )
    found = task.answers(
        retriever,
        asked[:limit],
        lookahead=task.lookahead_named(lookahead.value, model, decode.value),
        anywhere=anywhere,
        k=k,
        beams=beams,
        prefixes=prefixes,
        temperature=task.temperature_for(model, temperature, posterior),
        posterior=posterior,
        threshold=threshold,
        batch_size=batch_size,
    )
    lost = 0
    with emit:
        for question, hits in found:
            lost += hits.subject == "none"
            emit(hits.json(question, emit.ascii_only) if as_json else hits.shown(question))
    if lost:
        typer.echo(task.guesses(lost, len(asked[:limit])), err=True)
