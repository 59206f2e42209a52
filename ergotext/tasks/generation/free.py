"""Plain text, token by token: what a model writes without a constraint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.options import check_whole
from ergotext.tasks.generation.prompts import ReadPrompt

Finish = Literal["stop", "length"]
Grown = Callable[[int, str], None]
"""Is told which text has grown, and what was added to it."""
UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""How a character is shown of which only some bytes are written."""


@dataclass(frozen=True)
class FreeOptions:
    """How texts are drawn.

    Parameters
    ----------
    n, max_tokens, seed : int
    temperature : float
        Of each token; at 0 the likeliest is taken.
    top_p : float
        Of each token: only the likeliest that have so much of the probability together.
    stop : sequence of str
        A text ends before the first of these.

    Raises
    ------
    InputError
        A number is out of its range, or a stop is empty.
    """

    n: int = 1
    max_tokens: int = 128
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_whole(n=self.n, max_tokens=self.max_tokens)
        check_whole(0, seed=self.seed)
        if not 0 <= self.temperature <= 100:
            raise InputError(f"temperature must lie between 0 and 100, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if "" in self.stop:
            raise InputError("a stop is empty: give at least one character, or none")


@dataclass
class FreeText:
    """A text that is being written.

    Parameters
    ----------
    tokens : list of int
    text : str
        Without what follows a stop.
    finish : "stop" or "length", optional
        Why it ended: at the end token or a stop, or after the greatest number of tokens.
    told : int
        Characters that were told of as they came.
    """

    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish: Finish | None = None
    told: int = 0

    def read(self, written: str, stops: Sequence[str]) -> None:
        """Take over the text of the tokens, up to a stop."""
        places = [at for at in map(written.find, stops) if at >= 0]
        self.text = written[: min(places)] if places else written
        if places:
            self.finish = "stop"

    def fresh(self, stops: Sequence[str]) -> str:
        """What can be told of now: not the beginning of what may become a stop."""
        text = self.text
        if self.finish is None:
            text = text.rstrip(UNFINISHED)
            held = max((_overlap(text, stop) for stop in stops), default=0)
            text = text[: len(text) - held]
        found, self.told = text[self.told :], max(self.told, len(text))
        return found


def free(
    lm: CausalLM, prompt: ReadPrompt, options: FreeOptions, grown: Grown | None = None
) -> list[FreeText]:
    """Texts that a model writes after a prompt, token by token.

    Each token is drawn from softmax(logits / temperature) over the tokens that may occur in a text,
    and the end. At temperature 1 and top_p 1 a text that ended by its end token is a draw from the
    model's law.

    Parameters
    ----------
    lm : CausalLM
    prompt : ReadPrompt
    options : FreeOptions
    grown : callable, optional

    Raises
    ------
    InputError
        The prompt leaves no room for so many tokens.
    """
    room = lm.max_positions - len(prompt.ids)
    if room < options.max_tokens:
        raise InputError(
            f"the prompt has {len(prompt.ids):,} tokens, and {options.max_tokens:,} more may "
            f"follow (max_tokens), but the window of this model has {lm.max_positions:,}: shorten "
            "the prompt, or lower max_tokens"
        )
    after, draws = lm.after(prompt.ids), SeededDraws(options.seed)
    texts = [FreeText() for _ in range(options.n)]
    may = lm.allowed.clone()
    may[lm.end_id] = True
    while open_ := [text for text in texts if text.finish is None]:
        batch = TokenBatch.of([text.tokens for text in open_])
        law = after.next_log_prob(batch, batch.length).masked_fill(~may, -torch.inf)
        for text, token in zip(open_, _next(law, options, draws).tolist(), strict=True):
            if token == lm.end_id:
                text.finish = "stop"
                continue
            text.tokens.append(token)
            text.read(lm.decode(TokenBatch.of([text.tokens]))[0], options.stop)
            if text.finish is None and len(text.tokens) == options.max_tokens:
                text.finish = "length"
        if grown is not None:
            for number, text in enumerate(texts):
                if fresh := text.fresh(options.stop):
                    grown(number, fresh)
    return texts


def _next(law: Tensor, options: FreeOptions, draws: Draws) -> Tensor:
    """int64 [B]: the next token of each row, by log p [B, V]."""
    if options.temperature == 0:
        return law.argmax(-1)
    # The likeliest is at 0 however low the temperature: −∞ less −∞ would be no number.
    law = law - law.amax(-1, keepdim=True)
    probability = (law / options.temperature).softmax(-1)
    if options.top_p < 1:
        ordered, place = probability.sort(-1, descending=True)
        # Of the likeliest, all whose betters have less than top_p together.
        kept = ordered.cumsum(-1) - ordered < options.top_p
        probability = torch.zeros_like(probability).scatter(-1, place, ordered * kept)
        probability /= probability.sum(-1, keepdim=True)
    return draws.categorical(probability)


def _overlap(text: str, stop: str) -> int:
    """How long an end of a text is that begins a stop."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)
