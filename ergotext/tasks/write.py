"""Write fluent sentences with given keywords, by annealing or Metropolis-Hastings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import fluency, keywords, length
from ergotext.samplers.options import check_window
from ergotext.samplers.result import Result
from ergotext.samplers.sampling import sample
from ergotext.samplers.texts import Sample
from ergotext.support.untrusted import json_of
from ergotext.support.words import check_texts, check_word, is_unspaced, printable

CONTEXT = "It was a quiet morning in the small town."
CONTEXT_UNSPACED = "那是小镇上一个安静的早晨。"
"""Default context. A language model with nothing before it
thinks ", " or "'s" a likely beginning; after a plain sentence it expects another one."""


@dataclass(frozen=True)
class Budget:
    """Search budget for a sentence.

    Parameters
    ----------
    sampler : str
        ``annealing`` looks for the best sentences; ``mh`` samples from exp(−energy).
    chains, steps : int
    max_seconds : float, optional
        Time limit of each run; the annealing schedule then follows the clock.
    seed : int
    """

    sampler: str = "annealing"
    chains: int = 8
    steps: int = 300
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise InputError(f"the time limit must be above 0 seconds, got {self.max_seconds}")


def write(
    words: Sequence[str],
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    context: str | None = None,
    mean_length: float = 14,
    max_length: int = 40,
    any_order: bool = False,
    progress: bool = True,
) -> Result:
    """Look for fluent sentences in which every word occurs verbatim.

    Parameters
    ----------
    words : sequence of str
    lm : CausalLM
    budget : Budget, optional
    context : str, optional
        Text to condition on; by default a plain sentence, "" for none.
    mean_length : float
        Mean of the length prior, in tokens; its standard deviation is 1.
    max_length : int
        Longest sentence in tokens.
    any_order : bool
        Let keywords trade places; otherwise they keep the order given.

    Returns
    -------
    Result
        ``.best(n)`` are the n best distinct sentences.

    Raises
    ------
    InputError
        A keyword is empty or cannot be spelled, or all of them are longer than ``max_length``.
    """
    (result,) = write_all(
        [words],
        lm,
        budget,
        context=context,
        mean_length=mean_length,
        max_length=max_length,
        any_order=any_order,
        progress=progress,
    )
    return result


def write_all(
    sets: Sequence[Sequence[str]],
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    context: str | None = None,
    mean_length: float = 14,
    max_length: int = 40,
    any_order: bool = False,
    progress: bool = True,
) -> Iterator[Result]:
    """``write`` for several keyword sets; all are checked before time is spent on the first."""
    b = budget or Budget()
    check_sets(sets)
    texts = [default_context(words) if context is None else context for words in sets]
    given = {text: lm.given(text) for text in dict.fromkeys(texts)}
    energies = [
        energy_of(words, given[text], mean_length, max_length, any_order)
        for words, text in zip(sets, texts, strict=True)
    ]
    return (chained(energy, b, max_length, progress=progress) for energy in energies)


def chained(
    energy: Sum,
    budget: Budget,
    max_length: int,
    *,
    initial: TokenBatch | None = None,
    progress: bool = True,
    **options: Any,
) -> Result:
    """The chains of a budget, run over an energy with options of the sampler.

    Raises
    ------
    InputError
        The budget's sampler runs no chains.
    """
    result = sample(
        energy,
        budget.sampler,
        chains=budget.chains,
        steps=budget.steps,
        seed=budget.seed,
        max_length=max_length,
        max_seconds=budget.max_seconds,
        initial=initial,
        progress=progress,
        **options,
    )
    if not isinstance(result, Result):
        raise InputError(f"{budget.sampler} runs no chains; use annealing or mh")
    return result


def check_sets(sets: Sequence[Sequence[str]]) -> None:
    """Raise InputError at a keyword that no model could write; needs none to be loaded."""
    for words in sets:
        check_texts(words, "keywords")
        for word in words:
            check_word(word)


def energy_of(
    words: Sequence[str],
    lm: CausalLM,
    mean_length: float = 14,
    max_length: int = 40,
    any_order: bool = False,
) -> Sum:
    """The energy that ``write`` minimises: fluency, keywords and a length prior of sd 1."""
    if mean_length > max_length:
        raise InputError(
            f"the mean length ({mean_length:g}) is above max_length ({max_length}); lower "
            "length, or raise max_length"
        )
    check_window(fluency(lm), max_length)
    energy = fluency(lm) + keywords(words, any_order) + length(mean_length)
    needed = energy.initial(1).longest
    if needed > max_length:
        raise InputError(
            f"the keywords alone take {needed} tokens, but the maximum length is {max_length}; "
            f"give fewer keywords, or raise the maximum to {needed} or more"
        )
    return energy


def default_context(words: Sequence[str]) -> str:
    """Default context: a plain sentence in English or, for Chinese keywords, in Chinese."""
    return (
        CONTEXT_UNSPACED
        if any(is_unspaced(word.strip()[0]) for word in words if word.strip())
        else CONTEXT
    )


def parse_keyword_sets(text: str) -> list[list[str]]:
    """Keyword sets from a text with one JSON list of strings a line; blank lines are skipped.

    Raises
    ------
    InputError
        A line is something else (the message gives its number), or there is none at all.
    """
    sets: list[list[str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            words = json_of(line)
        except ValueError:
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(
                f'line {number} is not a JSON list of strings such as ["summer", "beach"]: '
                f"{line[:60]}"
            )
        sets.append(words)
    if not sets:
        raise InputError("no keyword sets on standard input; give one JSON list per line")
    return sets


def as_text(result: Result, best: Sequence[Sample], approximate: bool = False) -> str:
    """The sentences with their log-probabilities, and a line on how they were found.

    Line breaks and control characters inside a text are shown as spaces, so that every line is
    one text and nothing in it drives the terminal.
    """
    lines = [f"{_one_line(s.text)}  [log p {s.log_prob:.1f}]" for s in best]
    return "\n".join([*lines, how(result, approximate)])


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


def as_json(best: Sequence[Sample], words: Sequence[str], ascii_only: bool = False) -> str:
    """One JSON object per sentence and line."""
    return "\n".join(
        json.dumps(
            {
                "text": s.text,
                "log_prob": s.log_prob,
                "energy": s.energy,
                "terms": s.terms,
                "keywords": list(words),
                "chain": s.chain,
                "step": s.step,
            },
            ensure_ascii=ascii_only,
        )
        for s in best
    )


def how(result: Result, approximate: bool = False) -> str:
    """One line on how a result was found: chains, steps, acceptance, seconds."""
    return f"({result.text()}{'; bfloat16, approximate' if approximate else ''})"
