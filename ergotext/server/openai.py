"""The part of OpenAI's protocol that clients use for structured output."""

from __future__ import annotations

import time
from secrets import token_hex
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from ergotext.server.chatting import Completed, CompletedText, CompletionAsked, completion_job
from ergotext.server.openai_requests import (
    COMPLETION_TOKENS,
    ChatRequest,
    CompletionRequest,
)
from ergotext.server.routes import EVENTS
from ergotext.server.service import service_of
from ergotext.server.stream import Tell, answered, sent, streamed
from ergotext.server.worker import Job

router = APIRouter()
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": EVENTS}}
DONE = "data: [DONE]\n\n"


class UsageReply(BaseModel):
    """Tokens of a request and its answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionReply(BaseModel):
    """An answer, as OpenAI describes it in full."""

    id: str
    object: Literal["chat.completion", "text_completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: UsageReply


@router.post("/v1/chat/completions", response_model=CompletionReply, responses=STREAM)
async def chat(request: Request, body: ChatRequest) -> Response:
    """Answer a chat: free text, or JSON of a schema with its probability."""
    most = body.max_completion_tokens or body.max_tokens
    likeliest = (body.top_logprobs or 0) if body.logprobs else None
    asked = CompletionAsked(body, [one.plain() for one in body.messages], most, likeliest)
    return await _completed(request, asked, Form(True))


@router.post("/v1/completions", response_model=CompletionReply, responses=STREAM)
async def complete(request: Request, body: CompletionRequest) -> Response:
    """Go on with a text: free, or JSON of a schema with its probability."""
    prompt = body.prompt if isinstance(body.prompt, str) else body.prompt[0]
    asked = CompletionAsked(body, prompt, body.max_tokens or COMPLETION_TOKENS, body.logprobs)
    return await _completed(request, asked, Form(False))


class Form:
    """How answers look on one of the routes.

    Parameters
    ----------
    chat : bool
        Whether it is that of chats.
    """

    def __init__(self, chat: bool) -> None:
        self.chat = chat
        self.id = f"{'chatcmpl' if chat else 'cmpl'}-{token_hex(12)}"
        self.created = int(time.time())

    def whole(self, model: str, found: Completed) -> dict[str, Any]:
        """An answer that is not streamed."""
        kind = "chat.completion" if self.chat else "text_completion"
        choices = [self._choice(k, one) for k, one in enumerate(found.texts)]
        return {**self._head(kind, model), "choices": choices, "usage": _usage(found)}

    def chunk(self, model: str, choices: list[dict[str, Any]], **more: Any) -> str:
        """A piece of a stream."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return sent(None, {**self._head(kind, model), "choices": choices, **more})

    def piece(self, number: int, text: str) -> dict[str, Any]:
        """What was added to a text."""
        said = {"delta": {"content": text}} if self.chat else {"text": text}
        return {"index": number, **said, "logprobs": None, "finish_reason": None}

    def opening(self, number: int) -> dict[str, Any]:
        """Who speaks."""
        delta = {"role": "assistant", "content": ""}
        return {"index": number, "delta": delta, "logprobs": None, "finish_reason": None}

    def close(self, number: int, one: CompletedText) -> dict[str, Any]:
        """How a text ended."""
        said: dict[str, Any] = {"delta": {}} if self.chat else {"text": ""}
        told = {"index": number, **said, "logprobs": self._logprobs(one)}
        return told | self._beside(one) | {"finish_reason": one.finish}

    def _head(self, kind: str, model: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": model}

    def _choice(self, number: int, one: CompletedText) -> dict[str, Any]:
        said: dict[str, Any] = {"text": one.text}
        if self.chat:
            said = {"message": {"role": "assistant", "content": one.text, "refusal": None}}
        told = {"index": number, **said, "logprobs": self._logprobs(one)}
        return told | self._beside(one) | {"finish_reason": one.finish}

    def _beside(self, one: CompletedText) -> dict[str, Any]:
        return {} if one.known is None else {"ergotext": one.known}

    def _logprobs(self, one: CompletedText) -> dict[str, Any] | None:
        if one.tokens is None:
            return None
        if self.chat:
            return {"content": one.tokens, "refusal": None}
        places, at = [], 0
        for token in one.tokens:
            places.append(at)
            at += len(token["token"])
        return {
            "tokens": [token["token"] for token in one.tokens],
            "token_logprobs": [token["logprob"] for token in one.tokens],
            "top_logprobs": [
                {other["token"]: other["logprob"] for other in token["top_logprobs"]}
                for token in one.tokens
            ],
            "text_offset": places,
        }


async def _completed(request: Request, asked: CompletionAsked, form: Form) -> Response:
    service = service_of(request)
    model = service.models.writing(asked.body.model).name
    if not asked.body.stream:
        job = completion_job(service.models, asked, None)
        return JSONResponse(form.whole(model, await answered(request, service.worker, job)))
    told: set[int] = set()

    def make(tell: Tell) -> Job:
        return completion_job(service.models, asked, tell)

    def begin() -> list[str]:
        if not form.chat:
            return []
        return [form.chunk(model, [form.opening(k)]) for k in range(asked.body.n)]

    def event(piece: tuple[int, str]) -> str:
        told.add(piece[0])
        return form.chunk(model, [form.piece(*piece)])

    def end(found: Completed) -> list[str]:
        # Texts of a format come whole: which is the best is known at the end.
        late = [(k, one.text) for k, one in enumerate(found.texts) if k not in told and one.text]
        lines = [form.chunk(model, [form.piece(*one)]) for one in late]
        lines += [form.chunk(model, [form.close(k, one)]) for k, one in enumerate(found.texts)]
        options = asked.body.stream_options
        if options is not None and options.include_usage:
            lines.append(form.chunk(model, [], usage=_usage(found)))
        return [*lines, DONE]

    return await streamed(request, service.worker, make, begin, event, end)


def _usage(found: Completed) -> dict[str, int]:
    written = sum(one.count for one in found.texts)
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": found.prompt_tokens + written,
    }
