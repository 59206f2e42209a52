"""JSON texts read byte by byte by the automaton of a schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ergotext.lm.automata import Pieces
from ergotext.lm.automata.grammars import json_schema
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet

BYTES = Pieces(Alphabet(258, 257, 256), [bytes([byte]) for byte in range(256)])


def accepts(automaton: Automaton, text: str) -> bool:
    """Whether an automaton over bytes takes a text."""
    state = automaton.start(1)
    for byte in text.encode():
        state = automaton.advance(state, np.array([byte]))
    return bool(state[0] >= 0 and automaton.accepting(state)[0])


def taker(schema: Any, **how: bool) -> Callable[[str], bool]:
    """What tells the texts that a schema takes."""
    automaton = json_schema(schema, BYTES, **how)
    return lambda text: accepts(automaton, text)


def takes(schema: Any, *values: Any) -> list[bool]:
    """Whether a schema takes each value, written without white space."""
    take = taker(schema)
    return [take(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) for value in values]
