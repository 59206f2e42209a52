"""Refusals: a status, and one line in JSON that says what happened and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse

from ergotext.errors import ErgotextError, InputError
from ergotext.support.records import wanted
from ergotext.support.suggestions import meant
from ergotext.support.words import as_line

INVALID = "invalid_request_error"
LONGEST = 500
"""Characters of a message."""


@dataclass(eq=False)
class RefusalError(Exception):
    """A request that gets no answer, and why.

    Parameters
    ----------
    status : int
        Of HTTP.
    message : str
        One line: what happened, which value, what to do.
    kind : str
        For programs, as OpenAI names them: ``invalid_request_error``, ``rate_limit_error``…
    param : str, optional
        The part of the request that is wrong, from the outside in: ``messages.0.content``.
    headers : mapping, optional
        Of the answer.
    """

    status: int
    message: str
    kind: str = INVALID
    param: str | None = None
    headers: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """What is sent as JSON."""
        line = " ".join(as_line(self.message).split())
        if len(line) > LONGEST:
            line = line[: LONGEST - 1] + "…"
        # A half of a surrogate pair, quoted from a request, could not be sent.
        line = line.encode("utf-8", "backslashreplace").decode("utf-8")
        return {"error": {"message": line, "type": self.kind, "param": self.param, "code": None}}

    def response(self) -> JSONResponse:
        """The answer to the request."""
        return JSONResponse(self.body(), self.status, dict(self.headers or {}))


def busy(waiting: int) -> RefusalError:
    """The queue is full."""
    return RefusalError(
        429,
        f"{waiting} requests are waiting already: try again in a second",
        "rate_limit_error",
        headers={"Retry-After": "1"},
    )


def stopping() -> RefusalError:
    """The server ends."""
    return RefusalError(
        503, "the server is stopping and takes no more requests", "unavailable_error"
    )


def late(seconds: float) -> RefusalError:
    """The time limit of a request, which counts its computation alone and no waiting."""
    return RefusalError(
        400,
        f"this took more than {seconds:g} seconds and was stopped: ask for less, or start the "
        "server with a larger --max-seconds",
        "time_limit_error",
    )


def unexpected(error: BaseException, request: str) -> RefusalError:
    """A fault of ours; its message may quote the request and goes nowhere."""
    if isinstance(error, MemoryError) or "ried to allocate" in str(error):
        return RefusalError(503, "out of memory: ask for less", "unavailable_error")
    return RefusalError(
        500,
        f"unexpected {type(error).__name__}: please report this, with the lines of the server's "
        f"log for request {request}",
        "server_error",
    )


def refusal_of(error: ErgotextError) -> RefusalError:
    """What a task says of its input, or of a failure that the input made."""
    kind = INVALID if isinstance(error, InputError) else "no_result_error"
    return RefusalError(400, str(error), kind)


def refusal_of_errors(errors: Sequence[Any], names: Sequence[str]) -> RefusalError:
    """What is wrong with a body, of the errors that pydantic lists.

    Parameters
    ----------
    errors : sequence of mapping
        At least one.
    names : sequence of str
        The fields that the body may have.
    """
    # Of a choice between kinds the deepest error is of the kind that was meant.
    first = max(errors, key=lambda one: len(one["loc"])) if len(errors) > 1 else errors[0]
    # Of a choice between kinds pydantic names the kind: constrained-str, list[…].
    place = [str(part) for part in first["loc"] if not re.search(r"^body$|[-\[]", str(part))]
    param = ".".join(place)[:120] or None
    what, given = param or "the body", first.get("input")
    if first["type"] == "extra_forbidden":
        return RefusalError(
            400, f"unknown field {param!r:.80}{meant(place[-1][:80], names)}: leave it out",
            param=param,
        )  # fmt: skip
    if first["type"] == "missing":
        return RefusalError(400, f"{what} is missing", param=param)
    if first["type"] == "value_error":
        return RefusalError(400, str(first["ctx"]["error"]), param=param)
    if first["type"] == "literal_error":
        said = f"{what} must be one of {first['ctx']['expected']}, got {given!r:.60}"
        return RefusalError(400, said, param=param)
    return RefusalError(400, f"{what} must be {wanted(first)}, got {given!r:.60}", param=param)
