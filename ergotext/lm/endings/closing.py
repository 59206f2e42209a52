"""Rules that end a text before the first of some tokens, or after so many tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.pieces import Pieces, written_by
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.reprs import safe
from ergotext.support.words import LINE_BREAKS, counted


class ClosingTokens:
    """The end of a text wherever one of some tokens would follow.

    Parameters
    ----------
    tokens : sequence of int
    size : int
        Tokens of the model.
    end_id : int
        The model's own end token, which ends a text anyway.
    """

    def __init__(self, tokens: Sequence[int], size: int, end_id: int) -> None:
        self.absorbed = torch.zeros(2, size, dtype=torch.bool)
        self.absorbed[1, list(tokens)] = True
        self.absorbed[1, end_id] = False

    @safe
    def __repr__(self) -> str:
        return counted(int(self.absorbed[1].sum()), "token")

    def kinds(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L + 1]: 1 after every prefix of each row; 0 beyond its end."""
        checked(batch, self.absorbed.shape[1])
        return (torch.arange(batch.width + 1) <= batch.length[:, None]).long()

    def spare(self, batch: TokenBatch) -> Tensor:
        """bool [B]: never."""
        return torch.zeros(len(batch), dtype=torch.bool)


class Cut:
    """The end of a text after so many tokens, whatever would follow.

    Parameters
    ----------
    count : int
        Tokens after which a text is cut.
    size : int
        Tokens of the model.
    end_id : int
        The model's own end token, which ends a text before that.

    Raises
    ------
    InputError
        ``count`` is below one.
    """

    def __init__(self, count: int, size: int, end_id: int) -> None:
        if count < 1:
            raise InputError(f"end must be 1 token or more, got {count}")
        self.count = count
        self.absorbed = torch.ones(2, size, dtype=torch.bool)
        self.absorbed[0] = False
        self.absorbed[1, end_id] = False

    def kinds(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L + 1]: 1 after ``count`` tokens of each row, 0 elsewhere."""
        checked(batch, self.absorbed.shape[1])
        place = torch.arange(batch.width + 1)
        return ((place == self.count) & (place <= batch.length[:, None])).long()

    def spare(self, batch: TokenBatch) -> Tensor:
        """bool [B]: never."""
        return torch.zeros(len(batch), dtype=torch.bool)


def closing_tokens(tokens: Sequence[int | str], vocabulary: Vocabulary, end_id: int) -> list[int]:
    """Token ids of a list of ids and texts; of a text every token that writes exactly it.

    Raises
    ------
    InputError
        The list is empty, or one of its members is no token of the model.
    """
    if not tokens:
        raise InputError('end= is an empty list: name a token, or use "token" or "sentence"')
    found: set[int] = set()
    for token in tokens:
        found |= _written(token, vocabulary, end_id) if isinstance(token, str) else {token}
    for token in found:
        if isinstance(token, bool) or not isinstance(token, int):
            raise InputError(f"end= takes token ids and texts, got {token!r:.60}")
        if not 0 <= token < vocabulary.size:
            raise InputError(
                f"end= has token {token}, but the model's tokens are 0 to {vocabulary.size - 1}"
            )
    return sorted(found)


def beginning_lines(pieces: Pieces) -> list[int]:
    """The tokens that begin with a line break."""
    breaks = tuple(char.encode() for char in LINE_BREAKS)
    return [t for t in pieces.text.tolist() if pieces.tokens[t].startswith(breaks)]


def line_breaks(vocabulary: Vocabulary, end_id: int) -> list[int]:
    """The tokens of a model that begin with a line break, and its end token.

    Raises
    ------
    InputError
        What the tokens write cannot be found out.
    """
    return [*beginning_lines(written_by(vocabulary, end_id)), end_id]


def _written(text: str, vocabulary: Vocabulary, end_id: int) -> set[int]:
    pieces = Pieces.of(vocabulary.tokenizer, size=vocabulary.size, end=end_id)
    whole = text.encode()
    exact = {token for token in pieces.at(whole, 0) if pieces.tokens[token] == whole}
    ids = vocabulary.encode(text)
    if not exact and len(ids) != 1:
        raise InputError(
            f"no single token of this model writes {text!r:.60}, so it cannot end a text: name one "
            "that does"
        )
    return exact or set(ids)
