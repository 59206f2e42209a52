"""Logs as JSON, one object a line, without the texts of users."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

LOG = logging.getLogger("ergotext.server")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"time": moment, "level": record.levelname.lower()}
        told["event"] = record.getMessage()
        told |= getattr(record, "told", {})
        if record.exc_info and record.exc_info[1] is not None:  # of uvicorn, if at all
            told |= place_of(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False, default=str)


def set_up() -> None:
    """Send what this server and uvicorn say to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, level in (("ergotext.server", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(level)


def log(event: str, level: int = logging.INFO, **told: object) -> None:
    """A line on something that happened."""
    LOG.log(level, event, extra={"told": told})


def place_of(error: BaseException) -> dict[str, Any]:
    """Kind and place of an error. Its message is left out: it may quote what a user wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{one.filename.rsplit('/site-packages/')[-1]}:{one.lineno}" for one in frames]
    return {"error": type(error).__name__, "at": places[-12:]}
