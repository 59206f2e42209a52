"""Our own routes on a real server: what is answered, refused, batched, counted and logged."""

from __future__ import annotations

import inspect
import json
import logging
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx
import pytest

from ergotext.lm.trie.tree import TokenTrie
from ergotext.server import writing
from ergotext.server.logs import JsonFormatter
from ergotext.server.models import ServedModels
from ergotext.server.requests import SampleRequest
from ergotext.server.settings import ServerSettings
from ergotext.server.worker import Job
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import Demands
from ergotext.tasks.generation.generate import generate
from ergotext.tasks.selection import chosen
from ergotext.tasks.write import write
from tests.server.running import Running, running
from tests.waiting import until

QUESTIONS = [
    "Who painted Guernica?",
    "How high is Mount Everest?",
    "苹果公司是谁创立的？",
    "",
    "Why?",
]
SMALL = {"particles": 8, "max_length": 12, "seed": 3}


def error_of(reply: httpx.Response) -> dict:
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json()) == {"error"}
    told = reply.json()["error"]
    assert set(told) == {"message", "type", "param", "code"} and "\n" not in told["message"]
    return told


def test_health_and_models(here: Running) -> None:
    assert here.get("/health").json() == {"status": "ok"}
    data = here.get("/v1/models").json()["data"]
    assert [(one["id"], one["does"]) for one in data] == [
        ("tiny-causal", "writes"), ("tiny-retriever", "answers"),
    ]  # fmt: skip
    assert len(here.get("/health").headers["x-request-id"]) == 16


def test_answers_are_those_of_the_task(here: Running, models: ServedModels) -> None:
    reply = here.post("/v1/retrieve", {"questions": QUESTIONS, "k": 2})
    assert reply.status_code == 200
    found = reply.json()
    assert models.answerer is not None and found["model"] == "tiny-retriever"
    for question, hits, told in zip(
        QUESTIONS, models.answerer.answer(QUESTIONS, {}, k=2), found["data"], strict=True
    ):
        assert told == json.loads(hits.json(question))
    assert found["data"][0]["results"][0]["values"] == ["Pablo Picasso"]
    assert (
        found["data"][3]["notes"] == ["the question is empty"] and not found["data"][4]["results"]
    )


def test_options_of_retrieve_count(here: Running) -> None:
    def ask(**more: object) -> dict:
        return here.post("/v1/retrieve", {"questions": QUESTIONS[:1], **more}).json()["data"][0]

    plain = ask()
    assert len(ask(k=1)["results"]) == 1 < len(plain["results"])
    assert ask(threshold=0.999)["results"] == [] and plain["results"]
    assert ask(anywhere=True)["subject"] is None and plain["subject"] == "as written"
    assert ask(coverage=0.9)["set"]["coverage"] == 0.9 and plain["set"] is None
    assert ask(model_probability=True)["none"] is None and plain["none"] is not None
    assert ask(temperature=100.0)["results"][0]["probability"] < plain["results"][0]["probability"]


def test_requests_that_wait_are_answered_together_and_as_alone(here: Running) -> None:
    """Sixteen clients at once: fewer batches than requests, and the same answers."""
    each = [[q] for q in QUESTIONS[:3]] * 6
    alone = [here.post("/v1/retrieve", {"questions": q}).json() for q in each[:3]]
    blocked, go = threading.Event(), threading.Event()
    here.service.worker.submit(Job(lambda e: (blocked.set(), go.wait(60), e)[2], 0))
    assert blocked.wait(60)
    before = here.metric("batch_requests_count")
    with ThreadPoolExecutor(18) as pool:
        replies = [pool.submit(here.post, "/v1/retrieve", {"questions": q}) for q in each]
        until(lambda: here.metric("waiting_requests") == 18)
        go.set()
        found = [reply.result().json() for reply in replies]
    assert here.metric("batch_requests_count") - before <= 3
    for one, same in zip(found, alone * 6, strict=True):
        for a, b in zip(one["data"][0]["results"], same["data"][0]["results"], strict=True):
            assert a["text"] == b["text"] and a["values"] == b["values"]
            assert a["probability"] == pytest.approx(b["probability"], abs=1e-4)


