"""Registry entries of importance sampling, rejection and SMC."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

from ergotext.errors import InputError
from ergotext.lm.protocols import Energy, Twist
from ergotext.samplers.base import Need
from ergotext.samplers.catalog import Kind
from ergotext.samplers.draws import Draws
from ergotext.samplers.options import check_counts, check_whole
from ergotext.samplers.progress import Watch
from ergotext.samplers.registry import check_fit
from ergotext.samplers.target import Target
from ergotext.samplers.twists import check_twist, chosen_twist
from ergotext.samplers.weighted.adaptive import AdaptiveRejection
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.proposals import (
    Looking,
    Masked,
    TokenProposal,
    finishing,
    masked,
    model,
)
from ergotext.samplers.weighted.rejection import rejection
from ergotext.samplers.weighted.resampling import SCHEMES, Scheme
from ergotext.samplers.weighted.rescoring import proposer_of
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.samplers.weighted.smc import smc
from ergotext.samplers.weighted.twisted import Twisted

ProposalName = Literal["finishing", "masked", "model", "adaptive"]
SMCProposal = ProposalName | Literal["twisted"] | TokenProposal
_PROPOSALS: dict[str, TokenProposal] = {
    "finishing": finishing,
    "masked": masked,
    "model": model,
    "adaptive": AdaptiveRejection(),
}
ISLANDS, MOST_ISLANDS, ON_EACH = 4, 16, 32
"""Islands by default: as many as have so many particles, but four from 32 particles on."""
SHARP = 2.0
"""Power of the model from which ``auto`` resamples by ``distinct``."""


def _proposal(given: ProposalName | TokenProposal) -> TokenProposal:
    if callable(given):
        return given
    if given not in tuple(_PROPOSALS):
        raise InputError(f"no proposal {given!r:.60}; choose one of {', '.join(_PROPOSALS)}")
    return _PROPOSALS[given]


def _finite(name: str, value: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, got {value!r:.60}")
    return value


class Importance:
    """Independent draws from a proposal, weighted to be the energy's (``importance``).

    Parameters
    ----------
    energy : Energy
    max_length : int
    proposal : "masked", "twisted", "finishing", "model", "adaptive" or TokenProposal
        How the next token is proposed (``proposals``, ``twisted``).
    at_once : int
        How many are written side by side.
    twist : Twist, optional
        Of your own, for the proposal ``twisted``.
    """

    kind: ClassVar[Kind] = "weighted"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        proposal: ProposalName | Literal["twisted"] | TokenProposal = "masked",
        at_once: int = 64,
        twist: Twist | None = None,
    ) -> None:
        check_fit(type(self), energy)
        check_counts(at_once=at_once)
        check_twist(twist)
        self.target = Target.of(energy, max_length, tempered=proposal == "twisted")
        self.proposal, self.at_once = _looking(proposal, twist, self.target), at_once

    def draw(self, draws: Draws, n: int) -> WeightedSamples:
        return importance(self.target, draws, n, proposal=self.proposal, at_once=self.at_once)


class Rejection:
    """Exact draws, and Z from their rate (``rejection``).

    Parameters
    ----------
    energy : Energy
    max_length : int
    proposal : "masked", "model", "adaptive" or Proposal
        How the next token is proposed (``next_token``).
    log_bound : float, optional
        log M in nats; by default what the energy knows of itself, −floor.
    max_tries, at_once : int
    """

    kind: ClassVar[Kind] = "weighted"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token", "bound"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        proposal: ProposalName | TokenProposal = "model",
        log_bound: float | None = None,
        max_tries: int = 100_000,
        at_once: int = 64,
    ) -> None:
        check_fit(type(self), energy, () if log_bound is None else {"bound"})
        check_counts(max_tries=max_tries, at_once=at_once)
        self.target = Target.of(energy, max_length)
        self.proposal = _proposal(proposal)
        if self.proposal is finishing:
            raise InputError(
                'rejection needs bounded weights, which proposal="finishing" does not have: use '
                'proposal="masked", or importance or smc'
            )
        floor = energy.floor
        self.log_bound = -floor if log_bound is None and floor is not None else log_bound
        if self.log_bound is not None:
            _finite("log_bound", self.log_bound)
        self.max_tries, self.at_once = max_tries, at_once

    def draw(self, draws: Draws, n: int) -> WeightedSamples:
        return rejection(
            self.target,
            draws,
            n,
            proposal=self.proposal,
            log_bound=self.log_bound,
            max_tries=self.max_tries,
            at_once=self.at_once,
        )


class SMC:
    """Particles with resampling (``smc``).

    A weight of the model's −log p other than 1 is a power of p, which the particles follow from
    the first token on (power sampling).

    Parameters
    ----------
    energy : Energy
    max_length : int
    proposal : "twisted", "masked", "finishing", "model", "adaptive" or TokenProposal, optional
        How the next token is proposed. By default ``twisted`` where a twist can be compiled for
        the constraint (keywords, or none), else ``masked``.
    resampling : "auto", "multinomial", "stratified", "systematic" or "distinct"
        ``auto`` is ``distinct`` for powers of the model from 2 on, if the proposal lists the next
        tokens, and else ``systematic``.
    threshold : float
    twist : Twist, optional
        Of your own, for the proposal ``twisted``.
    islands : int, optional
        By default one for 32 particles, but at least 4 and at most 16; 1 for fewer than 32.
    ramp : int
        Tokens over which the particles come from p to its power.
    proposal_dtype : "float32", "bfloat16", "int8" or "auto"
        What the model multiplies in when it proposes; ``auto`` is the fastest that the processor
        is made for. Weights are those of the model as it is: the finished texts are scored by it.
        For a sampler this pays where few texts are left at the end.
    finals : int, optional
        Different texts that are scored so, as many of each island, the others thinned at random;
        by default all.

    References
    ----------
    Karan and Du 2025, "Reasoning with sampling", for the powers of p.
    """

    kind: ClassVar[Kind] = "weighted"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        proposal: SMCProposal | None = None,
        resampling: Literal["auto"] | Scheme = "auto",
        threshold: float = 0.5,
        twist: Twist | None = None,
        islands: int | None = None,
        ramp: int = 0,
        proposal_dtype: str = "float32",
        finals: int | None = None,
    ) -> None:
        check_fit(type(self), energy)
        if resampling not in ("auto", *SCHEMES):
            raise InputError(
                f"no resampling scheme {resampling!r:.60}; choose one of auto, {', '.join(SCHEMES)}"
            )
        if not 0 <= _finite("threshold", threshold) <= 1:
            raise InputError(f"the threshold must lie between 0 and 1, got {threshold}")
        check_twist(twist)
        if islands is not None:
            check_counts(islands=islands)
        check_whole(0, ramp=ramp)
        check_whole(2, finals=finals)
        looks = proposal in (None, "twisted", "masked", "finishing") or isinstance(
            proposal, Looking
        )
        self.target = Target.of(energy, max_length, tempered=looks, ramp=ramp)
        self.proposer = proposer_of(self.target.scorer, proposal_dtype)
        self.proposal = _looking(proposal, twist, replace(self.target, scorer=self.proposer))
        self.resampling: Scheme = _scheme(self.target, self.proposal, resampling)
        self.finals = finals
        self.threshold, self.islands = threshold, islands
        self.watch: Watch | None = None

    def draw(self, draws: Draws, n: int) -> WeightedSamples:
        return smc(
            self.target,
            draws,
            n,
            proposal=self.proposal,
            resampling=self.resampling,
            threshold=self.threshold,
            islands=self.islands or _islands(n),
            watch=self.watch,
            proposer=self.proposer,
            finals=self.finals,
        )


def _scheme(target: Target, proposal: TokenProposal, given: Literal["auto"] | Scheme) -> Scheme:
    """How particles are resampled."""
    if given != "auto":
        return given
    lists = isinstance(proposal, Masked | Twisted)
    return "distinct" if lists and target.power >= SHARP else "systematic"


def _islands(n: int) -> int:
    """Islands of n particles."""
    return 1 if n < ON_EACH else max(ISLANDS, min(MOST_ISLANDS, n // ON_EACH))


def _looking(
    given: SMCProposal | None,
    twist: Twist | None,
    target: Target,
) -> TokenProposal:
    """The proposal of a name, or the one that the automaton allows."""
    match given:
        case None | "twisted" | "masked":
            found = chosen_twist(target, given, twist)
            return masked if found is None else Twisted(found)
    if twist is not None:
        raise InputError(f'a twist goes with proposal="twisted", not {given!r:.60}')
    return _proposal(given)
