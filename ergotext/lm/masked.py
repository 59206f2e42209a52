"""MaskedLM: score single tokens given all others with a masked language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ergotext.errors import InputError, ModelError
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.lm.tokenizers.whole_words import word_numbers
from ergotext.support.reprs import safe

TOKEN_BUDGET = 4096
"""Token positions in one forward pass, padding and the tokens around each row included."""
Query = tuple[tuple[int, ...], tuple[int, ...], int]
"""A row, its places that are masked, and the one of them that is asked about."""


class MaskedLM:
    """log p(token | all other tokens) under a transformers masked model.

    Every number is a log-probability in nats, float64, given that the token is no special one:
    a law over what may occur in a text. The conditionals of a masked model come from no joint
    law, so their sum over a row, the pseudo-log-likelihood, is a score and no log-probability.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        An encoder with a head that turns each position's hidden state into logits.
    vocabulary : Vocabulary
        Its tokenizer gives the mask token and the tokens around a text (such as [CLS], [SEP]).

    Raises
    ------
    ModelError
        There is no mask token, the tokenizer puts something else around each text, or the model
        is no masked one: its logits depend on padding, or not on what stands on both sides.
    """

    def __init__(
        self, model: PreTrainedModel, vocabulary: Vocabulary, token_budget: int = TOKEN_BUDGET
    ) -> None:
        self.model = model.eval()
        self.name = str(model.config.model_type)
        """What it was loaded as; the kind of the network where it was not."""
        self.vocabulary = vocabulary
        self.token_budget = token_budget
        if vocabulary.tokenizer.mask_token_id is None:
            raise ModelError(
                f"the tokenizer of this {model.config.model_type} model has no mask token; use a "
                "masked language model with its own tokenizer"
            )
        self.mask_id = int(vocabulary.tokenizer.mask_token_id)
        self.pad_id = int(vocabulary.tokenizer.pad_token_id or 0)
        self.opening, self.closing = _around(vocabulary)
        _check_known(model, [self.mask_id, self.pad_id, *self.opening, *self.closing])
        self.max_positions = _max_positions(model)
        self._weight = next(model.parameters())
        self._check()

    @safe
    def __repr__(self) -> str:
        return f"MaskedLM({self.name}, {self.dtype}, {self.device})"

    @property
    def device(self) -> torch.device:
        return self._weight.device

    @property
    def longest_text(self) -> int:
        """Tokens that the model's window leaves for a text between those around it."""
        return self.max_positions - len(self.opening) - len(self.closing)

    @property
    def dtype(self) -> torch.dtype:
        return self._weight.dtype

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may occur in a text; never special tokens."""
        return self.vocabulary.allowed

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, nothing added around it."""
        return self.vocabulary.encode(text)

    def decode(self, batch: TokenBatch) -> list[str]:
        """The text of each row, exactly as the tokenizer spells it."""
        return self.vocabulary.decode(batch)

    @torch.inference_mode()
    def conditional_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token at ``position`` [B] | all other tokens of the row).

        What stands at the position itself does not matter; −inf for tokens not ``allowed``.

        Raises
        ------
        InputError
            A position is outside of its row, or a row is longer than the model takes.
        """
        checked(batch, len(self.allowed))
        if bool(((position < 0) | (position >= batch.length)).any()):
            raise InputError(
                f"the positions {position.tolist()} are not all within rows of "
                f"{batch.length.tolist()} tokens"
            )
        places = [(p,) for p in position.tolist()]
        return self._each([(row, p, p[0]) for row, p in zip(batch.rows(), places, strict=True)])

    @torch.inference_mode()
    def blank_log_prob(self, batch: TokenBatch, blank: Tensor) -> Tensor:
        """float64 [n, V]: log p(token at a blank | the tokens that are no blanks of its row).

        All blanks of a row (bool [B, L]) are masked at once, and its laws come from one pass; by
        rising row and, in it, rising place. −inf for tokens not ``allowed``.

        Raises
        ------
        InputError
            A row is longer than the model takes.
        """
        checked(batch, len(self.allowed))
        places = [tuple(line.nonzero()[:, 0].tolist()) for line in blank & batch.inside]
        return self._each(
            [(row, at, p) for row, at in zip(batch.rows(), places, strict=True) for p in at]
        )

    @torch.inference_mode()
    def token_log_prob(self, batch: TokenBatch, whole_words: bool = False) -> Tensor:
        """float64 [B, L]: log p of each token given the others, 0 on padding.

        One token is masked at a time (Salazar et al. 2020, arXiv 1910.14659, eq. 1). With
        ``whole_words`` the tokens after it in its word are masked too, so that a rare word of
        several tokens does not look likely because each tells the next (Kauf and Ivanova 2023,
        arXiv 2305.10588, PLL-word-l2r).
        """
        rows = checked(batch, len(self.allowed)).rows()
        asked: list[Query] = []
        for row in rows:
            words = word_numbers(row, self.vocabulary) if whole_words else tuple(range(len(row)))
            for p, word in enumerate(words):
                asked.append((row, tuple(q for q in range(p, len(row)) if words[q] == word), p))
        scores = torch.empty(len(asked), dtype=torch.float64)
        target = torch.tensor([row[p] for row, _, p in asked], dtype=torch.int64)
        for group, log_p in self._laws(asked):
            scores[group] = log_p.gather(1, target[group, None])[:, 0]
        result = torch.zeros(batch.ids.shape, dtype=torch.float64)
        result[batch.inside] = scores
        return result

    def pseudo_log_prob(self, batch: TokenBatch, whole_words: bool = False) -> Tensor:
        """float64 [B]: the pseudo-log-likelihood, the sum of ``token_log_prob`` over each row."""
        return self.token_log_prob(batch, whole_words).sum(-1)

    def _each(self, asked: Sequence[Query]) -> Tensor:
        """float64 [n, V]: the law of each query."""
        result = torch.empty(len(asked), len(self.allowed), dtype=torch.float64)
        for group, log_p in self._laws(asked):
            result[group] = log_p
        return result

    def _laws(self, asked: Sequence[Query]) -> Iterator[tuple[list[int], Tensor]]:
        """Which queries a pass answered, and float64 [n, V]: the law at each place asked about."""
        around = len(self.opening) + len(self.closing)
        self._check_length(max((len(row) for row, _, _ in asked), default=0))
        shown: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
        for query, (row, places, _) in enumerate(asked):
            shown.setdefault((row, places), []).append(query)
        # Rows of like length share a pass, and places of one row share the row.
        order = sorted(shown, key=lambda masked: -len(masked[0]))
        while order:
            count = max(1, self.token_budget // (len(order[0][0]) + around))
            sizes = accumulate(len(shown[masked]) for masked in order[:count])
            taken = max(1, sum(size <= count for size in sizes))
            group, order = order[:taken], order[taken:]
            rows = [
                [self.mask_id if p in places else t for p, t in enumerate(row)]
                for row, places in group
            ]
            queries = [query for masked in group for query in shown[masked]]
            of = [number for number, masked in enumerate(group) for _ in shown[masked]]
            at = [len(self.opening) + asked[query][2] for query in queries]
            logits = self._logits([[*self.opening, *row, *self.closing] for row in rows], of, at)
            logits[:, ~self.allowed] = -torch.inf
            yield queries, logits.log_softmax(-1)

    def _logits(
        self, rows: Sequence[Sequence[int]], of: Sequence[int], at: Sequence[int]
    ) -> Tensor:
        """float64 [n, V]: logits at places ``at`` [n] of rows ``of`` [n], and no others."""
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self.pad_id] * (width - len(row))] for row in rows])
        seen = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        with _only(self.model, *(torch.tensor(n, device=self.device) for n in (of, at))):
            output: Any = self.model(
                input_ids=ids.to(self.device), attention_mask=seen.to(self.device)
            )
        logits: Tensor = output.logits[:, 0].double().cpu()
        return logits

    def _check_length(self, longest: int) -> None:
        most = longest + len(self.opening) + len(self.closing)
        if most > self.max_positions:
            raise InputError(
                f"the text takes {most} token positions, but the model has {self.max_positions}; "
                "shorten the text"
            )

    @torch.inference_mode()
    def _check(self) -> None:
        """Raise ModelError unless this is a masked model that can be read a place at a time."""
        kind = self.model.config.model_type
        few = self.allowed.nonzero()[:, 0].tolist()
        a, b, c, d = (few[len(few) * k // 4] for k in range(4))
        rows = [[*self.opening, *row, *self.closing] for row in ([a, b, c, d], [b, a], [b, d])]
        at = [len(self.opening)] * 3
        try:
            together = self._logits(rows, range(3), at)
            whole = [self.model(torch.tensor([r], device=self.device)).logits[0] for r in rows]
            alone = torch.stack([w[p] for w, p in zip(whole, at, strict=True)]).double().cpu()
            slack = 1e-3 if self.dtype == torch.float32 else 0.1
            fits = bool((together - alone).abs().max() <= slack * alone.abs().max())
        except (AttributeError, RuntimeError, TypeError, ValueError, IndexError):
            fits = False
        if not fits:
            raise ModelError(
                f"the model type {kind!r} gives logits that depend on the padding, so it cannot be "
                "used as a masked language model"
            )
        if together.shape[1] != len(self.allowed):
            raise ModelError(
                f"this {kind} model has {together.shape[1]} logits, but its vocabulary has "
                f"{len(self.allowed)} tokens; use the model's own tokenizer"
            )
        if torch.equal(together[1], together[2]):
            raise ModelError(
                f"this {kind} model ignores the tokens to the right of a position, so it is not a "
                "masked language model"
            )


@contextmanager
def _only(model: PreTrainedModel, of: Tensor, at: Tensor) -> Iterator[None]:
    """Let the model's head see the hidden states at places ``at`` [n] of rows ``of`` [n] alone."""

    def pick(_module: object, _inputs: object, output: Any) -> Any:
        states = output.last_hidden_state
        output.last_hidden_state = states[of, at][:, None]
        return output

    handle = model.base_model.register_forward_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def _around(vocabulary: Vocabulary) -> tuple[list[int], list[int]]:
    """The tokens that the tokenizer puts before and after every text."""
    found = []
    for text in ("a", "a b a"):
        inner = vocabulary.encode(text)
        whole = list(vocabulary.tokenizer.encode(text))
        ways = range(len(whole) - len(inner) + 1)
        first = next((k for k in ways if whole[k : k + len(inner)] == inner), None)
        found.append(None if first is None else (whole[:first], whole[first + len(inner) :]))
    if found[0] is None or found[0] != found[1]:
        raise ModelError(
            "the tokenizer of this masked model adds different tokens around different texts, so "
            "it is unclear what the model expects there"
        )
    return found[0]


def _check_known(model: PreTrainedModel, needed: Sequence[int]) -> None:
    """A tokenizer may have grown since the model was trained; what it puts around must be known."""
    embedding: Any = model.get_input_embeddings()
    size = len(embedding.weight)
    if max(needed) >= size:
        raise ModelError(
            f"the tokenizer's token {max(needed)} is not among the {size} tokens of this "
            f"{model.config.model_type} model; use the model's own tokenizer"
        )


def _before(padding: int | None) -> int:
    """Positions that are never used: those up to and with the padding index, if there is one."""
    return 0 if padding is None else padding + 1


def _max_positions(model: PreTrainedModel) -> int:
    """Longest input, the tokens around a text included."""
    most = getattr(model.config, "max_position_embeddings", None) or 1 << 20
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from after the padding index on.
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            most = min(most, module.num_embeddings - _before(module.padding_idx))
    return int(most)
