"""Measure how much probability a model and its decoders leave on texts that do not end.

>>> report = stopping(et.load("smollm2"), lengths=[16, 32, 64], samples=4)
>>> print(report.text())
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.options import check_counts, check_whole
from ergotext.support.bars import bar
from ergotext.support.words import counted
from ergotext.tasks.diagnose.beams import beam_ends
from ergotext.tasks.diagnose.laws import Law, nucleus, top_k, whole
from ergotext.tasks.diagnose.prompts import read_prompts
from ergotext.tasks.diagnose.survival import Survival, survive

ROWS = 64
"""Texts that are written side by side; their key-value caches are held at one time."""
EQUAL = 1e-12
"""Spread below which all texts said the same, and the spread says nothing of the error."""
RULE_OF_THREE = 3.0
"""What n texts did not show once has a probability below 3 / n, at 95 % confidence."""


@dataclass(frozen=True)
class Share:
    """A mean over the prompts, with what sampling leaves open about it.

    Parameters
    ----------
    value : float
    stderr : float or None
        Standard error of sampling, the prompts taken as they are. None where nothing was sampled
        and ``value`` is exact for these prompts.
    low, high : float
        The range that holds the true value in at least 95 of 100 runs: two standard errors, and
        what so many texts cannot rule out if none of them shows it (the rule of three).
    """

    value: float
    stderr: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Decoder:
    """How one way of decoding ends its texts, at each of the report's lengths.

    Parameters
    ----------
    name : str
    unended : list of Share
        Mass of the texts that have not ended after so many tokens, the end token counted.
    never : list of Share
        The part of it for which the end token was not once among the tokens to choose from. Empty
        for beam search, which follows several texts.
    """

    name: str
    unended: list[Share]
    never: list[Share]


@dataclass(frozen=True)
class StoppingReport:
    """Whether texts end; what ``stopping`` returns."""

    lengths: list[int]
    prompts: int
    samples: int
    seed: int
    seconds: float
    decoders: list[Decoder]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    def text(self) -> str:
        """A table of the decoders, and what to make of it."""
        head = "share of texts that have not ended after … tokens (± standard error)"
        wide = max(len(_never(d.name)) for d in self.decoders)
        lines = [head, f"{'':<{wide}}" + "".join(f"{n:>17,}" for n in self.lengths)]
        for decoder in self.decoders:
            lines.append(f"{decoder.name:<{wide}}" + "".join(map(_cell, decoder.unended)))
            if any(share.value > 0 for share in decoder.never):
                name = _never(decoder.name)
                lines.append(f"{name:<{wide}}" + "".join(map(_cell, decoder.never)))
        how = f"({counted(self.prompts, 'prompt')}, {counted(self.samples, 'text')} each; "
        return "\n".join([*lines, *self.notes(), f"{how}{self.seconds:.1f} s)"])

    def notes(self) -> list[str]:
        """What a reader should act on, a line each."""
        longest, found = self.lengths[-1], []
        own = self.decoders[0].unended[-1].high
        for decoder in self.decoders:
            last = decoder.unended[-1]
            if last.stderr is not None and last.stderr < EQUAL:
                found.append(
                    f"note: all texts of {decoder.name} agree; the share lies between "
                    f"{last.low:.3f} and {last.high:.3f}: take more samples to know more"
                )
            if last.low > own:
                found.append(
                    f"note: {decoder.name} ends less often than the model itself within "
                    f"{longest:,} tokens: set a maximum length"
                )
        return found


def stopping(
    lm: CausalLM,
    prompts: Sequence[str] | None = None,
    *,
    lengths: Sequence[int] = (16, 32, 64),
    samples: int = 4,
    seed: int = 0,
    k: int = 40,
    p: float = 0.9,
    beams: int = 4,
) -> StoppingReport:
    """Estimate the mass of texts that have not ended after each of ``lengths`` tokens.

    Under the model itself, under top-k and nucleus sampling (which leave tokens out, the end token
    among them at times), and for greedy and beam search, which write one text a prompt. A model
    may end every text sooner or later while a decoder of it never does.

    Parameters
    ----------
    lm : CausalLM
    prompts : sequence of str, optional
        What stands before the texts; by default fifty plain English beginnings of sentences.
    lengths : sequence of int
    samples : int
        Texts for each prompt and law, at least 2: one alone has no standard error.
    seed : int
    k, p, beams : int, float, int
        Of top-k, nucleus and beam search.

    Raises
    ------
    InputError
        The model is no causal one, a prompt with the longest length exceeds its window, or a
        number makes no sense.

    References
    ----------
    Welleck et al. 2020, "Consistency of a Recurrent Language Model With Respect to Incomplete
    Decoding".
    """
    lengths = _lengths(lengths)
    laws = _laws(k, p, beams, samples, seed)
    ids = read_prompts(lm, prompts, lengths[-1])
    began, draws = time.monotonic(), SeededDraws(seed)
    decoders = []
    with bar(desc="stopping", total=len(laws) + 2, unit="decoder") as shown:
        for name, law in laws.items():
            seen = _along(draws, lm, ids, law, lengths[-1], samples)
            decoders.append(_sampled(name, seen, lengths))
            shown.update()
        decoders.append(_exact("greedy", _along(draws, lm, ids, top_k(1), lengths[-1], 1), lengths))
        shown.update()
        decoders.append(_searched(lm, ids, beams, lengths))
        shown.update()
    return StoppingReport(lengths, len(ids), samples, seed, time.monotonic() - began, decoders)


def _laws(k: int, p: float, beams: int, samples: int, seed: int) -> dict[str, Law]:
    """The laws that are sampled from; InputError for a number that makes no sense."""
    check_counts(k=k, beams=beams, samples=samples)
    check_whole(2, samples=samples)
    check_whole(0, seed=seed)
    if not 0 < p < 1:
        raise InputError(f"p must be between 0 and 1, got {p}")
    return {"the model": whole, f"top-k {k}": top_k(k), f"nucleus {p:g}": nucleus(p)}


def _lengths(lengths: Sequence[int]) -> list[int]:
    found = list(lengths) if isinstance(lengths, Sequence) else []
    if not found or not all(isinstance(n, int) and n > 0 for n in found):
        raise InputError(
            "lengths must be a list of integers of at least 1, such as [16, 32]; got "
            f"{lengths!r:.60}"
        )
    return sorted(set(found))


def _along(
    draws: Draws, lm: CausalLM, ids: list[list[int]], law: Law, length: int, samples: int
) -> Survival:
    """Texts behind every prompt, ``samples`` side by side; the fields are [prompts, samples, L]."""
    together = max(1, ROWS // samples)
    parts = []
    for first in range(0, len(ids), together):
        rows = [prompt for prompt in ids[first : first + together] for _ in range(samples)]
        parts.append(survive(draws, lm.read(rows), law, length))
    shape = (len(ids), samples, length)
    return Survival(
        torch.cat([part.unended for part in parts]).view(shape),
        torch.cat([part.never for part in parts]).view(shape),
    )


def share(values: Tensor) -> Share:
    """The mean of ``values`` [prompts, samples] between 0 and 1, drawn anew for each prompt."""
    prompts, samples = values.shape
    mean = float(values.mean())
    stderr = float(values.var(1).sum().sqrt()) / prompts / math.sqrt(samples)
    spread = 2 * stderr + RULE_OF_THREE / values.numel()
    return Share(mean, stderr, max(0.0, mean - spread), min(1.0, mean + spread))


def _known(values: Tensor) -> Share:
    mean = float(values.mean())
    return Share(mean, None, mean, mean)


def _sampled(name: str, seen: Survival, lengths: list[int]) -> Decoder:
    unended, never = ([share(f[:, :, n - 1]) for n in lengths] for f in (seen.unended, seen.never))
    return Decoder(name, unended, never)


def _exact(name: str, seen: Survival, lengths: list[int]) -> Decoder:
    unended, never = ([_known(f[:, :, n - 1]) for n in lengths] for f in (seen.unended, seen.never))
    return Decoder(name, unended, never)


def _searched(lm: CausalLM, ids: list[list[int]], beams: int, lengths: list[int]) -> Decoder:
    together = max(1, ROWS // beams)
    ends: list[int | None] = []
    for first in range(0, len(ids), together):
        ends += beam_ends(lm.read(ids[first : first + together]), beams, lengths[-1])
    at = torch.tensor([math.inf if end is None else end for end in ends], dtype=torch.float64)
    return Decoder(f"beam {beams}", [_known((at > n).double()) for n in lengths], [])


def _never(name: str) -> str:
    return f"  {name}, end never offered"


def _cell(share: Share) -> str:
    if share.stderr is None:
        return f"{share.value:>8.3f}         "
    return f"{share.value:>8.3f} ± {share.stderr:<6.3f}"
