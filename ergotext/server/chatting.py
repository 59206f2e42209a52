"""What the worker does for OpenAI's protocol: free text, and texts of a response format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.server.errors import RefusalError
from ergotext.server.models import ServedModels
from ergotext.server.openai_requests import OpenAIBody
from ergotext.server.replies import number
from ergotext.server.worker import Job
from ergotext.server.writing import generator_for, key_of
from ergotext.tasks.generation.free import Finish, FreeOptions, free
from ergotext.tasks.generation.options import MAX_TOKENS
from ergotext.tasks.generation.prompts import Prompt, ReadPrompt, read_as
from ergotext.tasks.generation.results import Generation

ANY_OBJECT = {"type": "object"}
"""What ``json_object`` asks for."""


@dataclass(frozen=True)
class CompletedText:
    """A text, for the answers of OpenAI's protocol.

    Parameters
    ----------
    text : str
    finish : "stop" or "length"
    count : int
        Its tokens.
    tokens : list of dict, optional
        Each token with its log-probability and those of the likeliest in its place.
    known : dict, optional
        What ergotext knows of it besides.
    """

    text: str
    finish: Finish
    count: int
    tokens: list[dict[str, Any]] | None
    known: dict[str, Any] | None


@dataclass(frozen=True)
class Completed:
    """All texts of a request, and the tokens of its prompt."""

    texts: list[CompletedText]
    prompt_tokens: int


@dataclass(frozen=True)
class CompletionAsked:
    """A request of either route.

    Parameters
    ----------
    body : OpenAIBody
    prompt : str or messages
    max_tokens : int, optional
        Of a text.
    likeliest : int, optional
        Of each token, how many others are told with it; None for no log-probabilities.
    """

    body: OpenAIBody
    prompt: Prompt
    max_tokens: int | None
    likeliest: int | None

    @property
    def seed(self) -> int:
        """0 where none is given: the same request has the same answer."""
        return self.body.seed or 0


def completion_job(
    models: ServedModels, asked: CompletionAsked, grown: Callable[[tuple[int, str]], None] | None
) -> Job:
    """The texts of a request.

    Raises
    ------
    RefusalError
        Options do not go together, or no such model is served.
    """
    lm = models.writing(asked.body.model)
    form = asked.body.response_format
    if form is None or form.type == "text":
        return Job(lambda _: [_free(lm, asked, grown)], None)
    if (form.json_schema is None) == (form.type == "json_schema"):
        raise RefusalError(
            400, "a response_format of the type json_schema, and no other, has a json_schema",
            param="response_format.json_schema",
        )  # fmt: skip
    schema = ANY_OBJECT if form.json_schema is None else form.json_schema.schema_
    options = {"n": asked.body.n, "method": _method(asked.body), "seed": asked.seed,
               "max_tokens": asked.max_tokens}  # fmt: skip
    generator = generator_for(models, {"schema": schema}, options)

    def work(prompts: Sequence[Prompt]) -> list[Completed]:
        shown = [spoken(lm, one) for one in prompts]
        found = generator()(shown)
        read = [read_as(lm, one, None) for one in shown]
        return [
            Completed([_constrained(lm, prompt, one, asked.likeliest) for one in each],
                      len(prompt.ids))
            for prompt, each in zip(read, found, strict=True)
        ]  # fmt: skip

    alike = ("complete", key_of({"schema": schema}, options), asked.likeliest)
    return Job(work, asked.prompt, alike)


def _method(body: OpenAIBody) -> str:
    """Draws or a search, by the temperature; RefusalError for what a law of whole texts has not."""
    wrong = None
    if body.stops:
        wrong = "stop", "there can be no stop: it would cut JSON off"
    elif body.top_p not in (None, 1):
        wrong = "top_p", "top_p must be 1: texts are drawn whole, not token by token"
    elif body.temperature not in (None, 0, 1):
        wrong = (
            "temperature",
            (
                "temperature must be 1 (draw from the law of all texts that fit) or 0 (the most "
                "probable)"
            ),
        )
    if wrong is not None:
        raise RefusalError(400, f"with a response_format {wrong[1]}", param=wrong[0])
    return "best" if body.temperature == 0 else "sample"


def spoken(lm: CausalLM, prompt: Prompt) -> Prompt:
    """Messages as they are, or as a transcript where the model has no chat template."""
    if isinstance(prompt, str) or getattr(lm.vocabulary.tokenizer, "chat_template", None):
        return prompt
    lines = [f"{one['role'].capitalize()}: {one['content']}" for one in prompt]
    return "\n".join([*lines, "Assistant:"])


def _free(
    lm: CausalLM, asked: CompletionAsked, grown: Callable[[tuple[int, str]], None] | None
) -> Completed:
    body = asked.body
    prompt = read_as(lm, spoken(lm, asked.prompt), None)
    room = lm.max_positions - len(prompt.ids)
    options = FreeOptions(
        body.n,
        asked.max_tokens or max(1, min(MAX_TOKENS, room)),
        asked.seed,
        1.0 if body.temperature is None else body.temperature,
        1.0 if body.top_p is None else body.top_p,
        body.stops,
    )
    texts = free(lm, prompt, options, None if grown is None else lambda k, s: grown((k, s)))
    written = [
        CompletedText(
            one.text,
            one.finish or "stop",
            len(one.tokens),
            _told(lm, prompt, one.tokens, asked.likeliest),
            None,
        )
        for one in texts
    ]
    return Completed(written, len(prompt.ids))


def _constrained(
    lm: CausalLM, prompt: ReadPrompt, one: Generation, likeliest: int | None
) -> CompletedText:
    known = {
        "log_prob": number(one.log_prob),
        "probability": number(one.probability),
        "bounds": list(one.bounds),
    }
    tokens = _told(lm, prompt, one.tokens, likeliest)
    return CompletedText(one.text, "stop", len(one.tokens), tokens, known)


def _told(
    lm: CausalLM, prompt: ReadPrompt, tokens: Sequence[int], likeliest: int | None
) -> list[dict[str, Any]] | None:
    """Each token with log p after those before it, by the model as it is, and the likeliest."""
    if likeliest is None:
        return None
    after, count = lm.after(prompt.ids), len(tokens)
    if not count:
        return []
    batch = TokenBatch.of([tokens] * count)
    law = after.next_log_prob(batch, torch.arange(count))
    top = law.topk(likeliest, -1) if likeliest else None
    found = []
    for place, token in enumerate(tokens):
        one = _named(lm, token, float(law[place, token]))
        one["top_logprobs"] = [] if top is None else [
            _named(lm, k, p)
            for k, p in zip(top.indices[place].tolist(), top.values[place].tolist(), strict=True)
        ]  # fmt: skip
        found.append(one)
    return found


def _named(lm: CausalLM, token: int, log_prob: float) -> dict[str, Any]:
    text = lm.vocabulary.tokenizer.decode([token])
    if not isinstance(text, str):
        raise InputError(f"token {token} has no text")
    return {"token": text, "logprob": max(log_prob, -9999.0), "bytes": list(text.encode("utf-8"))}
