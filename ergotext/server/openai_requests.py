"""Bodies of OpenAI's protocol, as far as it is answered here.

What does not change the answer is accepted and left alone (``user``, ``metadata``…); what would
change it and cannot be done is refused, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ergotext.server.requests import Body, Count, ModelName, Seed, Text, Tokens

Stop = Annotated[str, Field(min_length=1, max_length=200)]
COMPLETION_TOKENS = 16
"""Of a completion where nothing else is said, as OpenAI has it."""


class TextPart(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["text"]
    text: Text


class OpenAIMessage(BaseModel):
    """A message of a chat."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1, max_length=64)]
    name: Annotated[str | None, Field(max_length=100)] = None
    refusal: None = None

    def plain(self) -> dict[str, str]:
        """As chat templates know it."""
        content = self.content
        if not isinstance(content, str):
            content = "".join(part.text for part in content)
        return {"role": "system" if self.role == "developer" else self.role, "content": content}


class NamedSchema(BaseModel):
    """The schema of a response format."""

    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)

    name: Annotated[str, Field(max_length=200)] = "schema"
    description: Annotated[str | None, Field(max_length=8192)] = None
    schema_: Annotated[dict[str, Any] | bool, Field(alias="schema")]
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """What a text must be."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(BaseModel):
    """How a stream is sent."""

    model_config = ConfigDict(strict=True, extra="forbid")

    include_usage: bool = False
    include_obfuscation: bool = False


class OpenAIBody(Body):
    """What both routes take.

    ``temperature`` and ``top_p`` shape free text token by token, as elsewhere. Of a response format
    the law is that of whole texts, where 1 draws from it and 0 finds its most probable texts.
    """

    model: ModelName = None
    n: Count = 1
    seed: Seed | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    frequency_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    presence_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    user: Annotated[str | None, Field(max_length=1000)] = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: Annotated[str | None, Field(max_length=40)] = None
    prompt_cache_key: Annotated[str | None, Field(max_length=200)] = None
    safety_identifier: Annotated[str | None, Field(max_length=200)] = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts before which a text ends."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatRequest(OpenAIBody):
    """For ``/v1/chat/completions``."""

    messages: Annotated[list[OpenAIMessage], Field(min_length=1, max_length=64)]
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None


class CompletionRequest(OpenAIBody):
    """For ``/v1/completions``."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=1)]
    max_tokens: Tokens | None = None
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None
    best_of: Annotated[int | None, Field(ge=1, le=1)] = None
    echo: Literal[False] | None = None
    suffix: None = None
