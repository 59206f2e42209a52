"""Show which tokens can never be the argmax: as JSON, for a terminal, and as a page."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from ergotext.tasks.diagnose.argmax.decided import Decided, Outcome

SHOWN = 20
"""Tokens of each kind on a terminal."""
LISTED = 1000
"""Tokens of each kind on a page."""


@dataclass(frozen=True)
class Token:
    """A token that is not known to be argmaxable.

    Parameters
    ----------
    id : int
    text : str
    rank : int
        1 for the most frequent one, as far as the tokenizer tells.
    in_texts : bool
        Whether it may stand in a text; special, reserved and padding tokens may not.
    same_row_as : int, optional
        The first other token with the same row.
    radius : float, optional
        What is proven: no ball of hidden states larger than this makes it the argmax.
    """

    id: int
    text: str
    rank: int
    in_texts: bool
    same_row_as: int | None = None
    radius: float | None = None


@dataclass(frozen=True)
class ArgmaxReport:
    """Which tokens of a model can be the argmax.

    Parameters
    ----------
    tokens, width : int
        The shape of the output matrix.
    has_bias : bool
    argmaxable : int
        Number of tokens that are proven to be the argmax of some hidden state.
    never : list of Token
        Proven to be the argmax of none.
    tied : list of Token
        With the same row as another: never the only argmax.
    undecided : list of Token
        Not decided within the time limit, or on the edge of what can be proven.
    ranked_by : str
        ``id`` (tokenizers number tokens from the most frequent on, BPE by its merges) or
        ``unigram`` (the tokenizer's own log-probabilities).
    minutes : float
        The time limit.
    seconds : float
        The time that was used.
    """

    tokens: int
    width: int
    has_bias: bool
    argmaxable: int
    never: list[Token]
    tied: list[Token]
    undecided: list[Token]
    ranked_by: str
    minutes: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def text(self) -> str:
        """A few lines for a terminal."""
        lines = [
            f"{self._shape()}: {self.argmaxable} tokens can be the argmax, {len(self.never)} "
            f"never, {len(self.tied)} only in a tie, {len(self.undecided)} undecided "
            f"({self.seconds:.0f} s)"
        ]
        for name, tokens in self._kinds().items():
            lines += [f"{name}:"] if tokens else []
            lines += [f"  {_line(one)}" for one in tokens[:SHOWN]]
            lines += [f"  … and {len(tokens) - SHOWN} more (--json)"] * (len(tokens) > SHOWN)
        if self.undecided:
            lines.append(self._advice())
        return "\n".join(lines)

    def markdown(self) -> str:
        """A section of a page."""
        parts = [
            "## Tokens that can never be the argmax",
            f"{self._shape()}, examined for {self.seconds:.0f} s (limit {self.minutes:g} min).",
            "| outcome | tokens |\n| --- | --- |\n"
            f"| can be the argmax (proven) | {self.argmaxable} |\n"
            f"| never the argmax (proven) | {len(self.never)} |\n"
            f"| same row as another token | {len(self.tied)} |\n"
            f"| undecided | {len(self.undecided)} |",
        ]
        for name, tokens in self._kinds().items():
            if tokens:
                rows = [_row(one) for one in tokens[:LISTED]]
                head = "| id | text | rank | in texts | proof |\n| --- | --- | --- | --- | --- |"
                parts += [f"### {name}", "\n".join([head, *rows])]
                if len(tokens) > LISTED:
                    parts.append(f"… and {len(tokens) - LISTED} more (`--json` lists all).")
        if self.undecided:
            parts.append(self._advice())
        parts.append(
            f"Ranks are by {self.ranked_by}, 1 for the most frequent token. Greedy decoding never "
            "writes a token that is never the argmax; sampling still can."
        )
        return "\n\n".join(parts) + "\n"

    def _kinds(self) -> dict[str, list[Token]]:
        return {
            "Never the argmax": self.never,
            "Same row as another token": self.tied,
            "Undecided": self.undecided,
        }

    def _shape(self) -> str:
        return f"Output matrix {self.tokens} × {self.width}{', with bias' * self.has_bias}"

    def _advice(self) -> str:
        if not self.minutes:
            return "Nothing was decided: the time limit is 0 minutes. Raise --minutes."
        return "To decide more, raise --minutes; --checkpoint FILE keeps what is decided."


def reported(decided: Decided, lm: Any, minutes: float, seconds: float) -> ArgmaxReport:
    """The report of what is decided about a model's layer."""
    layer, known = decided.layer, _Tokenizer(lm, len(decided.layer))
    tied = (decided.outcome == Outcome.TIED).nonzero()[:, 0].tolist()
    twin = {token: int(layer.twin[token]) for token in tied}
    second = {first: token for token, first in reversed(twin.items()) if token != first}

    def listed(outcome: Outcome) -> list[Token]:
        tokens = (decided.outcome == outcome).nonzero()[:, 0].tolist()
        return [
            Token(
                token,
                known.text(token),
                known.rank(token),
                known.in_texts(token),
                twin[token] if twin.get(token, token) != token else second.get(token),
                None if math.isnan(radius := float(decided.radius[token])) else radius,
            )
            for token in tokens
        ]

    return ArgmaxReport(
        len(layer),
        layer.rows.shape[1] - layer.has_bias,
        layer.has_bias,
        int((decided.outcome == Outcome.ARGMAXABLE).sum()),
        listed(Outcome.NEVER),
        listed(Outcome.TIED),
        listed(Outcome.UNDECIDED),
        known.ranked_by,
        minutes,
        seconds,
    )


class _Tokenizer:
    """Texts and ranks of single tokens; without a tokenizer, texts are empty."""

    def __init__(self, lm: Any, size: int) -> None:
        from ergotext.lm.tokenizers.vocabulary import Vocabulary

        tokenizer = getattr(lm, "tokenizer", None)
        self.vocabulary: Any = getattr(lm, "vocabulary", None)
        if self.vocabulary is None and tokenizer is not None:
            self.vocabulary = Vocabulary(tokenizer, size)
        self.known: set[int] = set()
        self.ranks: dict[int, int] = {}
        self.ranked_by = "id"
        if self.vocabulary is not None:
            self.known = set(self.vocabulary.tokenizer.get_vocab().values())
            self._rank_by_unigram(self.vocabulary.tokenizer)

    def text(self, token: int) -> str:
        return self.vocabulary.text([token]) if token in self.known else ""

    def rank(self, token: int) -> int:
        return self.ranks.get(token, token + 1)

    def in_texts(self, token: int) -> bool:
        return self.vocabulary is None or bool(self.vocabulary.allowed[token])

    def _rank_by_unigram(self, tokenizer: Any) -> None:
        fast = getattr(tokenizer, "backend_tokenizer", None)
        model = json.loads(fast.to_str())["model"] if fast is not None else {}
        if model.get("type") == "Unigram":
            scores = [score for _, score in model["vocab"]]
            order = sorted(range(len(scores)), key=lambda i: -scores[i])
            self.ranks = {token: rank for rank, token in enumerate(order, 1)}
            self.ranked_by = "unigram"


def _line(token: Token) -> str:
    text = json.dumps(token.text, ensure_ascii=False)
    kind = "" if token.in_texts else ", not part of texts"
    return f"{token.id}  {text}  (rank {token.rank}{kind}){_proof(token)}"


def _row(token: Token) -> str:
    text = json.dumps(token.text, ensure_ascii=False).replace("|", "\\|").replace("`", "'")
    in_texts = "yes" if token.in_texts else "no"
    proof = _proof(token).strip(": ")
    return f"| {token.id} | `{text}` | {token.rank} | {in_texts} | {proof} |"


def _proof(token: Token) -> str:
    if token.same_row_as is not None:
        return f": same row as token {token.same_row_as}"
    return "" if token.radius is None else f": radius at most {token.radius:.1e}"
