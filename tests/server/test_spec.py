"""Requests made up from the OpenAPI description: each is answered, or refused in a line.

``ERGOTEXT_FUZZ=5000`` tries so many in all, others each time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from ergotext.server.models import ServedModels
from ergotext.server.settings import ServerSettings
from tests.server.running import Running, running

MANY = int(os.environ.get("ERGOTEXT_FUZZ", "0"))
ROUTES = [
    ("GET", "/health"), ("GET", "/metrics"), ("GET", "/v1/models"), ("POST", "/v1/retrieve"),
    ("POST", "/v1/generate"), ("POST", "/v1/sample"), ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
]  # fmt: skip
WAYS = [
    (route, mode) for route in ROUTES for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or route[0] == "POST"  # a GET has nothing to get wrong
]  # fmt: skip
SEEN: Counter[tuple[str, int]] = Counter()
load_all_checks()


@pytest.fixture(scope="module")
def quick(models: ServedModels) -> Iterator[Running]:
    """A server with little patience: what asks for much is refused soon."""
    with running(models, ServerSettings(seconds=0.3)) as found:
        yield found
    print("answers:", dict(SEEN))


@pytest.fixture(scope="module")
def described(quick: Running) -> schemathesis.BaseSchema:
    found = schemathesis.openapi.from_url(f"{quick.address}/openapi.json")
    every = {one.ok().label for one in found.get_all_operations()}
    assert every == {" ".join(route) for route in ROUTES}
    return found


@pytest.mark.parametrize(("route", "mode"), WAYS, ids=[f"{r[1]}-{m.value}" for r, m in WAYS])
@given(data=st.data())
@settings(
    max_examples=MANY // len(WAYS) or 25, derandomize=not MANY, deadline=None,
    database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
def test_every_request_is_answered_or_refused_in_a_line(
    described: schemathesis.BaseSchema, route: tuple[str, str], mode: GenerationMode, data
) -> None:
    """No 5xx, no status, type or body that the description does not have.

    What the description allows may still be refused: not every text is a regular expression.
    """
    method, path = route
    case = data.draw(described[path][method].as_strategy(generation_mode=mode))
    reply = case.call(timeout=120)
    # Of what is too large schemathesis does not know that 413 refuses it.
    fine = [positive_data_acceptance, *[negative_data_rejection] * (reply.status_code == 413)]
    case.validate_response(reply, excluded_checks=fine)
    SEEN[path, reply.status_code] += 1
    assert reply.status_code < 500
    if reply.status_code >= 400:
        message = json.loads(reply.content)["error"]["message"]
        assert message and "\n" not in message and "Traceback" not in message
