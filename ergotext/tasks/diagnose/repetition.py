"""Find out why a model repeats itself, and what helps.

>>> report = repetition(et.load("smollm2"), length=32)
>>> print(report.text())
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.options import check_counts, check_whole
from ergotext.support.bars import bar
from ergotext.support.words import counted
from ergotext.tasks.diagnose.continuations import Continuations, continued
from ergotext.tasks.diagnose.laws import Law, nucleus, top_k, whole
from ergotext.tasks.diagnose.prompts import read_prompts
from ergotext.tasks.diagnose.repeats import SIZES, Repeats, Unit, joined, repeats
from ergotext.tasks.diagnose.transitions import Contexts, Transitions

ROWS = 64
"""Texts that are written side by side."""
HIGH = 0.1
"""A probability that counts as high when it is asked in how many contexts a token has one."""
MERGED_ABOVE = 0.5
"""Pairs are merged whose second token is likelier than this after the first."""
MOST_PAIRS = 20
SHOWN = 10


@dataclass(frozen=True)
class Inflow:
    """A token that many others lead to.

    Parameters
    ----------
    token : int
    text : str
    inflow : float
        Its mean probability after the tokens that were met, each counted once.
    share : float
        The share of these after which it has a probability of at least 0.1.
    returns : float
        The probability that a text of the Markov chain that is at it comes back to it, if it goes
        on for ``length`` tokens on average.
    """

    token: int
    text: str
    inflow: float
    share: float
    returns: float


@dataclass(frozen=True)
class Pair:
    """A high-inflow pair: its text, and the probability of its second part after its first."""

    text: str
    probability: float


@dataclass(frozen=True)
class TokenChain:
    """Average repetition probabilities of a Markov chain (Fu et al. 2021).

    Parameters
    ----------
    states : int
    over_states, over_text : float
        The mean probability of coming back: of all states alike, and of the places of a text.
    bound : float
        Mean upper bound over the states: highest inflow times mean length from there.
    """

    states: int
    over_states: float
    over_text: float
    bound: float


@dataclass(frozen=True)
class RepetitionReport:
    """Why texts repeat; what ``repetition`` returns."""

    prompts: int
    length: int
    seed: int
    seconds: float
    chain: TokenChain
    rebalanced: TokenChain
    """the same texts with the high-inflow pairs as tokens of their own"""
    inflow: list[Inflow]
    pairs: list[Pair]
    decoders: list[Repeats]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    def text(self) -> str:
        """Tables of the chain, its high-inflow tokens and what decoders repeat."""
        lines = [f"{'a token comes back in the text':<40}{'tokens':>9}{'places':>9}{'≤':>9}"]
        for name, chain in (("first-order chain", self.chain), ("  pairs merged", self.rebalanced)):
            numbers = f"{chain.over_states:>9.3f}{chain.over_text:>9.3f}{chain.bound:>9.3f}"
            lines.append(f"{f'{name} ({chain.states:,} states)':<40}{numbers}")
        lines.append(f"\n{'high-inflow tokens':<20}{'inflow':>9}{'high in':>9}{'returns':>9}")
        for one in self.inflow:
            numbers = f"{one.inflow:>9.3f}{one.share:>9.1%}{one.returns:>9.3f}"
            lines.append(f"{one.text!r:<20.20}{numbers}")
        pairs = ", ".join(f"{pair.text!r} {pair.probability:.2f}" for pair in self.pairs[:SHOWN])
        lines.append(f"\nmerged pairs: {pairs or 'none'}\n")
        head = "".join(f"{f'rep-{n}':>8}" for n in SIZES)
        lines.append(f"{'':<28}{head}" + "".join(f"{f'dist-{n}':>8}" for n in SIZES))
        for decoder in self.decoders:
            numbers = "".join(f"{value:>8.3f}" for value in (*decoder.rep, *decoder.distinct))
            lines.append(f"{decoder.name:<28}{numbers}")
        how = f"({counted(self.prompts, 'prompt')}, {self.length:,} tokens each; "
        return "\n".join([*lines, f"{how}{self.seconds:.1f} s)"])


def repetition(
    lm: CausalLM,
    prompts: Sequence[str] | None = None,
    *,
    length: int = 32,
    seed: int = 0,
    k: int = 40,
    p: float = 0.9,
    penalty: float = 1.2,
) -> RepetitionReport:
    """Measure repetition, and the transitions of the model that it comes from.

    All texts have ``length`` tokens: the end token is never chosen, so that ways of decoding are
    compared at one length. The transitions are those of the model along its own sampled texts.

    Parameters
    ----------
    lm : CausalLM
    prompts : sequence of str, optional
        By default fifty plain English beginnings of sentences.
    length, seed : int
    k, p, penalty : int, float, float
        Of top-k and nucleus sampling, and of the repetition penalty.

    Raises
    ------
    InputError
        The model is no causal one, a prompt with ``length`` tokens exceeds its window, or a number
        makes no sense.

    References
    ----------
    Fu et al. 2021, "A Theoretical Analysis of the Repetition Problem in Text Generation".
    """
    check_counts(length=length, k=k)
    check_whole(0, seed=seed)
    ways = _ways(k, p, penalty)
    ids = read_prompts(lm, prompts, length)
    began, draws = time.monotonic(), SeededDraws(seed)
    each = bar(ways.items(), desc="repetition", unit="decoder")
    found = {name: _written(draws, lm, ids, way, length) for name, way in each}
    chain = _transitions(lm, ids, found["sampling"])
    merged, pairs = chain.rebalanced(MERGED_ABOVE, MOST_PAIRS)
    decoders = _decoders(found, [(one, two) for one, two, _ in pairs])
    shown = [Pair(lm.vocabulary.text(a + b), share) for a, b, share in pairs]
    inflow = _high_inflow(lm, chain)
    return RepetitionReport(
        len(ids), length, seed, time.monotonic() - began, _summary(chain), _summary(merged),
        inflow, shown, decoders,
    )  # fmt: skip


def _ways(k: int, p: float, penalty: float) -> dict[str, tuple[Law, float]]:
    """How texts are written: the law, and the repetition penalty."""
    if not 0 < p < 1 or not penalty >= 1:
        raise InputError(
            f"p must be between 0 and 1, and penalty at least 1; got p={p} and penalty={penalty}"
        )
    return {
        "greedy": (top_k(1), 1.0),
        f"greedy, penalty {penalty:g}": (top_k(1), penalty),
        f"top-k {k}": (top_k(k), 1.0),
        f"nucleus {p:g}": (nucleus(p), 1.0),
        "sampling": (whole, 1.0),
    }


def _decoders(found: dict[str, Continuations], pairs: list[tuple[Unit, Unit]]) -> list[Repeats]:
    """Of each way; then of two of them with the pairs merged."""
    texts: dict[str, list[list[int]]] = {n: f.tokens.tolist() for n, f in found.items()}
    decoders = [repeats(name, rows) for name, rows in texts.items()]
    for name in ("greedy", "sampling"):
        cut = [joined([(t,) for t in row], pairs) for row in texts[name]]
        decoders.append(repeats(f"{name}, pairs merged", cut))
    return decoders


def _written(
    draws: Draws, lm: CausalLM, ids: list[list[int]], way: tuple[Law, float], length: int
) -> Continuations:
    law, penalty = way
    parts = [
        continued(draws, lm.read(rows), rows, law, length, penalty)
        for rows in (ids[first : first + ROWS] for first in range(0, len(ids), ROWS))
    ]
    fields = ("tokens", "likely", "probability", "ends")
    return Continuations(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


def _transitions(lm: CausalLM, ids: list[list[int]], texts: Continuations) -> Transitions:
    """The chain of sampled texts: each place is a context, known by the token before it."""
    last = torch.tensor([[prompt[-1] if prompt else lm.start_id] for prompt in ids])
    before = torch.cat([last, texts.tokens[:, :-1]], 1)
    fields = (before, texts.likely, texts.probability, texts.ends)
    everywhere = Contexts(*(field.flatten(0, 1).numpy() for field in fields))
    behind_prompts = Contexts(*(field[:, 0].numpy() for field in fields))
    return Transitions.estimated(everywhere, behind_prompts, texts.tokens.shape[1])


def _summary(chain: Transitions) -> TokenChain:
    over_states, over_text = chain.repetition()
    return TokenChain(
        int(chain.own.sum()), over_states, over_text, float(chain.bound()[chain.own].mean())
    )


def _high_inflow(lm: CausalLM, chain: Transitions) -> list[Inflow]:
    inflow, share = chain.inflow(HIGH)
    order = [int(i) for i in np.argsort(-inflow, kind="stable") if chain.own[i]]
    return [
        Inflow(
            chain.tokens[i][0],
            lm.vocabulary.text(chain.tokens[i]),
            float(inflow[i]),
            float(share[i]),
            float(chain.returns[i]),
        )
        for i in order[:SHOWN]
    ]
