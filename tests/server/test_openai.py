"""OpenAI's own client against a real server."""

from __future__ import annotations

import json
import math
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from ergotext.lm.batch import TokenBatch
from ergotext.server.models import ServedModels
from ergotext.server.settings import ServerSettings
from ergotext.tasks.generation.free import FreeOptions, free
from ergotext.tasks.generation.generate import generate
from ergotext.tasks.generation.prompts import read_as
from tests.server.running import Running, running

SCHEMA = {
    "type": "object",
    "properties": {"mood": {"enum": ["happy", "sad", "angry"]}, "hot": {"type": "boolean"}},
    "required": ["mood", "hot"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How is it?"}]
PLAIN = "System: Be brief.\nUser: How is it?\nAssistant:"


@pytest.fixture
def client(here: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{here.address}/v1", api_key="none", max_retries=0)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["tiny-causal", "tiny-retriever"]


def test_json_of_a_schema(client: openai.OpenAI, models: ServedModels) -> None:
    found = client.chat.completions.create(
        model="tiny-causal", messages=TALK, response_format=FORM, n=3, temperature=0
    )
    same = generate(models.writer, PLAIN, schema=SCHEMA, n=3)
    assert [json.loads(one.message.content) for one in found.choices] == same.values
    assert [one.index for one in found.choices] == [*range(len(same))]
    assert {one.finish_reason for one in found.choices} == {"stop"}
    first = found.choices[0].model_extra["ergotext"]
    assert first["probability"] == pytest.approx(same.probability, abs=1e-6)
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert found.model == "tiny-causal" and found.object == "chat.completion"


class Weather(BaseModel):
    """What ``parse`` is asked for."""

    mood: Literal["happy", "sad", "angry"]
    hot: bool


def test_a_pydantic_model_is_parsed(client: openai.OpenAI) -> None:
    found = client.chat.completions.parse(
        model="tiny-causal", messages=TALK, response_format=Weather, seed=4
    )
    assert isinstance(found.choices[0].message.parsed, Weather)


def test_draws_follow_the_law_and_the_seed(client: openai.OpenAI) -> None:
    numbers = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": [1, 2, 3]}}}

    def draw(seed: int) -> list[str]:
        found = client.chat.completions.create(
            model="tiny-causal", messages=TALK, response_format=numbers, n=16, seed=seed
        )
        return [one.message.content for one in found.choices]

    assert draw(1) == draw(1) and len({*draw(1), *draw(2), *draw(3)}) > 1
    best = client.chat.completions.create(
        model="tiny-causal", messages=TALK, response_format=numbers, n=3, temperature=0
    ).choices
    share = {one.message.content: one.model_extra["ergotext"]["probability"] for one in best}
    assert sum(share.values()) > 0.99
    drawn = [text for seed in range(12) for text in draw(seed)]
    for text, p in share.items():
        deviation = math.sqrt(p * (1 - p) / len(drawn))
        assert abs(drawn.count(text) / len(drawn) - p) < 5 * deviation + 0.01


def test_free_text_ends_as_asked(client: openai.OpenAI) -> None:
    asked = {"model": "tiny-causal", "prompt": "The dog", "seed": 7}
    whole = client.completions.create(**asked, max_tokens=24).choices[0]
    assert whole.finish_reason in ("stop", "length") and whole.text
    short = client.completions.create(**asked, max_tokens=3)
    assert short.usage.completion_tokens == 3 and short.choices[0].finish_reason == "length"
    assert whole.text.startswith(short.choices[0].text)
    word = whole.text.split()[2]
    cut = client.completions.create(**asked, max_tokens=24, stop=[word, "\n\n"]).choices[0]
    assert cut.text == whole.text[: whole.text.index(word)] and cut.finish_reason == "stop"
    likeliest = [
        client.completions.create(**{**asked, "seed": s}, max_tokens=8, temperature=0).choices[0]
        for s in (1, 2)
    ]
    assert likeliest[0].text == likeliest[1].text


def test_log_probabilities_are_those_of_the_model(
    client: openai.OpenAI, models: ServedModels
) -> None:
    found = client.completions.create(
        model="tiny-causal", prompt="The dog", max_tokens=6, logprobs=2, seed=1
    ).choices[0]
    told = found.logprobs
    assert "".join(told.tokens) == found.text and told.text_offset[0] == 0
    lm = models.writer
    assert lm is not None
    prompt = read_as(lm, "The dog", None)
    (same,) = free(lm, prompt, FreeOptions(max_tokens=6, seed=1))
    log_prob = lm.after(prompt.ids).token_log_prob(TokenBatch.of([same.tokens]))[0, :-1]
    assert same.text == found.text
    assert told.token_logprobs == pytest.approx(log_prob.tolist(), abs=1e-4)
    assert all(len(one) == 2 for one in told.top_logprobs)
    assert all(
        max(one.values()) >= p - 1e-6
        for one, p in zip(told.top_logprobs, told.token_logprobs, strict=True)
    )
    chat = client.chat.completions.create(
        model="tiny-causal", messages=TALK, logprobs=True, top_logprobs=3, max_tokens=4
    ).choices[0]
    assert all(len(one.top_logprobs) == 3 for one in chat.logprobs.content)
    text = b"".join(bytes(one.bytes) for one in chat.logprobs.content).decode()
    assert text == chat.message.content


@pytest.mark.parametrize("form", [None, FORM])
def test_streams_say_what_whole_answers_say(client: openai.OpenAI, form: dict | None) -> None:
    asked = {"model": "tiny-causal", "messages": TALK, "n": 2, "seed": 3, "max_tokens": 24}
    if form:
        asked |= {"response_format": form, "temperature": 0}
    whole = client.chat.completions.create(**asked)
    pieces, texts, finish, usage = 0, ["", ""], {}, None
    for chunk in client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for one in chunk.choices:
            texts[one.index] += one.delta.content or ""
            pieces += bool(one.delta.content)
            if one.finish_reason:
                finish[one.index] = one.finish_reason
    assert texts == [one.message.content for one in whole.choices]
    assert finish == {k: one.finish_reason for k, one in enumerate(whole.choices)}
    assert usage == whole.usage and (form or pieces > 2)
    lines = client.completions.create(
        model="tiny-causal", prompt="The dog", max_tokens=9, seed=2, stream=True
    )
    same = client.completions.create(model="tiny-causal", prompt="The dog", max_tokens=9, seed=2)
    assert "".join(c.choices[0].text for c in lines if c.choices) == same.choices[0].text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model": "gpt-4"}, "no model 'gpt-4'"),
        ({"temperature": 0.5, "response_format": FORM}, "temperature must be 1"),
        ({"top_p": 0.5, "response_format": FORM}, "top_p must be 1"),
        ({"stop": "x", "response_format": FORM}, "would cut JSON off"),
        ({"response_format": {"type": "json_schema"}}, "has a json_schema"),
        ({"tools": []}, "unknown field 'tools'"),
        ({"frequency_penalty": 0.5}, "frequency_penalty must be"),
        ({"logit_bias": {"1": 1}}, "unknown field 'logit_bias'"),
        ({"max_tokens": 500, "messages": [{"role": "user", "content": "ab " * 999}]}, "shorten"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(client: openai.OpenAI, more: dict, said: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(
            **{"model": "tiny-causal", "messages": TALK, "max_tokens": 8, **more}
        )
    assert refused.value.status_code in (400, 404) and said in refused.value.body["message"]


def test_what_changes_nothing_is_accepted(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model="tiny-causal", max_completion_tokens=4, store=False, frequency_penalty=0,
        messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        user="me", metadata={"a": "b"},
    )  # fmt: skip
    assert found.usage.completion_tokens <= 4


def test_the_key_is_the_token(models: ServedModels) -> None:
    with running(models, ServerSettings(token="se-cret")) as closed:
        url = f"{closed.address}/v1"
        assert [*openai.OpenAI(base_url=url, api_key="se-cret").models.list()]
        with pytest.raises(openai.AuthenticationError, match="token"):
            openai.OpenAI(base_url=url, api_key="other", max_retries=0).models.list()
