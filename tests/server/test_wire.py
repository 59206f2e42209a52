"""Bytes on the wire that no client library would send: what is answered, and that it is read."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.paths import ROOT
from tests.server.running import Running

sys.path.append(str(ROOT / "benchmarks"))
import serve_load

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
JSON = b"POST /v1/retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def told(here: Running, *sent: bytes) -> tuple[list[int], bytes]:
    """The status of each answer on one connection, and what follows until it is closed."""
    port = int(here.address.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(60):
            found = []
            for one in sent:
                writer.write(one)
                found.append(await serve_load.answer(reader))
            return found, await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "wrong",
    [
        b"nonsense\r\n\r\n",
        b"\xff\xfe\x00\r\n\r\n",
        bytes.fromhex("16030100a5010000a10303"),  # a client that speaks TLS
        b"GET /\xe4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        JSON + b"Content-Length: -3\r\n\r\n{}",
        JSON + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    ],
)
def test_what_is_no_http_has_the_status_400(here: Running, wrong: bytes) -> None:
    """Whether these are the first bytes of a connection, where h11 sends no chunks, or not."""
    assert asyncio.run(told(here, wrong)) == ([400], b"")
    assert asyncio.run(told(here, HEALTH, wrong)) == ([200, 400], b"")
    assert here.get("/health").status_code == 200
