"""Bodies of requests of our own routes, with their limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LONGEST = 8192
"""Characters of a text."""
Text = Annotated[str, Field(max_length=LONGEST)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
ModelName = Annotated[
    str | None, Field(max_length=200, description="One of /v1/models; may be left out.")
]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=1, le=32)]
Tokens = Annotated[int, Field(ge=1, le=512)]
Particles = Annotated[int, Field(ge=2, le=256)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Body(BaseModel):
    """A body: no other fields, no other types."""

    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)


class RetrieveRequest(Body):
    """Questions for ``/v1/retrieve``, with the options of ``ergotext retrieve``."""

    questions: Annotated[list[Text], Field(min_length=1, max_length=64)]
    k: Annotated[int, Field(ge=1, le=100, description="Answers for each question.")] = 5
    beams: Annotated[int | None, Field(ge=1, le=200, description="Beam width. [10, or k]")] = None
    threshold: Annotated[
        Share | None,
        Field(
            description="No answer unless the first is at least this probable; 0 for one in any "
            "case. [none if the base probably does not have it]"
        ),
    ] = None
    coverage: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="Answer sets that hold the right entry of this share of questions.",
        ),
    ] = None
    anywhere: Annotated[
        bool, Field(description="Search all entries, not only those of subjects in the question.")
    ] = False
    model_probability: Annotated[
        bool, Field(description="Probabilities of the model alone, over the whole index.")
    ] = False
    prefixes: Annotated[
        int, Field(ge=0, le=8192, description="Prefixes expanded to bound the model's own ones.")
    ] = 2048
    temperature: Annotated[
        float | None, Field(ge=1e-3, le=1e3, description="Of the probabilities. [as calibrated]")
    ] = None
    model: ModelName = None


class ChatMessage(BaseModel):
    """A message of a chat."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Annotated[str, Field(min_length=1, max_length=40)]
    content: Text


class GenerateRequest(Body):
    """A prompt and a constraint for ``/v1/generate``, with the arguments of ``et.generate``.

    Exactly one of ``schema``, ``regex``, ``choices`` and ``grammar``.
    """

    prompt: Annotated[
        Text | Annotated[list[ChatMessage], Field(min_length=1, max_length=64)],
        Field(description="A text, or messages for the model's chat template."),
    ]
    schema_: Annotated[
        dict[str, Any] | bool | None, Field(alias="schema", description="JSON schema.")
    ] = None
    regex: Annotated[Text | None, Field(description="Matches the whole text.")] = None
    choices: Annotated[list[Text] | None, Field(min_length=1, max_length=1000)] = None
    grammar: Annotated[Text | None, Field(description="In llguidance's form of Lark.")] = None
    n: Count = 1
    method: Literal["best", "sample"] = "best"
    seed: Seed = 0
    max_tokens: Tokens | None = None
    chat: Annotated[bool | None, Field(description="Put a text into the chat template.")] = None
    end: Literal["token", "line"] | None = None
    whitespace: bool = False
    alternatives: bool = False
    beams: Annotated[int | None, Field(ge=1, le=64)] = None
    particles: Particles | None = None
    prefixes: Annotated[int, Field(ge=1, le=2048)] = 256
    model: ModelName = None


class SampleRequest(Body):
    """Keywords for ``/v1/sample``, with the options of ``ergotext write``."""

    keywords: Annotated[
        list[Word | Annotated[list[Word], Field(min_length=1, max_length=16)]],
        Field(
            min_length=1,
            max_length=12,
            description="Words or phrases that must occur; a list is alternatives.",
        ),
    ]
    n: Annotated[Count, Field(description="Texts in the result.")] = 3
    sampler: Literal["smc", "annealing", "mh"] = "smc"
    particles: Annotated[Particles | None, Field(description="Of smc. [48]")] = None
    chains: Annotated[int | None, Field(ge=1, le=32, description="Of the others. [8]")] = None
    steps: Annotated[int | None, Field(ge=1, le=5000, description="Of the others. [300]")] = None
    max_seconds: Annotated[float | None, Field(gt=0, le=3600, description="Of the others.")] = None
    seed: Seed = 0
    in_order: bool = False
    without: Annotated[list[Word], Field(max_length=50)] = []
    words: Annotated[
        list[Annotated[int, Field(ge=1, le=200)]] | None,
        Field(min_length=2, max_length=2, description="Least and greatest number of words."),
    ] = None
    end: Literal["sentence", "token"] = "sentence"
    length: Annotated[
        float | None, Field(ge=1, le=200, description="Mean in tokens, of annealing and mh. [14]")
    ] = None
    max_length: Annotated[int | None, Field(ge=1, le=200, description="In tokens.")] = None
    context: Annotated[Text | None, Field(description="A text that the sentence follows.")] = None
    stream: Annotated[
        bool, Field(description="Server-sent events as sentences form, or one JSON object.")
    ] = True
    model: ModelName = None
