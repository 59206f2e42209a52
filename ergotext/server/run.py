"""Open a port, serve until a signal comes, and finish what was taken."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from ergotext.errors import ErgotextError, InputError
from ergotext.server.app import application
from ergotext.server.logs import log, set_up
from ergotext.server.models import ServedModels
from ergotext.server.service import Service
from ergotext.server.settings import ServerSettings

KEEP_ALIVE = 30
"""Seconds for which a connection without requests stays open."""
CONNECTIONS = 512
"""Open at once; a request of one more gets 503."""


def opened(host: str, port: int) -> socket.socket:
    """A socket that holds the port, before models are loaded; nobody is answered yet.

    Raises
    ------
    InputError
        The host is no address of this machine, or the port is no number that may be used.
    ErgotextError
        The port is taken, or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"no address {host!r:.80} on this machine ({error}); use 127.0.0.1, or "
                         "0.0.0.0 for all") from error  # fmt: skip
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            said = f"port {port} of {host} is taken; give another one with --port, or 0 for any"
            raise ErgotextError(said) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"{host} is no address of this machine; use 127.0.0.1") from error
        reason = error.strerror or error
        raise ErgotextError(f"port {port} of {host} cannot be used ({reason})") from error
    return found


def address_of(listening: socket.socket) -> str:
    """What to type into a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn, telling when it is ready; a first signal ends it in order, a second one at once."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        self.force_exit = self.should_exit
        self.should_exit = True
        if self.force_exit:  # from Python 3.12 on, asyncio would wait for open connections
            for connection in list(self.server_state.connections):
                connection.transport.abort()


def configured(service: Service) -> uvicorn.Config:
    """How uvicorn runs a service."""
    return uvicorn.Config(
        application(service),
        log_config=None,
        access_log=False,
        # The worker is started and ended outside.
        lifespan="off",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        limit_concurrency=CONNECTIONS,
        backlog=CONNECTIONS,
        # Not another parser, with other limits, where one happens to be installed.
        http="h11",
        ws="none",
    )


def serve(
    models: ServedModels,
    settings: ServerSettings,
    listening: socket.socket,
    ready: Callable[[], None],
) -> None:
    """Answer until SIGINT or SIGTERM; then no more is taken, and what was taken is finished.

    Raises
    ------
    ErgotextError
        A second signal ended it before that.
    """
    set_up()
    service = Service(models, settings)
    server = Server(configured(service), ready)
    service.worker.start()
    server.run(sockets=[listening])
    service.close(finish=not server.force_exit)
    log("stopped", finished=not server.force_exit)
    if server.force_exit:
        raise ErgotextError("ended at once by a second signal; requests were left unfinished")
