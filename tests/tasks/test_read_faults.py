"""Faults put into the reading of passages one at a time: each must be caught."""

from __future__ import annotations

import sys

import pytest

from ergotext.lm.causal import CausalLM
from ergotext.tasks import read
from tests.faulty import load_with_fault
from tests.tasks.test_read import PROMPT, check_causal

FAULTS: dict[str, tuple[str, str, str]] = {
    "16: an answer counts in one of its tokenisations only": (
        "read", "np.logaddexp.reduce(each))", "max(each))"
    ),
    "23: scores are divided by the length": (
        "read", "append(one.log_prob)", "append(one.log_prob / len(one.tokens))"
    ),
    "an answer has one place": ("read", "while at >= 0:", "if at >= 0:"),
    "no span crosses a line": (
        "read", "str.maketrans(BREAKS, \" \" * len(BREAKS))", "str.maketrans(\"\", \"\")"
    ),
    "only the end token ends an answer": (
        "passages", "ClosedBy(decoding, self.closing)", "ClosedBy(decoding, [])"
    ),
    "the space at the end of a prompt is read, not written": (
        "passages", "text.rstrip(\" \")", "text"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(
    fault: str, placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, old, new = FAULTS[fault]
    module = load_with_fault(f"tasks.{name}", (old, new))
    if name == "passages":
        monkeypatch.setattr(read, "passage_reader", module.passage_reader)
        module = sys.modules["ergotext.tasks.read"]
    reader = module.SpanReader(placed_lm, prompt=PROMPT)
    with pytest.raises(AssertionError):
        check_causal(placed_lm, reader)
