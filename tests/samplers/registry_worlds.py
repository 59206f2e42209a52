"""A world for every registered sampler: small enough that all it can do is counted.

Who registers a sampler adds its worlds here, under the name of its class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Custom, Sum
from ergotext.lm.energies.terms import Length
from ergotext.samplers import SAMPLERS
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.weighted.adaptive import AdaptiveRejection
from ergotext.testing.tables import FEW, LOOP, Table, soft
from ergotext.testing.toy import ToyFluency, ToyProposer, ToyScorer, space, toy_energy
from tests.samplers.astray import Reducible
from tests.samplers.chains.test_exactness import SLOTS, problem
from tests.samplers.pairs import Pairs
from tests.samplers.search.test_stochastic_beam import (
    EVERYTHING,
    FLAT,
    MISLEADS,
    REAL,
    ByToken,
    check_inclusion,
    check_integrated,
)
from tests.samplers.weighted.test_exactness import GIVES_UP, TWIST, Hopes


@dataclass(frozen=True)
class Chains:
    """A chain, and every state of the class that it moves in."""

    sampler: Any
    states: TokenBatch
    temperature: float = 1.0
    connected: bool = True
    """Whether it reaches all of them, which a list of candidates may be too short for"""
    hot: float | None = None
    """The temperature of the other rung, of a ladder of two"""
    pairs: Pairs | None = None
    """Every (x, Ẑ), of a chain with that state"""


@dataclass(frozen=True)
class Weighted:
    """A weighted sampler of an energy on rows of at most ``longest`` tokens."""

    energy: Sum
    longest: int
    options: dict[str, Any]
    n: int
    """Draws or particles whose every path is enumerated"""
    many: int
    """Draws or particles of a run with production draws"""
    production: dict[str, Any] | None = None
    """Options of these runs, if others"""
    quadrature: Callable[[], None] | None = None
    """What is checked instead of every path where the noise is continuous"""


@dataclass(frozen=True)
class Optimiser:
    """An energy whose states can be listed, and the steps in which the lowest is to be found."""

    energy: Sum
    states: TokenBatch
    longest: int
    steps: int
    options: dict[str, Any]


def metropolis(name: str, slot: str, temperature: float) -> Chains:
    energy, states, longest = problem(name)
    edits = EditMoves(longest, slot=SLOTS[slot])
    return Chains(SAMPLERS["mh"](energy, longest, temperature, edits), states, temperature)


def tilted(words: list[str] | None = None, masked: int | None = None) -> Sum:
    """Nothing but the energy tells where the minimum is: not the model, nor the masked one."""
    tilt = Custom(lambda b: (b.ids == 2).sum(-1) * 0.7 - b.ids[:, :1].sum(-1) * 0.2, "tilt", False)
    base = toy_energy(words)
    proposer = [] if masked is None else [(0.0, ToyProposer(masked))]
    return Sum([(0.6, base), (1.0, tilt), *proposer])


def of_length(energy: Sum, n: int, marks: list[int] | None = None) -> TokenBatch:
    """The states of a chain that keeps the length, and which tokens are locked."""
    states = space(energy, n)
    states = states.select(states.length == n)
    if marks is not None:
        states = states.select((states.locked == torch.tensor(marks)).all(-1))
    return states


def fixed(
    name: str, n: int, temperature: float = 1.0, whole: bool = True, **options: Any
) -> Chains:
    energy = tilted(masked=1)
    sampler = SAMPLERS[name](energy, max_length=n, temperature=temperature, **options)
    return Chains(sampler, of_length(energy, n), temperature, whole)


def locked(name: str, **options: Any) -> Chains:
    """Rows of three tokens, the second a keyword; some changes would make an earlier one of it."""
    energy = tilted(["a"], masked=1)
    sampler = SAMPLERS[name](energy, max_length=3, **options)
    return Chains(sampler, of_length(energy, 3, [0, 1, 0]))


def supported(name: str) -> Chains:
    """Rows of three tokens in which no 2 stands beside a 2: what is forbidden is no state."""

    def forbidden(batch: TokenBatch) -> torch.Tensor:
        twice = (batch.ids[:, 1:] == 2) & (batch.ids[:, :-1] == 2)
        return torch.where(twice.any(1), torch.inf, 0.0)

    energy = tilted(masked=1) + forbidden
    return Chains(SAMPLERS[name](energy, max_length=3), of_length(energy, 3))


def ladder(kernel: str, longest: int, cold: float, hot: float) -> Chains:
    energy = tilted(masked=1)
    how = {"temperature": cold, "hottest": hot, "rungs": 2, "kernel": kernel}
    sampler = SAMPLERS["tempering"](energy, longest, **how)
    keeps_length = kernel in ("gibbs", "mlm-mh")
    states = of_length(energy, longest) if keeps_length else space(energy, longest)
    return Chains(sampler, states, cold, hot=hot)


def rewriting(
    name: str, constraint: str, temperature: float = 1.0, longest: int = 3, **options: Any
) -> Chains:
    """Rows of any length under no constraint, a keyword, or an automaton with dead ends."""
    words = {"keyword": ["a"], "two keywords": ["b", "c"]}.get(constraint, [])
    hard = [(1.0, matches(LOOP))] if constraint == "automaton" else []
    energy = Sum([(1.0, tilted(words)), *hard])
    longest = 5 if hard else longest
    sampler = SAMPLERS[name](energy, longest, temperature, **options)
    return Chains(sampler, space(energy, longest, len(words)), temperature)


ASKS_ONE = AdaptiveRejection(1, 1e9)
"""Asks about one token of each row, whatever is left then."""

EXTREME = (5.0, -30.0, 25.0, -14.0, 9.0)
"""Log ψ that mislead wherever they can."""


class Mild(Hopes):
    """A twist that is wrong by little, so that errors of log Z are nearly normal."""

    def psi(self, states: Any, left: int, size: int) -> Any:
        return super().psi(states, left, size) ** 0.3


def runs(name: str, energy: Sum, longest: int, **options: Any) -> Chains:
    """Chains of runs of SMC, with two particles unless told."""
    sampler = SAMPLERS[name](energy, longest, **({"particles": 2} | options))
    pairs = Pairs.of(sampler) if name == "pimh" else None
    return Chains(sampler, space(energy, longest), pairs=pairs)


def hoped(table: Table, *log_psi: float, **options: Any) -> dict[str, Any]:
    return {"twist": Hopes(table, *log_psi), "threshold": 0.9, **options}


def weighted(table: Table, longest: int, seed: int = 2, soft_too: bool = True) -> tuple[Sum, int]:
    terms = [(1.0, ToyFluency(ToyScorer(seed))), (1.0, matches(table))]
    terms += [(1.0, Custom(soft, "soft", False))] if soft_too else []
    return Sum(terms), longest


def powered(power: float, longest: int) -> tuple[Sum, int]:
    return Sum([(power, ToyFluency(ToyScorer(2))), (1.0, matches(FEW))]), longest


def without_replacement() -> None:
    """Orders and inclusion against Plackett and Luce's law, weights with the noise integrated."""
    check_inclusion(REAL, FEW, 3, 2)
    check_integrated(REAL, FLAT, 2)


