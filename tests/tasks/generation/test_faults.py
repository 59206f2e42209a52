"""Faults put into structured output one at a time: each must be caught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from ergotext.lm.causal import CausalLM
from ergotext.tasks.generation import generate, run
from tests.faulty import load_with_fault
from tests.tasks.generation.test_generate import check_choices, check_fields, lm

__all__ = ["lm"]

CHOICES: dict[str, tuple[str, str, str]] = {
    "16: a text counts in one of its spellings only": (
        "run", "text: total(each.values())", "text: max(each.values())"
    ),
    "only the end token ends a text": (
        "run", "ClosedBy(decoding, beginning_lines(self.pieces)) if", "decoding if True or"
    ),
    "the space of the prompt is read, not written": (
        "prompts", 'prompt.rstrip(" ") if spaces', "prompt if spaces"
    ),
    "what is missing is left out of the least": (
        "alternatives", "math.exp(min(0.0, log_prob - high))", "math.exp(min(0.0, log_prob - low))"
    ),
    "what is missing is left out of the most": (
        "alternatives", "most = total([log_prob, more])", "most = log_prob"
    ),
    "choices that were not found are not told": (
        "run", 'if self.what.kind == "choices":', "if False:"
    ),
}  # fmt: skip
FIELDS: dict[str, tuple[str, str, str]] = {
    "the tokens before a field are off by one": (
        "alternatives", "            return count\n", "            return count + 1\n"
    ),
    "what follows a value does not count": (
        "alternatives", "before + one.encode() + after", "before + one.encode()"
    ),
    "what precedes a value is forgotten": (
        "alternatives", "before + one.encode() + after", "one.encode() + after"
    ),
    "a value's end is scored as the end of a text": ("alternatives", "ended=False", "ended=True"),
    "what a field can be is cut": (
        "fields", 'values = schema["enum"]', 'values = schema["enum"][:2]'
    ),
    "the constraint is not followed to the field": (
        "alternatives", "for token in tokens[:read]:", "for token in tokens[:0]:"
    ),
}  # fmt: skip


def faulty_generate(fault: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``generate`` with a piece of one of its modules replaced."""
    name, old, new = fault
    module = load_with_fault(f"tasks.generation.{name}", (old, new))
    for user in (generate, run, sys.modules["ergotext.tasks.generation.alternatives"]):
        for key, value in vars(user).copy().items():
            if getattr(value, "__module__", None) == f"ergotext.tasks.generation.{name}":
                monkeypatch.setattr(user, key, getattr(module, key))
    return generate


@pytest.mark.parametrize("fault", CHOICES)
def test_the_check_of_choices_sees(
    fault: str, lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sees(check_choices, CHOICES[fault], lm, monkeypatch)


@pytest.mark.parametrize("fault", FIELDS)
def test_the_check_of_fields_sees(fault: str, lm: CausalLM, monkeypatch) -> None:
    _sees(check_fields, FIELDS[fault], lm, monkeypatch)


def _sees(
    check: Callable[[CausalLM, ModuleType], None],
    fault: tuple[str, str, str],
    lm: CausalLM,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = faulty_generate(fault, monkeypatch)
    with pytest.raises(AssertionError):
        check(lm, module)
