"""Tokens read as characters: shared by all automata of a tokenizer, and the same for each."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from ergotext.lm.automata import Pieces, utf8
from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.word_chains import Demanded, OneLine, WordCount
from ergotext.lm.tokenizers.characters import Alphabet
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import LINE, LINES, SEA

WORLDS = {"hyphens": LINE, "line breaks": LINES, "characters in parts": SEA}


def check(module: ModuleType = utf8) -> None:
    """Each token leads where its characters do, one after the other, whatever was asked before."""
    chains: list[Chain] = [
        WordCount(1, 2), OneLine(), WordCount(2, 5), Demanded([("a",)]), Demanded([("b",)]),
        WordCount(1, 2),
    ]  # fmt: skip
    for pieces in WORLDS.values():
        for _ in range(2):  # from what is kept, too
            automaton = module.Utf8(pieces)
            assert automaton.after(0)[0] is module.Utf8(pieces).after(0)[0]
            read, left = automaton.after(0)
            for chain in chains:
                through = read.through(chain)
                for n, token in enumerate(read.tokens.tolist()):
                    whole = pieces.tokens[token].removesuffix(automaton.beginnings[left[n]])
                    for position in range(len(chain.step)):
                        at = position
                        for point in map(ord, whole.decode()):
                            at = chain.step[at, chain.symbols(np.array([point]))[0]]
                        assert through[position, n] == at, (chain, token, position)


def kept(module: ModuleType = utf8) -> None:
    """Of chains without letters only, and of the last few."""
    read, _ = module.Utf8(LINE).after(0)
    word = Demanded([("a",)])
    assert read.through(word) is not read.through(word)
    first = read.through(WordCount(3, 4))
    assert read.through(WordCount(3, 4)) is first and not first.flags.writeable
    for most in range(5, 5 + utf8.TABLES - 1):
        read.through(WordCount(1, most))
    assert read.through(WordCount(3, 4)) is first
    read.through(WordCount(2, 3))
    assert read.through(WordCount(3, 4)) is first, "used again, so another one goes"
    for most in range(20, 20 + utf8.TABLES):
        read.through(WordCount(1, most))
    assert read.through(WordCount(3, 4)) is not first


def test_tokens_lead_where_their_characters_do() -> None:
    check()


def test_what_is_kept() -> None:
    kept()


def test_numbers_of_beginnings_are_an_automatons_own() -> None:
    one, other = utf8.Utf8(SEA), utf8.Utf8(SEA)
    late = other.number_of(b"\xf0")
    assert one.after(0)[1].tolist() != other.after(0)[1].tolist() and late == 1
    for each in (one, other):
        read, left = each.after(0)
        assert [each.beginnings[n] for n in left] == [read.ends[k] for k in read.end]


def test_a_tokenizer_without_text() -> None:
    read, left = utf8.Utf8(Pieces(Alphabet(3, 0, 1), [b"", b""])).after(0)
    assert not len(read.tokens) and not len(left) and read.through(OneLine()).shape[1] == 0


FAULTS: dict[str, tuple[Callable[[ModuleType], None], tuple[str, str]]] = {
    "one table for all chains without letters": (
        check, ("key = chain.step.tobytes()", 'key = b""')
    ),
    "chains with letters are kept by their steps": (check, ("if chain.letters:", "if False:")),
    "all tables are kept": (kept, ("while len(self._led) > TABLES:", "while False:")),
    "the oldest stays": (kept, ("led = self._led.pop(key, None)", "led = self._led.get(key)")),
    "tables can be written to": (kept, ("setflags(write=False)", "setflags(write=True)")),
    "tokens are read for each automaton": (
        check, ("@lru_cache(maxsize=TOKENIZERS)\n", "")
    ),
    "what tokens leave is mixed up": (
        check, ("return read, left[read.end]", "return read, left[read.end * 0]")
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str) -> None:
    seen_by, change = FAULTS[fault]
    with pytest.raises((AssertionError, ValueError, IndexError)):
        seen_by(load_with_fault("lm.automata.utf8", change))
