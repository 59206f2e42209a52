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
from ergotext.support.arrays import Ints

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
    """What ``lm.protocols.Automaton`` promises, of every state within so many tokens."""
    states = np.append(automaton.start(2), -1)
    ended = np.empty(0, dtype=np.int64)
    for _ in range(most + 1):
        row, token, behind = automaton.candidates(states)
        assert row.dtype == token.dtype == behind.dtype == np.int64
        assert np.array_equal(np.lexsort((token, row)), np.arange(len(row)))
        assert len(set(zip(row.tolist(), token.tolist(), strict=True))) == len(row)
        assert ((token >= 0) & (token < size) & (behind >= 0) | (states[row] < 0)).all()
        padded = token == pad  # which is for sinks alone
        assert np.array_equal(behind[padded], states[row[padded]])
        ways = np.full((len(states), size), -1)
        ways[row, token] = behind
        every = np.tile(np.arange(size), len(states))
        after = automaton.advance(np.repeat(states, size), every)
        assert np.array_equal(after.reshape(-1, size), ways)
        ending = token == automaton.end
        ended = np.union1d(ended, behind[ending])
        accepts = np.isin(np.arange(len(states)), row[ending]) | np.isin(states, ended)
        assert np.array_equal(automaton.accepting(states), accepts)
        assert automaton.accepting(ended).all()
        for sink in (*ended.tolist(), -1):
            ways_on = automaton.candidates(np.array([sink]))
            assert [way.tolist() for way in ways_on] == [[0], [pad], [sink]]
            assert not automaton.lone(np.array([sink])).any()
        check_rest(automaton, states)
        one_by_one = [automaton.candidates(states[i : i + 1])[2] for i in range(len(states))]
        assert np.array_equal(np.concatenate(one_by_one), behind)
        states = np.append(np.unique(behind[behind > 0])[:40], -1)


def check_rest(automaton: Automaton, states: Ints) -> None:
    """Where a state is lone, no more than its rest goes on from it."""
    lone = automaton.lone(states)
    ids, offsets = automaton.rest(states)
    assert np.array_equal(np.diff(offsets) > 0, lone)
    for i in np.flatnonzero(lone):
        state = states[i : i + 1]
        for token in ids[offsets[i] : offsets[i + 1]].tolist():
            _, only, behind = automaton.candidates(state)
            assert only.tolist() == [token]
            state = behind
        assert ids[offsets[i + 1] - 1] == automaton.end


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