def twisted_without_replacement() -> None:
    """The same under a twist."""
    check_inclusion(REAL, FEW, 3, 2, MISLEADS)
    check_integrated(REAL, FLAT, 2, ByToken())


MH = [(p, s, t) for p in ("free", "tilted", "ordered", "any order", "nested", "overlapping")
      for s in SLOTS for t in (1.0, 0.4)]  # fmt: skip

CHAINS: dict[str, dict[str, Callable[[], Chains]]] = {
    "MetropolisHastings": {
        f"{p}, {s}, {t}": lambda p=p, s=s, t=t: metropolis(p, s, t) for p, s, t in MH
    },
    "Gibbs": {
        "full conditional": lambda: fixed("gibbs", 3),
        "two candidates": lambda: fixed("gibbs", 3, whole=False, candidates=2),
        "tempered": lambda: fixed("gibbs", 2, 0.4, candidates=4),
        "blocks": lambda: fixed("gibbs", 3, block=2),
        "blocks, five candidates": lambda: fixed("gibbs", 3, 1.7, False, block=2, candidates=5),
        "a keyword": lambda: locked("gibbs"),
    },
    "MaskedMetropolis": {
        "free": lambda: fixed("mlm-mh", 3),
        "tempered": lambda: fixed("mlm-mh", 2, 0.4),
        "a keyword": lambda: locked("mlm-mh"),
        "a constraint": lambda: supported("mlm-mh"),
    },
    **{
        cls: {
            "free": lambda name=name: rewriting(name, "none"),
            "tempered": lambda name=name: rewriting(name, "none", 0.5),
            "a keyword": lambda name=name: rewriting(name, "keyword"),
            "two keywords": lambda name=name: rewriting(name, "two keywords"),
            "automaton": lambda name=name: rewriting(name, "automaton"),
            "masked": lambda name=name: rewriting(name, "two keywords", proposal="masked"),
            "a misleading twist": lambda name=name: rewriting(
                name, "automaton", twist=Hopes(LOOP, *EXTREME)
            ),
            "a twist that gives up": lambda name=name: rewriting(
                name, "automaton", twist=Hopes(LOOP, *GIVES_UP)
            ),
        }
        for cls, name in (("Independence", "independence"), ("SuffixResampling", "suffix"))
    },
    "Rewrite": {
        name: lambda how=how, options=options: rewriting("rewrite", *how, **options)
        for name, (how, options) in {
            "free": (("none", 1.0, 2), {"tries": 1, "stretch": 2}),
            "tempered": (("none", 0.5, 2), {"tries": 1, "stretch": 1}),
            "two tries": (("none", 1.0, 2), {"tries": 2, "stretch": 1}),
            "a keyword": (("keyword",), {"tries": 1, "stretch": 1}),
            "two keywords": (("two keywords",), {"tries": 1, "stretch": 2}),
            "automaton": (("automaton",), {"tries": 1, "stretch": 3}),
            "dead ends": (("automaton",), {"tries": 2, "stretch": 2}),
        }.items()
    },
    "ParallelTempering": {
        "edits": lambda: ladder("mh", 1, 1.0, 2.5),
        "full conditional": lambda: ladder("gibbs", 2, 0.7, 1.2),
        "masked model": lambda: ladder("mlm-mh", 2, 1.0, 3.0),
        "suffix": lambda: ladder("suffix", 1, 1.0, 2.0),
    },
    "ParticleMetropolis": {
        name: lambda make=make: runs("pimh", *make[0], **make[1])
        for name, make in {
            "systematic": (weighted(FEW, 3), {"threshold": 1.0}),
            "multinomial": (
                weighted(FEW, 3),
                hoped(FEW, *TWIST, threshold=1.0, resampling="multinomial"),
            ),
            "dead ends": (weighted(LOOP, 3, seed=0), {"threshold": 0.9}),
            "a twist": (weighted(LOOP, 3, seed=0), hoped(LOOP, *GIVES_UP)),
            "a misleading twist": (weighted(FEW, 3), hoped(FEW, *EXTREME)),
            "islands": (weighted(FEW, 2), {"threshold": 1.0, "particles": 3, "islands": 2}),
            "power": (powered(2.5, 3), {"threshold": 1.0, "ramp": 2}),
            "keywords": ((toy_energy(["b"]), 2), {"threshold": 1.0}),
        }.items()
    },
    "ParticleGibbs": {
        name: lambda make=make: runs("particle-gibbs", *make[0], **make[1])
        for name, make in {
            "every step": (weighted(FEW, 3), {"threshold": 1.0}),
            "by threshold": (weighted(LOOP, 4, seed=0), {"threshold": 0.7}),
            "never": (weighted(LOOP, 3, seed=0), {"threshold": 0.0}),
            "three": (weighted(FEW, 3), {"threshold": 0.9, "particles": 3}),
            "dead ends": (weighted(LOOP, 3, seed=0), {"threshold": 0.9}),
            "a twist": (weighted(LOOP, 3, seed=0), hoped(LOOP, *GIVES_UP)),
            "a misleading twist": (weighted(FEW, 3), hoped(FEW, *EXTREME)),
            "power": (powered(2.5, 3), {"threshold": 1.0, "ramp": 2}),
            "adaptive": (powered(2.0, 2), {"threshold": 0.9, "proposal": ASKS_ONE}),
            "keywords": ((toy_energy(["b"]), 2), {"threshold": 1.0}),
        }.items()
    },
    "MaskedGibbs": {
        "free": lambda: fixed("mlm-gibbs", 3),
        "tempered": lambda: fixed("mlm-gibbs", 2, 0.4),
        "a constraint": lambda: supported("mlm-gibbs"),
    },
}

