"""A model after a request and examples of it."""

from __future__ import annotations

import pytest

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.tasks.prompting import prompted
from tests.tasks.prompts import read_before


def test_examples_go_where_the_window_is_short(placed_lm: CausalLM) -> None:
    encode = placed_lm.vocabulary.encode
    for expected in ("A: b\n\nC: d\n\nE:", "C: d\n\nE:", "E:"):
        room = placed_lm.max_positions - 1 - len(encode(expected))
        for spare, fits in ((room, True), (room + 1, False)):
            scorer = prompted(["A: b", "C: d"], "E:", placed_lm, spare)
            assert (read_before(scorer) == expected) == (fits or expected == "E:")
    beyond = placed_lm.max_positions - len(encode("E:"))
    with pytest.raises(InputError, match="token positions"):
        prompted(["A: b"], "E:" * 90, placed_lm, 1)
    assert read_before(prompted(["A: b"], "E:", placed_lm, beyond, "")) == ""
    # One that has a context already loses it.
    assert read_before(prompted([], "E:", placed_lm.given("x" * 9), 1)) == "E:"
