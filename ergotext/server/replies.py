"""Bodies of answers, for OpenAPI, and results as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from ergotext.samplers.texts import Sample
from ergotext.tasks.generation.results import Generation, Generations, plain
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.selection import per_token

Bounds = tuple[float, float]


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: None = None


class ErrorReply(BaseModel):
    """A refusal."""

    error: ErrorDetail


class HealthReply(BaseModel):
    """That the server is up."""

    status: Literal["ok"]


class ModelEntry(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["ergotext"] = "ergotext"
    does: str


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class HitReply(BaseModel):
    """An entry of the index; see ``ergotext retrieve --json``."""

    text: str
    fields: dict[str, str]
    values: list[str]
    score: float | None
    log_prob: float | None
    probability: float | None
    probability_low: float | None
    probability_high: float | None
    mention: str | None
    then: HitReply | None


class AnswersReply(BaseModel):
    """The answers to a question."""

    question: str
    results: list[HitReply]
    exact: bool
    subject: str | None
    none: float | None
    set: dict[str, Any] | None
    mentions: list[str]
    notes: list[str]


class RetrieveReply(BaseModel):
    """The answers to all questions, in their order."""

    model: str
    data: list[AnswersReply]
    notes: list[str]


class GenerationReply(BaseModel):
    """A text that satisfies the constraint."""

    value: Any
    text: str
    log_prob: float | None
    probability: float | None
    bounds: Bounds
    fields: dict[str, dict[str, Bounds]]


class GenerateReply(BaseModel):
    """All texts of a request."""

    model: str
    data: list[GenerationReply]
    alternatives: dict[str, Bounds]
    log_z: tuple[float | None, float | None]
    estimate: tuple[float | None, float | None] | None
    proven: bool
    how: str
    warnings: list[str]


class SentenceReply(BaseModel):
    """A sentence with the keywords."""

    text: str
    log_prob: float | None
    log_prob_per_token: float | None
    energy: float | None
    terms: dict[str, float | None]
    spellings: list[str | None]


class SampleReply(BaseModel):
    """The best sentences of a run."""

    model: str
    data: list[SentenceReply]
    how: str
    warnings: list[str]


def number(value: float) -> float | None:
    """A number as JSON has it: null for what is none, or infinite."""
    return value if math.isfinite(value) else None


def of_hits(question: str, hits: Hits) -> dict[str, Any]:
    """The answers to one question."""
    return {
        "question": question,
        "results": [hit.record() for hit in hits],
        "exact": hits.exact,
        "subject": hits.subject,
        "none": number(hits.none),
        "set": hits.answer_set.record() if hits.answer_set else None,
        "mentions": [mention.text for mention in hits.mentions],
        "notes": list(hits.notes),
    }


def of_generations(model: str, found: Generations) -> dict[str, Any]:
    """What was generated for one prompt."""
    estimate = None if found.estimate is None else [number(one) for one in found.estimate]
    return {
        "model": model,
        "data": [_generation(one) for one in found],
        "alternatives": found.alternatives,
        "log_z": [number(one) for one in found.log_z],
        "estimate": estimate,
        "proven": found.proven,
        "how": found.how,
        "warnings": list(found.warnings),
    }


def _generation(one: Generation) -> dict[str, Any]:
    return {
        "value": plain(one.value),
        "text": one.text,
        "log_prob": number(one.log_prob),
        "probability": number(one.probability),
        "bounds": one.bounds,
        "fields": one.fields,
    }


def of_sentences(
    model: str,
    best: Sequence[Sample],
    spellings: Sequence[Sequence[str | None]],
    how: str,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The best of a run."""
    data = [
        {
            "text": one.text,
            "log_prob": number(one.log_prob),
            "log_prob_per_token": number(per_token(one)),
            "energy": number(one.energy),
            "terms": {name: number(value) for name, value in one.terms.items()},
            "spellings": list(used),
        }
        for one, used in zip(best, spellings, strict=True)
    ]
    return {"model": model, "data": data, "how": how, "warnings": list(warnings)}
