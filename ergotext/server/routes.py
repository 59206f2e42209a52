"""Our own routes: health, metrics, models, the page, retrieve, generate, sample."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from ergotext.server.replies import (
    GenerateReply,
    HealthReply,
    ModelEntry,
    ModelList,
    RetrieveReply,
    SampleReply,
)
from ergotext.server.requests import GenerateRequest, RetrieveRequest, SampleRequest
from ergotext.server.service import service_of
from ergotext.server.stream import Tell, answered, sent, streamed
from ergotext.server.worker import Job
from ergotext.server.writing import generate_job, retrieve_job, sample_job

router = APIRouter()
PAGE = files("ergotext.server") / "page.html"
EVENTS = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
            "required": ["data"],
        }
    }
}
"""What OpenAPI says of each event of a stream; ``data`` is JSON."""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What the page may do: nothing but talk to this server."""


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def page() -> HTMLResponse:
    """The page to try it."""
    return HTMLResponse(
        PAGE.read_text("utf-8"),
        headers={"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"},
    )


@router.get("/health")
async def health() -> HealthReply:
    """Whether the server is up."""
    return HealthReply(status="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counters in Prometheus' form."""
    return Response(service_of(request).meters.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/models")
async def models(request: Request) -> ModelList:
    """The models that are served."""
    served = service_of(request).models
    every = served.names.items()
    return ModelList(data=[ModelEntry(id=n, created=served.started, does=d) for n, d in every])


@router.post("/v1/retrieve", response_model=RetrieveReply)
async def retrieve(request: Request, body: RetrieveRequest) -> JSONResponse:
    """Answer questions from the index, each answer with its probability."""
    service = service_of(request)
    return JSONResponse(await answered(request, service.worker, retrieve_job(service.models, body)))


@router.post("/v1/generate", response_model=GenerateReply)
async def generate(request: Request, body: GenerateRequest) -> JSONResponse:
    """Texts that satisfy a constraint, as objects with their probabilities."""
    service = service_of(request)
    return JSONResponse(await answered(request, service.worker, generate_job(service.models, body)))


@router.post(
    "/v1/sample",
    response_model=SampleReply,
    responses={200: {"content": EVENTS}},
)
async def sample(request: Request, body: SampleRequest) -> Response:
    """Sentences with keywords: events `progress` as they form, then `result` (or `error`)."""
    service = service_of(request)
    if not body.stream:
        return JSONResponse(
            await answered(request, service.worker, sample_job(service.models, body, None))
        )

    def make(tell: Tell) -> Job:
        return sample_job(service.models, body, tell)

    def event(told: Any) -> str:
        return sent("progress", told)

    return await streamed(
        request, service.worker, make, list, event, lambda result: [sent("result", result)]
    )
