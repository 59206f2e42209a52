"""Twists of targets: made once for a model, checked, and multiplied with what the model says.

Which samplers take one by default is decided here, for all of them.
"""

from __future__ import annotations

from typing import Literal
from weakref import finalize, proxy

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import NextTokenScorer, Twist
from ergotext.lm.twist import Hazards, compile_twist, has_twist, is_listed, learn_twist
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.unconstrained import Unconstrained
from ergotext.support.arrays import Ints

HAZARDS_SEED = 20161
"""Seed of the draws that hazards are averaged over; one for all, so that a twist is a function of
the model alone."""
FAINT = 1e-150
"""Sum of a row's weights from which they are taken in logs: denormal numbers would be near."""
_KNOWN: dict[int, dict[float, Hazards]] = {}
"""By the identity of the model, as long as it lives."""

Law = Literal["twisted", "masked"]


def hazards_of(scorer: NextTokenScorer, power: float = 1.0) -> Hazards:
    """The hazards of a model, estimated once."""
    if id(scorer) not in _KNOWN:
        _KNOWN[id(scorer)] = {}
        finalize(scorer, _KNOWN.pop, id(scorer), None)
    known = _KNOWN[id(scorer)]
    if power not in known:
        draws = SeededDraws(HAZARDS_SEED)
        # What is kept must not keep the model.
        known[power] = Hazards.estimate(proxy(scorer), draws.categorical, power=power)
    return known[power]


def twist_of(target: Target, hazards: Hazards | None = None) -> Twist:
    """The twist of a target, compiled from its automaton, its length terms and its model.

    For an automaton of which nothing is known beforehand it is learned from texts that the model
    writes in it, drawn with a seed of their own.

    Parameters
    ----------
    target : Target
    hazards : Hazards, optional
        By default they are estimated, once for a model and a power.
    """
    if not (has_twist(target.automaton) or isinstance(target.automaton, Unconstrained)):
        return learn_twist(
            target.automaton,
            target.scorer,
            target.max_length,
            SeededDraws(HAZARDS_SEED).categorical,
            power=target.power,
            by_length=target.by_length,
        )
    return compile_twist(
        target.automaton,
        target.scorer,
        target.max_length,
        hazards or hazards_of(target.scorer, target.power),
        by_length=target.by_length,
    )


def check_twist(twist: object) -> None:
    """Raise InputError for what is no twist; None is none at all."""
    if not (twist is None or isinstance(twist, Twist)):
        raise InputError(f"twist must have a method psi (protocols.Twist), got {twist!r:.60}")


def chosen_twist(target: Target, given: Law | None, twist: Twist | None) -> Twist | None:
    """The twist that a sampler proposes by; None where it is the model masked by the automaton.

    Parameters
    ----------
    target : Target
    given : "twisted" or "masked", optional
        By default ``twisted`` where one of one's own is given, or where the automaton is of a kind
        that more than lengths is known of, a trie of few keys, or none.
    twist : Twist, optional
        Of one's own.

    Raises
    ------
    InputError
        Another law is asked for, or a twist is given that it does not take.
    """
    if given not in (None, "twisted", "masked"):
        raise InputError(f"no proposal {given!r:.60}; choose one of twisted, masked")
    check_twist(twist)
    if twist is not None:
        if given == "masked":
            raise InputError(f'a twist goes with proposal="twisted", not {given!r:.60}')
        return twist
    automaton = target.automaton
    known = has_twist(automaton) or is_listed(automaton)
    twistable = known or isinstance(automaton, Unconstrained)
    if given == "masked" or not (given or twistable):
        return None
    return twist_of(target)


def psi_of(twist: Twist, states: Ints, left: int, size: int) -> Tensor:
    """float64 [B, size]: ψ of each next token, with ``left`` tokens to follow it.

    Raises
    ------
    EnergyError
        The twist gives other than one number of at least 0 for each state and token.
    """
    psi = torch.from_numpy(twist.psi(states, left, size))
    if psi.shape != (len(states), size) or psi.dtype != torch.float64:
        raise EnergyError(
            f"the twist must be float64 {[len(states), size]}, one number for each state and "
            f"token, got {psi.dtype} {list(psi.shape)}"
        )
    if psi.numel():
        least, most = psi.aminmax()  # NaN, if there is one
        if not (least >= 0 and most < torch.inf):
            raise EnergyError("the twist must be 0 or more and finite for every state and token")
    return psi


def weighed(log_prob: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
    """float64 [B, V] and [B]: pψ of each row over a factor, and the factor's log.

    Parameters
    ----------
    log_prob, psi : float64 [B, V]
    """
    scale = log_prob.amax(1)
    weight = (log_prob - scale[:, None]).exp_().mul_(psi)
    # What may follow can be far less probable than what may not.
    low = (weight.sum(1) < FAINT).nonzero()[:, 0]
    if len(low):
        log_weight = log_prob[low] + psi[low].log()
        scale[low] = log_weight.amax(1).clamp(min=torch.finfo(torch.float64).min)
        weight[low] = (log_weight - scale[low, None]).exp_()
    return weight, scale
