"""Small vocabularies and passages whose languages can be listed, and what any automaton must do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.automata import Pieces
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.testing import check_automaton

PAD, END = 0, 4
Row = tuple[int, ...]

LATIN = Pieces(
    Alphabet(10, PAD, END), [b"", b"a", b"b", b"", b"", b"ab", b"ba", b" a", b"a ", b"a"]
)
"""Token 3 writes nothing, 1 and 9 the same; ids stand below and above that of the end token."""

SEA = Pieces(
    Alphabet(11, PAD, END),
    [b"", b"\xe6", b"\xb5\xb7", b"\xe6\xb5", b"", b"\xb7", "海".encode(), b"a", b" ",
     b"\xb7a\xe6", "\u0301".encode()],
)  # fmt: skip
"""Characters in pieces: 海 is 6, 1 2, 3 5, and inside 9; no token ends what 1 leaves but 2."""


LINE = Pieces(
    Alphabet(11, PAD, END),
    [b"", b"a", b"b", b" ", b"", b"-", b"a-", b"\xe6\xb5", b"\xb7", b" a b", b"a "],
)
"""With a hyphen, inside words and at their ends, and a character in pieces that is a word."""
LINES = Pieces(LINE.alphabet, [b"", b"a", b"b\n", b"\r", b"", b"\xe2\x80\xa8", b" b"])
"""With line breaks."""


def rows(tokens: Iterable[int], most: int) -> list[Row]:
    """Every sequence of these tokens, up to a length."""
    every = sorted(tokens)
    return [row for n in range(most + 1) for row in itertools.product(every, repeat=n)]


def text(pieces: Pieces, row: Sequence[int]) -> str | None:
    """What a sequence writes; None where that is no text."""
    try:
        return pieces.joined(row).decode()
    except UnicodeDecodeError:
        return None


def language(automaton: Automaton, most: int) -> set[Row]:
    """The sequences of up to so many tokens that lead to the end, found by following candidates."""
    found: set[Row] = set()
    written: list[Row] = [()]
    states = automaton.start(1)
    for _ in range(most + 1):
        row, token, states = automaton.candidates(states)
        ends = token == automaton.end
        found |= {written[i] for i in row[ends].tolist()}
        written = [
            (*written[i], t)
            for i, t in zip(row[~ends].tolist(), token[~ends].tolist(), strict=True)
        ]
        states = states[~ends]
    return found


def check_protocol(automaton: Automaton, pad: int, size: int, most: int = 3) -> None:
    """``ergotext.testing.check_automaton``, and that it pads with the vocabulary's padding."""
    assert automaton.candidates(np.array([-1]))[1].tolist() == [pad]
    check_automaton(automaton, size, most=most)


def listed(pieces: Pieces, most: int, holds: Callable[[str], bool]) -> set[Row]:
    """The sequences up to a length whose text has a property."""
    return {
        row
        for row in rows(pieces.text.tolist(), most)
        if (written := text(pieces, row)) is not None and holds(written)
    }


@dataclass(frozen=True)
class TableDecoding:
    """log p(token | the one before it), for a search; a row begins behind its input's token."""

    table: Tensor
    last: Tensor

    @classmethod
    def of(cls, size: int, inputs: Sequence[int], seed: int = 0) -> TableDecoding:
        generator = torch.Generator().manual_seed(seed)
        logits = 1.5 * torch.randn(size, size, generator=generator, dtype=torch.float64)
        return cls(logits.log_softmax(-1), torch.tensor(inputs))

    @property
    def end(self) -> int:
        return END

    @property
    def size(self) -> int:
        return len(self.table)

    @property
    def room(self) -> Tensor:
        return torch.full(self.last.shape, 1000)

    def __len__(self) -> int:
        return len(self.last)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        return self.table[self.last[rows], tokens]

    def log_z(self) -> Tensor:
        return torch.zeros(len(self), dtype=torch.float64)

    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        before = ids.roll(1)
        before[offsets[:-1]] = self.last[rows]
        return self.table[before, ids]

    def advance(self, rows: Tensor, tokens: Tensor) -> TableDecoding:
        return TableDecoding(self.table, tokens)

    def log_prob(self, row: int, tokens: Row, end: int) -> float:
        way = [int(self.last[row]), *tokens, end]
        return float(self.table[way[:-1], way[1:]].sum())
