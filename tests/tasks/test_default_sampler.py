"""The sampler of a run that names none."""

from __future__ import annotations

from typing import Any

import pytest

from ergotext.tasks.default_sampler import with_sampler


@pytest.mark.parametrize(
    ("energy", "sampler", "proposal"),
    [
        ({"fluency": 1.0}, "mh", None),
        ({"json_schema": '{"type": "integer"}'}, "smc", "twisted"),
        ({"regex": r" [A-Z][a-z ]+\."}, "smc", "twisted"),
        ({"regex": r" [A-Z][a-z ]{1,30}\."}, "smc", "twisted"),
        ({"regex": r" [A-Z][a-z ]{1,27}\."}, "smc", None),
        ({"regex": r" [a-z ]{1,9}\.", "keywords": ["sun"]}, "smc", "twisted"),
        ({"keywords": ["sun"]}, "smc", None),
    ],
)
def test_what_follows_the_constraint(
    energy: dict[str, Any], sampler: str, proposal: str | None
) -> None:
    told, why = with_sampler({"max_length": 30, "energy": energy, "options": {"threshold": 0.7}})
    assert told["sampler"] == sampler and told["options"].get("proposal") == proposal
    assert told["options"]["threshold"] == 0.7
    assert ("learns first" in " ".join(why)) == (proposal == "twisted")
    asked = {"max_length": 30, "energy": energy, "options": {"proposal": "finishing"}}
    told, why = with_sampler(asked)
    assert told["options"]["proposal"] == "finishing" and "learns" not in " ".join(why)
