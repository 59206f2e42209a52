"""The law of a model under an ending rule, by enumeration and on the shipped model."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.lm.endings.checks import check_definition, check_mass
from tests.lm.endings.toy import TEXTS, sentence_toy


def ends_by_text(world: str) -> Callable[[tuple[int, ...], int], bool]:
    """The rule of a world over plain strings, written without the code that is tested."""
    texts = ("", *TEXTS[world])

    def ends(row: tuple[int, ...], token: int) -> bool:
        text = "".join(texts[t] for t in row)
        if world == "english":
            return bool(re.search(r"\.\"?$", text)) and texts[token] == " He"
        if world == "split":
            after = bool(re.search(r"\.$", text)) and texts[token] == " He"
            return after or (bool(re.search(r"\.\n$", text)) and texts[token] != "he")
        if world == "numbers":
            number = bool(re.search(r" No\.$", text))
            opens = texts[token] in (" No", " He") or (texts[token] == " 5" and not number)
            return text.endswith(".") and opens
        run = re.search("(我?)([。…”]*)$", text)
        stands = run and run[2].rstrip("”") and ("。" in run[2] or run[1])
        return bool(stands) and texts[token] == "我"

    return ends


@pytest.mark.parametrize("world", TEXTS)
def test_ended_and_open_mass_are_one(world: str) -> None:
    check_mass(sentence_toy(world))


@pytest.mark.parametrize("world", TEXTS)
def test_the_law_is_that_of_the_definition(world: str) -> None:
    check_definition(sentence_toy(world), ends_by_text(world))
