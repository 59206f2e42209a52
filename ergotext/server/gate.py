"""What happens to a request before a handler sees it: counting, hosts, tokens, bodies.

ASGI middleware, the outermost first: ``Observed``, ``KnownHost``, ``Bearer``, ``JsonBody``.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ergotext.server.errors import RefusalError, unexpected
from ergotext.server.logs import log, place_of
from ergotext.server.metrics import Meters
from ergotext.server.settings import LOOPBACK, ServerSettings
from ergotext.support.untrusted import json_of

Handle = Callable[[Scope, Receive, Send], Awaitable[None]]
OPEN = ("/", "/health")
"""What needs no token: the page, which asks for one, and whether the server is up."""
OTHER = "other"
"""How routes that do not exist are counted: anybody can make up any number of them."""
HUNG_UP = 499
"""Status in logs and counters of a request whose client went away; never sent."""


class Observed:
    """Gives each request an identifier, counts it, logs it, and catches what nobody foresaw."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app, self.meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name, began, status = token_hex(8), time.monotonic(), 0
        scope["state"] = {**scope.get("state", {}), "request": name, "told": {}}

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", name.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        self.meters.open.inc()
        try:
            await self.app(scope, receive, sent)
        except Exception as error:  # a fault of ours ends one request, not the server
            if not status:
                await unexpected(error, name).response()(scope, receive, sent)
            log("failed", logging.ERROR, request=name, **place_of(error))
        finally:
            self.meters.open.dec()
            told, route = scope["state"]["told"], scope.get("route")
            path = getattr(route, "path", OTHER)
            status = HUNG_UP if told.pop("hung_up", False) else status
            seconds = time.monotonic() - began
            self.meters.requests.labels(path, str(status)).inc()
            self.meters.seconds.labels(path).observe(seconds)
            log("request", request=name, method=scope["method"], route=path, status=status,
                seconds=round(seconds, 4), **told)  # fmt: skip


class KnownHost:
    """Refuses other names than this machine's where the server is for this machine alone.

    Otherwise a web page that a user visits could reach it, by a name that leads to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.settings.local:
            host = header(scope, b"host")
            name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
            if name.strip("[]").lower() not in (*LOOPBACK, self.settings.host):
                said = "this server answers to localhost only: ask for http://127.0.0.1"
                await RefusalError(403, said, "permission_error").response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Bearer:
    """Asks for the token, if there is one."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = self.settings.token
        if scope["type"] == "http" and token is not None and scope["path"] not in OPEN:
            kind, _, given = header(scope, b"authorization").partition(" ")
            # Compared in a time that does not tell how much of it is right.
            right = hmac.compare_digest(given.strip().encode(), token.encode())
            if kind.lower() != "bearer" or not right:
                said = "this server needs a token: send the header Authorization: Bearer TOKEN"
                wanted = {"WWW-Authenticate": "Bearer"}
                refusal = RefusalError(401, said, "authentication_error", headers=wanted)
                await refusal.response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


class JsonBody:
    """Reads the body of a request whole, within limits, and sees that it is JSON.

    What is no ``application/json`` is refused: a browser sends that to another site only after
    asking it, and is not allowed to here.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except RefusalError as refusal:
            await refusal.response()(scope, receive, send)
            return
        if body is None:
            scope["state"]["told"]["hung_up"] = True
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body; None if the client hung up before its end."""
        kind = header(scope, b"content-type").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(
                415, "the body must be JSON: send the header Content-Type: application/json"
            )
        most, parts, size = self.settings.body_bytes, [], 0
        length = header(scope, b"content-length")
        too_large = RefusalError(413, f"the body has more than {most:,} bytes: send less at a time")
        if length.isdecimal() and int(length) > most:
            raise too_large
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                more = True
                while more:
                    message: Any = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    if size > most:
                        raise too_large
                    parts.append(part)
        except TimeoutError:
            said = f"the body did not come within {self.settings.body_seconds:g} seconds"
            raise RefusalError(408, said, headers={"Connection": "close"}) from None
        body = b"".join(parts)
        try:
            found = json_of(body)
        except ValueError as error:
            raise RefusalError(400, f"the body is {error}") from None
        if not isinstance(found, dict):
            raise RefusalError(400, "the body must be a JSON object, {…}")
        return body


def header(scope: Scope, name: bytes) -> str:
    """A header of a request; empty if there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