OPTIMISERS: dict[str, dict[str, Optimiser]] = {
    "SimulatedAnnealing": {
        "geometric": Optimiser(*problem("ordered"), 400, {"hot": 2.0, "cold": 0.4}),
        **{
            name: Optimiser(*problem("tilted"), 400, {"schedule": name})
            for name in ("linear", "logarithmic", "adaptive")
        },
        "restarts": Optimiser(*problem("tilted"), 400, {"restarts": 2}),
    },
}

LOW, LOOPED = weighted(FEW, 3), weighted(LOOP, 3, seed=0)
FREE = (Sum([(1.0, ToyFluency(ToyScorer(3))), (2.0, Length(2, 1.0))]), 2)
ASTRAY = (
    Sum(
        [
            (1.0, ToyFluency(Reducible(2, 0.3))),
            (1.0, matches(FEW)),
            (1.0, Custom(soft, "soft", False)),
        ]
    ),
    3,
)
BOUND = {"log_bound": 0.8, "max_tries": 3, "at_once": 2, "proposal": "masked"}

WEIGHTED: dict[str, dict[str, Weighted]] = {
    "Importance": {
        "masked": Weighted(*weighted(LOOP, 4), {}, 1, 400),
        "model": Weighted(*LOW, {"proposal": "model"}, 2, 800),
        "adaptive": Weighted(*weighted(FLAT, 1), {"proposal": ASKS_ONE}, 1, 200),
        "no constraint": Weighted(*FREE, {}, 1, 200),
        "twisted": Weighted(*LOOPED, {"proposal": "twisted", "twist": Hopes(LOOP, *TWIST)}, 1, 400),
        "compiled": Weighted(*FREE, {"proposal": "twisted"}, 1, 200),
    },
    "AnnealedImportance": {
        "edits": Weighted(
            *weighted(FEW, 2), {"levels": 2}, 1, 100, {"levels": 3, "kernel": "suffix"}
        ),
        "dead ends": Weighted(*LOOPED, {"levels": 3, "kernel": "gibbs"}, 1, 100),
        "rests": Weighted(
            *weighted(FEW, 3), {"levels": 2, "kernel": "suffix"}, 1, 60, {"levels": 4}
        ),
        "twisted": Weighted(
            *LOOPED, {"levels": 3, "kernel": "gibbs", "twist": Hopes(LOOP, *TWIST)}, 1, 100
        ),
        "power": Weighted(
            *powered(2.5, 2),
            {"levels": 2, "kernel": "suffix", "proposal": "twisted"},
            1,
            200,
            {"levels": 4, "kernel": "suffix", "proposal": "twisted"},
        ),
    },
    "StochasticBeam": {
        "1,365 sequences": Weighted(
            *weighted(EVERYTHING, 5, seed=0), {}, 1, 64, quadrature=without_replacement
        ),
        "twisted": Weighted(
            *weighted(EVERYTHING, 5, seed=0),
            {"twist": Mild(EVERYTHING, 0.1, 0.2)},
            1,
            64,
            quadrature=twisted_without_replacement,
        ),
    },
    "Rejection": {
        "stated bound": Weighted(*LOW, BOUND, 1, 60, {"log_bound": 0.8, "at_once": 256}),
        # Without its memory, by which 60 draws learn all of FEW: the stated error is wide then.
        "hard": Weighted(
            *weighted(FEW, 3, soft_too=False), {"max_tries": 2}, 1, 60, {"proposal": "masked"}
        ),
        "its own bound": Weighted(*FREE, {"max_tries": 1}, 1, 60, {}),
    },
    "SMC": {
        "systematic": Weighted(*LOW, {"threshold": 1.0}, 2, 300, {"threshold": 0.9}),
        "multinomial": Weighted(*LOW, {"threshold": 0.8, "resampling": "multinomial"}, 2, 300),
        "stratified": Weighted(*LOW, {"threshold": 1.0, "resampling": "stratified"}, 2, 300),
        "dead ends": Weighted(*LOOPED, {"threshold": 0.9}, 2, 300),
        # On two places each; on more an island has all texts, and its log Z no error.
        "distinct": Weighted(
            *LOOPED, {"resampling": "distinct"}, 2, 80, {"resampling": "distinct", "islands": 40}
        ),
        "twisted": Weighted(*LOOPED, {"threshold": 0.9, "twist": Hopes(LOOP, *TWIST)}, 2, 300),
        "islands": Weighted(
            *LOOPED, {"threshold": 1.0, "islands": 2, "ramp": 2}, 3, 300, {"islands": 10}
        ),
        "compiled": Weighted(*FREE, {"threshold": 0.9}, 2, 300),
        "proposed by another": Weighted(
            *ASTRAY, {"threshold": 1.0, "proposal_dtype": "int8"}, 2, 300
        ),
    },
}
