"""A running server's parts, which every route uses."""

from __future__ import annotations

import logging

from fastapi import Request

from ergotext.server.logs import log, place_of
from ergotext.server.metrics import Meters
from ergotext.server.models import ServedModels
from ergotext.server.settings import ServerSettings
from ergotext.server.worker import ModelWorker
from ergotext.server.writing import WIDEST


class Service:
    """Models, the worker that runs them, and counters.

    Parameters
    ----------
    models : ServedModels
    settings : ServerSettings
    """

    def __init__(self, models: ServedModels, settings: ServerSettings) -> None:
        self.models, self.settings, self.meters = models, settings, Meters()
        self.worker = ModelWorker(
            settings.waiting, settings.seconds, WIDEST, self.meters, self._failed
        )
        self._lift = models.guard(self.worker.check)

    def close(self, finish: bool = True) -> None:
        """End the worker when it has finished what it took, or as soon as it can."""
        self.worker.close(finish)
        self._lift()

    def _failed(self, error: BaseException) -> None:
        self.models.forget()
        log("failed", logging.ERROR, **place_of(error))


def service_of(request: Request) -> Service:
    """That which a request came to."""
    found: Service = request.app.state.service
    return found
