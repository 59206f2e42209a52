"""Options of the commands that answer from an index, in groups."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

import typer

from ergotext.commands.options import FLOAT32, Device, Dtype, OutFile, ReportFile, Threads
from ergotext.commands.texts import check_model


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


AUTO, BEAM = LookAheadName.auto, DecodeName.beam
RETRIEVER = "tiny-retriever"
LookAheadChoice = Annotated[
    LookAheadName,
    typer.Option(
        help="Look-ahead: learned uses the one that comes with the model; strings prefers long "
        "subjects and predicates similar to the question; auto uses learned if there is one, else "
        "strings."
    ),
]


@dataclass(frozen=True)
class RetrieverModel:
    """Which model answers, and how it runs."""

    TITLE: ClassVar = "Model"
    model: Annotated[
        str,
        typer.Option(
            help="Encoder-decoder or causal model: a bundled name, folder, .gguf file or hub id. "
            "The index must have been built with its tokenizer."
        ),
    ] = RETRIEVER
    dtype: Dtype = FLOAT32
    device: Device = "auto"
    threads: Threads = None

    def check(self) -> None:
        """See that there may be such a model, before anything is imported for it."""
        check_model(self.model, self.device)


@dataclass(frozen=True)
class Restriction:
    """Where answers are looked for."""

    TITLE: ClassVar = "Search"
    lookahead: LookAheadChoice = AUTO
    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="Search all entries, not only those whose subject occurs in the question.",
        ),
    ] = False
    prompt: Annotated[
        str | None,
        typer.Option(help="Prompt template with {question} and, for mlm, {answer}."),
    ] = None


@dataclass(frozen=True)
class AnswerSearch(Restriction):
    """Where and how ``retrieve`` looks for answers."""

    decode: Annotated[
        DecodeName,
        typer.Option(
            help="beam decodes token by token; mlm fills in blanks after the question with a "
            "masked model."
        ),
    ] = BEAM
    beams: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Beam width; with --decode mlm, entries of each length that are scored twice. "
            "[10, or k]",
        ),
    ] = None


@dataclass(frozen=True)
class ScoredSearch(Restriction):
    """Where and how ``evaluate`` looks for answers."""

    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="Search all entries, without look-ahead, not only those whose subject occurs in "
            "the question.",
        ),
    ] = False
    beams: Annotated[int, typer.Option(min=1, help="Beam width.")] = 10


@dataclass(frozen=True)
class ProbabilityOptions:
    """What the probabilities of answers are."""

    TITLE: ClassVar = "Probabilities"
    prefixes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Prefixes to expand per question to bound the model's own probabilities, which "
            "are exact if the index has no more entries than this; 0 for none.",
        ),
    ] = 2048
    model_probability: Annotated[
        bool,
        typer.Option(
            "--model-probability",
            help="Give the probabilities of the model alone over the whole index, with bounds, "
            "instead of the calibrated ones of all that is known.",
        ),
    ] = False
    temperature: Annotated[
        float | None,
        typer.Option(help="Temperature T of the probabilities, p^(1/T). [as calibrated]"),
    ] = None


@dataclass(frozen=True)
class ScoredProbabilities(ProbabilityOptions):
    """The same of ``evaluate``, which bounds none unless it is asked to."""

    prefixes: Annotated[int, typer.Option(min=0, help="As of retrieve.")] = 0


@dataclass(frozen=True)
class AnswerOptions:
    """How many answers there are, and when there is none."""

    TITLE: ClassVar = "Answers"
    k: Annotated[int, typer.Option("-k", min=1, help="Answers per question.")] = 5
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Give no answer if the best one is less probable than this; 0 for an answer in "
            "any case. [no answer if the base probably does not have it]",
        ),
    ] = None
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Give sets of answers, of any size, that hold the right entry of at least this "
            "share of questions (0.9, say), on average over questions like those of the "
            "calibration. Sets hold single entries, no answers of two steps.",
        ),
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Answer only the first N questions.")] = (
        None
    )
    batch_size: Annotated[int, typer.Option(min=1, help="Questions per batch.")] = 32


@dataclass(frozen=True)
class AnswerOutput:
    """Where answers go, and as what."""

    TITLE: ClassVar = "Output"
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per question.")
    ] = False
    output: OutFile = None
    report: ReportFile = None
