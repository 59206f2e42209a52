"""The command ``ergotext retrieve``; the work is done in ``ergotext.tasks.retrieval``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.options import FLOAT32, Device, Dtype, OutFile, Threads
from ergotext.commands.texts import check_model
from ergotext.errors import InputError
from ergotext.support.words import counted


class LookAheadName(StrEnum):
    """Names of look-aheads."""

    auto = "auto"
    learned = "learned"
    strings = "strings"
    none = "none"


class DecodeName(StrEnum):
    """Decoding methods of ``retrieve``."""

    beam = "beam"
    mlm = "mlm"


LOOKAHEAD = (
    "Look-ahead: learned uses the one that comes with the model; strings prefers long subjects "
    "and predicates similar to the question; auto uses learned if there is one, else strings."
)
DECODE = "beam decodes token by token; mlm fills in blanks after the question with a masked model."
PREFIXES = (
    "Prefixes to expand per question to bound the model's own probabilities, which are exact if "
    "the index has no more entries than this; 0 for none."
)
ModelProbability = Annotated[
    bool,
    typer.Option(
        "--model-probability",
        help="Give the probabilities of the model alone over the whole index, with bounds, instead "
        "of the calibrated ones of all that is known.",
    ),
]
AUTO, BEAM = LookAheadName.auto, DecodeName.beam
RETRIEVER = "tiny-retriever"
Temperature = Annotated[
    float | None,
    typer.Option(help="Temperature T of the probabilities, p^(1/T). [as calibrated]"),
]


def retrieve(
    questions: Annotated[
        list[str],
        typer.Argument(
            metavar="QUESTION...",
            help="Questions, or - to read them from standard input, one per line.",
        ),
    ],
    index: Annotated[Path, typer.Option("-i", "--index", help="The index file.")],
    model: Annotated[
        str,
        typer.Option(
            help="Encoder-decoder (folder or hub id), causal model or, with --decode mlm, masked "
            "model. The index must have been built with its tokenizer."
        ),
    ] = RETRIEVER,
    decode: Annotated[DecodeName, typer.Option(help=DECODE)] = BEAM,
    k: Annotated[int, typer.Option("-k", min=1, help="Answers per question.")] = 5,
    beams: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Beam width; with --decode mlm, entries of each length that are scored twice. "
            "[10, or k]",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Give no answer if the best one is less probable than this; 0 for an answer in "
            "any case. [no answer if the base probably does not have it]",
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Give sets of answers, of any size, that hold the right entry of at least this "
            "share of questions (0.9, say), on average over questions like those of the "
            "calibration.",
        ),
    ] = None,
    lookahead: Annotated[LookAheadName, typer.Option(help=LOOKAHEAD)] = AUTO,
    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="Search all entries, not only those whose subject occurs in the question.",
        ),
    ] = False,
    prompt: Annotated[
        str | None,
        typer.Option(help="Prompt template with {question} and, for mlm, {answer}."),
    ] = None,
    prefixes: Annotated[int, typer.Option(min=0, help=PREFIXES)] = 2048,
    model_probability: ModelProbability = False,
    temperature: Temperature = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions per batch.")] = 32,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Answer only the first N questions.")
    ] = None,
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per question.")
    ] = False,
    output: OutFile = None,
) -> None:
    """Answer questions with entries of an index.

    The most probable entries under a model come first.
    """
    emit = Output(output, index)
    from ergotext.lm.trie.file import load as load_index
    from ergotext.support.words import check_texts

    if "-" in questions and len(questions) > 1:
        raise typer.BadParameter(
            "- (questions from standard input) cannot be combined with other questions",
            param_hint="QUESTION",
        )
    asked = _lines(standard_input()) if questions == ["-"] else questions
    check_texts(asked, "questions")
    check_model(model, device)
    load_index(index)
    # What is wrong was said before torch is imported, which takes seconds.
    from ergotext.tasks.retrieval.calibration import UNFITTED
    from ergotext.tasks.retrieval.lookahead.fitted import temperature_for
    from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
    from ergotext.tasks.retrieval.lookahead.own import own_calibration
    from ergotext.tasks.retrieval.retriever import NAMELESS, answers, opened

    retriever = opened(
        model,
        index,
        prompt=prompt,
        device=device,
        dtype=dtype.value,
        threads=threads,
        decode=decode.value,
    )
    ahead = lookahead_named(lookahead.value, model, decode.value)
    joint = ahead is not None and retriever.triples and not anywhere and not model_probability
    calibration, notes = None, [NAMELESS] if retriever.nameless else []
    if joint:
        assert ahead is not None
        calibration, warning = own_calibration(index, model, ahead)
        if warning is None and calibration is None and (warning := retriever.misfit(None, ahead)):
            calibration = UNFITTED
        if warning:
            notes.insert(0, warning)
    found = answers(
        retriever,
        asked[:limit],
        lookahead=ahead,
        anywhere=anywhere,
        k=k,
        beams=beams,
        prefixes=prefixes,
        temperature=temperature_for(model, temperature, joint),
        model_probability=model_probability,
        calibration=calibration,
        threshold=threshold,
        coverage=coverage,
        batch_size=batch_size,
    )
    lost, promised = 0, None
    with emit:
        for question, hits in found:
            while notes:  # of answers; an error stands alone
                typer.echo(notes.pop(0), err=True)
            promised = hits.answer_set
            lost += hits.subject == "none"
            emit(hits.json(question, emit.ascii_only) if as_json else hits.shown(question))
        if promised is not None and not as_json:
            emit(f"({promised.guarantee})")
    if lost:
        typer.echo(_unanswered(lost, len(asked[:limit])), err=True)


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
