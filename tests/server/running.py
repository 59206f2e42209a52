"""A real server on a free port, in a thread, for as long as a block runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from ergotext.server.models import ServedModels
from ergotext.server.run import Server, address_of, configured, opened
from ergotext.server.service import Service
from ergotext.server.settings import ServerSettings


@dataclass
class Running:
    """A server that runs."""

    address: str
    service: Service
    server: Server

    def post(self, path: str, body: object, **more) -> httpx.Response:
        return httpx.post(f"{self.address}{path}", json=body, timeout=60, **more)

    def get(self, path: str, **more) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", timeout=60, **more)

    def metric(self, name: str, **labels: str) -> float:
        return self.service.meters.registry.get_sample_value(f"ergotext_{name}", labels) or 0.0


@contextmanager
def running(models: ServedModels, settings: ServerSettings | None = None) -> Iterator[Running]:
    """The server; when the block ends it finishes what it took, and so must end by itself."""
    settings = settings or ServerSettings()
    service, ready = Service(models, settings), threading.Event()
    listening = opened(settings.host, 0)
    server = Server(configured(service), ready.set)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    service.worker.start()
    thread.start()
    assert ready.wait(60)
    try:
        yield Running(address_of(listening), service, server)
    finally:
        server.should_exit = True
        thread.join(60)
        service.close()
        listening.close()
        assert not thread.is_alive()