BAD = [
    ({}, "questions is missing", "questions"),
    ({"questions": []}, "questions must be a list that is not empty, got []", "questions"),
    ({"questions": "Who?"}, "questions must be a list, got 'Who?'", "questions"),
    ({"questions": ["x"] * 65}, "questions must be a list of at most 64 entries", "questions"),
    ({"questions": ["x" * 9000]}, "questions.0 must be", "questions.0"),
    ({"questions": ["x"], "k": 0}, "k must be at least 1, got 0", "k"),
    ({"questions": ["x"], "k": "5"}, "k must be an integer, got '5'", "k"),
    ({"questions": ["x"], "k": True}, "k must be an integer", "k"),
    ({"questions": ["x"], "beems": 3}, "unknown field 'beems'; did you mean 'beams'?", "beems"),
    ({"questions": ["x"], "coverage": 0.9, "threshold": 0.5}, "drop coverage or threshold", None),
    ({"questions": ["x"], "k": 50, "beams": 3}, "beams (3) must be at least k (50)", None),
    ({"questions": ["x"], "model": "tiny-causal"}, "does not do this", "model"),
    ({"questions": ["x"], "model": "tiny-retreiver"}, "did you mean 'tiny-retriever'?", "model"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said", "param"), BAD, ids=lambda x: str(x)[:40])
def test_a_wrong_body_is_refused_in_a_line(here: Running, body, said: str, param) -> None:
    reply = here.post("/v1/retrieve", body)
    told = error_of(reply)
    assert reply.status_code == (404 if "model" in body else 400)
    assert said in told["message"] and told["param"] == param


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"), (b"{", "not JSON"), (b"[]", "must be a JSON object"),
        (b"\xff", "not UTF-8"), (b"[" * 200 + b"]" * 200, "nested more than 64 deep"),
        (b'{"questions": ["\\ud800"]}', "surrogate"), (b"[" * 100_000, "nested"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_is_refused(here: Running, raw: bytes, said: str) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    reply = httpx.post(f"{here.address}/v1/retrieve", content=raw, headers=kind)
    assert reply.status_code == 400 and said in error_of(reply)["message"]


def test_other_requests_are_refused(here: Running) -> None:
    form = httpx.post(f"{here.address}/v1/retrieve", data={"questions": "x"})
    assert form.status_code == 415 and "Content-Type" in error_of(form)["message"]
    assert error_of(here.get("/nothing"))["message"].startswith("there is no such route")
    wrong = here.get("/v1/retrieve")
    assert wrong.status_code == 405 and wrong.headers["allow"] == "POST" and error_of(wrong)
    large = here.post("/v1/retrieve", {"questions": ["x" * (1 << 20)]})
    assert large.status_code == 413 and "1,048,576 bytes" in error_of(large)["message"]

    def parts():
        for _ in range(40):
            yield b" " * 65536

    kind = {"Content-Type": "application/json"}
    chunked = httpx.post(f"{here.address}/v1/retrieve", content=parts(), headers=kind)
    assert chunked.status_code == 413


def test_texts_are_generated_as_by_the_task(here: Running, models: ServedModels) -> None:
    body = {"prompt": "The weather is ", "choices": ["sunny", "rainy", "cold"], "n": 2}
    found = here.post("/v1/generate", body).json()
    same = generate(models.writer, body["prompt"], choices=body["choices"], n=2)
    assert [one["value"] for one in found["data"]] == same.values
    assert found["data"][0]["probability"] == pytest.approx(same.probability, abs=1e-6)
    assert found["proven"] and [*found["alternatives"]] == [*same.alternatives]
    schema = {"type": "object", "properties": {"hot": {"type": "boolean"}}, "required": ["hot"],
              "additionalProperties": False}  # fmt: skip
    body = {"prompt": "Is the sun hot? ", "schema": schema, "alternatives": True}
    (told,) = here.post("/v1/generate", body).json()["data"]
    assert isinstance(told["value"]["hot"], bool) and set(told["fields"]["hot"]) == {
        "true",
        "false",
    }
    assert json.loads(told["text"]) == told["value"]
    drawn = {"prompt": "A date: ", "regex": "[0-9]{4}", "method": "sample", "n": 3, "seed": 5}
    found = here.post("/v1/generate", drawn).json()
    assert all(re.fullmatch("[0-9]{4}", one["text"]) for one in found["data"])
    assert here.post("/v1/generate", drawn).json()["data"] == found["data"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"prompt": "x"}, "give one of schema, regex, choices, grammar"),
        ({"prompt": "x", "regex": "a", "choices": ["b"]}, "got regex and choices"),
        ({"prompt": "x", "regex": "("}, "("),
        ({"prompt": "x", "schema": {"type": "nothing"}}, "nothing"),
        ({"prompt": "x", "schema": False}, "no value satisfies"),
        ({"prompt": "x", "grammar": "?"}, "grammar"),
        ({"prompt": [], "regex": "a"}, "prompt"),
        ({"prompt": [{"role": "user"}], "regex": "a"}, "content is missing"),
        ({"prompt": "x", "regex": "a", "n": 4, "beams": 2}, "beams (2) must be at least n (4)"),
        ({"prompt": "x " * 4000, "regex": "a"}, "shorten the prompt"),
        ({"prompt": "x", "schema": {"items": [{"x-index": "/etc/hosts"}]}}, "cannot name an index"),
        ({"prompt": "x", "grammar": 'start: %index "/etc/passwd"'}, "cannot name an index"),
        ({"prompt": "x", "regex": "[0-9]{40}", "max_tokens": 3}, "within 3 tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_generated_is_refused_in_a_line(here: Running, body, said: str) -> None:
    reply = here.post("/v1/generate", body)
    assert reply.status_code == 400 and said in error_of(reply)["message"]


def test_what_only_has_the_name_of_an_index_is_none(here: Running) -> None:
    named = {"type": "object", "properties": {"x-index": {"const": 1}}, "required": ["x-index"],
             "additionalProperties": False}  # fmt: skip
    for schema in (named, {"const": {"x-index": 1}}):
        reply = here.post("/v1/generate", {"prompt": "x", "schema": schema})
        assert reply.status_code == 200 and reply.json()["data"][0]["value"] == {"x-index": 1}


def events_of(reply: httpx.Response) -> list[tuple[str, dict]]:
    assert reply.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in reply.text.strip().split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize(
    "more", [{}, {"sampler": "annealing", "steps": 20, "chains": 2, "length": 8.0}]
)
def test_sentences_are_seen_as_they_form(
    here: Running, models: ServedModels, more: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LEAST_SECONDS", 0.0)
    small = {**SMALL, **more}
    if more:
        del small["particles"]
    body = {"keywords": ["dog", ["ran", "runs"]], "n": 2, **small}
    events = events_of(here.post("/v1/sample", body))
    assert len(events) > 3 and {kind for kind, _ in events[:-1]} == {"progress"}
    texts = [data["text"] for _, data in events[:-1]]
    assert all(texts) and all(a != b for a, b in pairwise(texts))
    done = [data["done"] for _, data in events[:-1]]
    assert done == sorted(done) and all(0 < d <= events[0][1]["total"] for d in done)
    kind, result = events[-1]
    budget = {key: value for key, value in small.items() if key not in ("max_length", "length")}
    same = write(
        body["keywords"], models.writer, Budget(**budget, finals=8),
        Demands(max_length=12, mean_length=small.get("length")), progress=False,
    )  # fmt: skip
    assert kind == "result"
    assert [one["text"] for one in result["data"]] == [one.text for one in chosen(same, 2)]
    for one in result["data"]:
        assert one["spellings"][0] == "dog" and one["spellings"][1] in ("ran", "runs")
    whole = here.post("/v1/sample", {**body, "stream": False}).json()
    assert whole["data"] == result["data"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"keywords": []}, "keywords"),
        ({"keywords": [""]}, "keywords.0 must be a text that is not empty, got ''"),
        ({"keywords": ["a", "b" * 300]}, "keywords.1 must be a text of at most 200 characters"),
        ({"keywords": [" "]}, "empty"),
        ({"words": [9, 2]}, "least and the greatest"),
        ({"words": [2]}, "words"),
        ({"chains": 4}, "goes with the sampler annealing or mh"),
        ({"keywords": ["dissatisfaction", "tablecloth"], "max_length": 4}, "maximum length is 4"),
        ({"without": ["dog"]}, "dog"),
        ({"sampler": "beam"}, "sampler must be one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_anything_is_streamed(
    here: Running, more: dict, said: str
) -> None:
    reply = here.post("/v1/sample", {"keywords": ["dog"], **SMALL, **more})
    assert reply.status_code == 400 and said in error_of(reply)["message"]


def test_a_client_that_hangs_up_ends_its_run(here: Running) -> None:
    body = {"keywords": ["dog"], "sampler": "mh", "steps": 5000, "chains": 8}
    # Only a run that was stopped counts as dropped, not one that came to its end.
    before = here.metric("dropped_requests_total")
    with httpx.stream("POST", f"{here.address}/v1/sample", json=body, timeout=60) as reply:
        next(reply.iter_lines())
    until(lambda: here.metric("dropped_requests_total") == before + 1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{here.address}/v1/sample", json={**body, "stream": False},
            timeout=httpx.Timeout(60, read=0.7),
        )  # fmt: skip
    until(lambda: here.metric("dropped_requests_total") == before + 2)
    assert here.post("/v1/retrieve", {"questions": ["x"]}).status_code == 200


def test_a_request_that_takes_too_long_is_stopped(models: ServedModels) -> None:
    with running(models, ServerSettings(seconds=0.3)) as short:
        reply = short.post(
            "/v1/sample", {"keywords": ["dog"], "sampler": "mh", "steps": 5000, "stream": False}
        )
        assert reply.status_code == 400 and "0.3 seconds" in error_of(reply)["message"]
        streamed = short.post("/v1/sample", {"keywords": ["dog"], "sampler": "mh", "steps": 5000})
        kind, data = events_of(streamed)[-1]
        assert kind == "error" and "0.3 seconds" in data["error"]["message"]
        # What comes next is not stopped with it, however long it would take in a slow machine.
        assert short.service.worker.submit(after := Job(lambda each: each, 0)) is None
        assert after.answer.result(60) == 0


def test_a_full_queue_answers_429(models: ServedModels) -> None:
    with running(models, ServerSettings(waiting=2)) as small, ThreadPoolExecutor(8) as pool:
        blocked, go = threading.Event(), threading.Event()
        small.service.worker.submit(Job(lambda e: (blocked.set(), go.wait(60), e)[2], 0))
        assert blocked.wait(60)
        replies = [
            pool.submit(small.post, "/v1/retrieve", {"questions": ["Why?"]}) for _ in range(6)
        ]
        until(lambda: small.metric("refused_requests_total") == 4)
        go.set()
        found = sorted(reply.result().status_code for reply in replies)
        assert found == [200, 200, 429, 429, 429, 429]
        (one, *_) = [r.result() for r in replies if r.result().status_code == 429]
        assert one.headers["retry-after"] == "1" and "try again" in error_of(one)["message"]


def test_a_server_that_stops_finishes_what_it_took(models: ServedModels) -> None:
    with ThreadPoolExecutor(4) as pool:
        with running(models) as ending:
            blocked, go = threading.Event(), threading.Event()
            ending.service.worker.submit(Job(lambda e: (blocked.set(), go.wait(60), e)[2], 0))
            body = {"keywords": ["dog"], "sampler": "mh", "steps": 60, "chains": 2}
            streams = [pool.submit(ending.post, "/v1/sample", body) for _ in range(2)]
            asked = pool.submit(ending.post, "/v1/retrieve", {"questions": QUESTIONS[:1]})
            until(lambda: ending.metric("waiting_requests") == 3)
            ending.server.should_exit = True
            go.set()
        assert asked.result().json()["data"][0]["results"]
        assert all(events_of(one.result())[-1][0] == "result" for one in streams)
        with pytest.raises(httpx.ConnectError):
            ending.get("/health")


def test_a_token_is_asked_for(models: ServedModels) -> None:
    with running(models, ServerSettings(token="se-cret")) as closed:
        assert closed.get("/health").status_code == closed.get("/").status_code == 200
        for given in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic se-cret"},
                      {"Authorization": "Bearer s\xe9-cret".encode("latin-1")}):  # fmt: skip
            for path in ("/v1/models", "/metrics", "/openapi.json"):
                reply = closed.get(path, headers=given)
                assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
                assert "Authorization: Bearer" in error_of(reply)["message"]
        assert closed.get("/v1/models", headers={"Authorization": "bearer se-cret"}).is_success


def test_a_local_server_answers_to_local_names_only(here: Running, models: ServedModels) -> None:
    for host in ("localhost", "127.0.0.1:8000", "[::1]:80", "LOCALHOST"):
        assert here.get("/health", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
        reply = here.get("/health", headers={"Host": host})
        assert reply.status_code == 403 and "localhost" in error_of(reply)["message"]
    assert not ServerSettings("0.0.0.0").local and ServerSettings("127.0.0.2").local
    assert not ServerSettings("example.org").local


def test_a_body_that_does_not_come_is_not_waited_for(models: ServedModels) -> None:
    with running(models, ServerSettings(body_seconds=0.2)) as quick:
        host, port = quick.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as wire:
            head = "POST /v1/retrieve HTTP/1.1", "Host: localhost", "Content-Length: 9"
            kind = "Content-Type: application/json"
            wire.sendall("\r\n".join([*head, kind, "", "{"]).encode())
            wire.settimeout(60)
            assert wire.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_counters(here: Running) -> None:
    here.get("/health")
    here.get("/made/up")
    text = here.get("/metrics").text
    assert 'ergotext_requests_total{route="/health",status="200"}' in text
    assert 'ergotext_requests_total{route="other",status="404"}' in text and "made" not in text
    for name in ("request_seconds_bucket", "batch_requests_sum", "waiting_requests",
                 "computing_seconds_total"):  # fmt: skip
        assert f"ergotext_{name}" in text


def test_logs_say_what_happened_and_not_what_was_asked(
    here: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("private words")

    caplog.set_level(logging.INFO, "ergotext.server")
    first = here.post("/v1/retrieve", {"questions": ["private words"]}).headers["x-request-id"]
    monkeypatch.setattr(TokenTrie, "ordinal", broken)
    assert here.service.models.answerer is not None
    monkeypatch.setattr(here.service.models.answerer.retriever, "retrieve", broken)
    reply = here.post("/v1/retrieve", {"questions": ["private words"]})
    told = error_of(reply)
    name = reply.headers["x-request-id"]
    assert reply.status_code == 500 and "ZeroDivisionError" in told["message"]
    assert name in told["message"] and "private" not in told["message"]
    found: list[dict] = []

    def told_of_all() -> bool:
        """A request is told of after it is answered, and so is what made it fail."""
        found[:] = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
        names = {one["request"] for one in found if one["event"] == "request"}
        return {first, name} <= names and any(one["event"] == "failed" for one in found)

    until(told_of_all)
    assert "private" not in json.dumps(found)
    # A request of an earlier test may be told of late: only these two are looked for.
    good = next(one for one in found if one.get("request") == first)
    assert good["status"] == 200
    assert good["route"] == "/v1/retrieve" and good["seconds"] > 0 and good["together"] == 1
    failed = next(one for one in found if one["event"] == "failed")
    assert failed["error"] == "ZeroDivisionError" and "test_routes.py" in failed["at"][-1]
    assert any(one.get("request") == name and one["status"] == 500 for one in found)


def test_a_server_without_a_model_says_so(models: ServedModels) -> None:
    with running(ServedModels(None, models.answerer)) as answers:
        reply = answers.post("/v1/generate", {"prompt": "x", "regex": "a"})
        assert reply.status_code == 404 and "--model" in error_of(reply)["message"]
    with running(ServedModels(models.writer, None)) as writes:
        reply = writes.post("/v1/retrieve", {"questions": ["x"]})
        assert reply.status_code == 404 and "-i INDEX" in error_of(reply)["message"]


def test_every_field_of_sample_is_used() -> None:
    """What the body has and the job does not read would be ignored without a word."""
    source = inspect.getsource(writing.sample_job)
    missing = [name for name in SampleRequest.model_fields if f"body.{name}" not in source]
    assert missing == ["stream"]
