"""The application: routes, errors, middleware, start and end."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from ergotext.errors import ErgotextError
from ergotext.server import openai, routes
from ergotext.server.errors import RefusalError, refusal_of, refusal_of_errors
from ergotext.server.gate import HUNG_UP, Bearer, JsonBody, KnownHost, Observed
from ergotext.server.replies import ErrorReply
from ergotext.server.service import Service
from ergotext.server.stream import HungUpError

DESCRIPTION = (
    "Questions answered from an index, structured output with probabilities, and sentences with "
    "keywords as they form. Errors are `{\"error\": {message, type, param}}`."
)  # fmt: skip
STATUSES = {
    400: "The request cannot be answered as it is.",
    401: "The token is missing or wrong.",
    403: "The name of the host is not this machine's.",
    404: "No such route or model.",
    405: "Not with this method.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    429: "Too many requests wait: try again.",
    500: "A fault of the server.",
    503: "The server is stopping, or out of memory.",
}


def application(service: Service) -> ASGIApp:
    """The ASGI application of a service."""
    inner: ASGIApp = JsonBody(api(service), service.settings)
    inner = KnownHost(Bearer(inner, service.settings), service.settings)
    return Observed(inner, service.meters)


def api(service: Service) -> FastAPI:
    """The routes alone, and their description in OpenAPI."""
    made = FastAPI(
        title="ergotext",
        description=DESCRIPTION,
        version=version("ergotext"),
        responses={
            status: {"model": ErrorReply, "description": said} for status, said in STATUSES.items()
        },
        # The pages that FastAPI would serve load scripts from elsewhere.
        redoc_url=None,
        docs_url=None,
    )
    made.state.service = service
    made.include_router(routes.router)
    made.include_router(openai.router)
    _handle_errors(made)
    described = made.openapi

    def without_422() -> dict[str, Any]:
        """Invalid bodies are refused with 400, unlike FastAPI's own."""
        spec = described()
        for path in spec["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            spec["components"]["schemas"].pop(name, None)
        return spec

    made.openapi = without_422  # type: ignore[method-assign]  # as FastAPI's docs have it
    return made


def _handle_errors(api: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        return error.response()

    async def task_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, ErgotextError)
        return refusal_of(error).response()

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        field = getattr(request.scope.get("route"), "body_field", None)
        names: list[str] = []
        if field is not None:
            model = getattr(field, "type_", None) or field.field_info.annotation
            names = [info.alias or name for name, info in model.model_fields.items()]
        return refusal_of_errors(error.errors(), names).response()

    async def of_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {
            404: "there is no such route; /openapi.json lists them",
            405: "not with this method",
        }
        message = said.get(error.status_code, str(error.detail))
        return RefusalError(error.status_code, message, headers=error.headers).response()

    async def hung_up(request: Request, _: Exception) -> Response:
        request.scope["state"]["told"]["hung_up"] = True
        return Response(status_code=HUNG_UP)  # nobody reads it

    api.add_exception_handler(RefusalError, refused)
    api.add_exception_handler(ErgotextError, task_refused)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, of_http)
    api.add_exception_handler(HungUpError, hung_up)
