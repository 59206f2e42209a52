"""Check a sampler of one's own by its kind, on a toy model whose texts can all be listed."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, get_args

import numpy as np
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Custom, Sum
from ergotext.samplers.base import Sampler, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import Target
from ergotext.testing.exhaust import StepPaths, paths_of_step, stationary, transitions
from ergotext.testing.require import require
from ergotext.testing.tables import FEW, expected, mass, require_mass, soft
from ergotext.testing.toy import ToyFluency, ToyProposer, ToyScorer, space, toy_energy

EXACT = 1e-9
FOUND = 0.9
"""The share of an optimiser's runs that must find the minimum"""
RUNS = 50
MOST = 1000
"""States of a chain beyond which nothing is enumerated"""


def check_sampler(
    sampler: Callable[..., Any],
    energy: Sum | None = None,
    *,
    max_length: int = 3,
    initial: TokenBatch | None = None,
    n: int = 2,
    **options: Any,
) -> None:
    """Prove that a sampler does what its kind promises; every path of its draws is walked.

    - ``invariant``: one step keeps π ∝ exp(−E/T), max|πP − π| < 1e-9, over all texts that it
      reaches from where it starts; it moves, and is not periodic.
    - ``weighted``: Σ_paths p · w · 1[x] = p̃(x) to 1e-9 for every text x.
    - ``optimiser``: 90% of 50 seeded runs find the lowest energy (of 400 steps, if it takes them).
    - ``implicit``: it moves among the texts that it reaches, all of which it reaches again.

    Of all chains: states stay as they were, carry their energy, and agree with what ``Info`` says.

    Parameters
    ----------
    sampler : class
        Made of ``(energy, max_length=…, **options)``.
    energy : Sum, optional
        Made of the toy model, such as ``toy_energy(["a"])``; by default one with all that
        samplers need.
    max_length : int
        Longest text, in tokens.
    initial : TokenBatch, optional
        Where a chain starts; by default a text of that length.
    n : int
        Draws of a weighted sampler.
    **options
        Of the sampler; π is that of the ``temperature`` among them.

    Raises
    ------
    AssertionError
        With a sentence that says what is wrong.
    InputError
        What it does cannot be enumerated: too many states, or more in a state than its text.
    """
    name, kind = getattr(sampler, "__name__", str(sampler)), getattr(sampler, "kind", None)
    kinds = ", ".join(get_args(Kind))
    require(kind in get_args(Kind), f"{name}.kind must be one of {kinds}, and is {kind!r}")
    require(
        isinstance(getattr(sampler, "needs", None), frozenset),
        f"{name}.needs must be a frozenset of what an energy must have; frozenset() for nothing",
    )
    energy = _energy(sampler) if energy is None else energy
    if kind == "optimiser" and "steps" in signature(sampler).parameters:
        options.setdefault("steps", 400)
    made = sampler(energy, max_length=max_length, **options)
    if kind == "weighted":
        _check_weights(made, energy, max_length, n)
        return
    states = space(energy, max_length)
    first = states.select([len(states) - 1]) if initial is None else initial
    _check_states(made, energy, first, max_length)
    if kind == "optimiser":
        _check_minimum(made, float(energy(states).min()), first, options.get("steps", 400))
    else:
        _check_law(made, energy, first, options.get("temperature", 1.0), kind == "invariant")


def _energy(sampler: Any) -> Sum:
    """A toy energy with all that a sampler of its kind may need."""
    if sampler.kind == "weighted":
        beside = [] if "bound" in sampler.needs else [(1.0, Custom(soft, "soft", False))]
        return Sum([(1.0, ToyFluency(ToyScorer(2))), (1.0, matches(FEW)), *beside])
    tilt = Custom(lambda b: (b.ids == 2).sum(-1) * 0.7 - b.ids[:, :1].sum(-1) * 0.2, "tilt", False)
    parts: list[Any] = [(0.6, toy_energy()), (1.0, tilt), (0.0, ToyProposer(1))]
    if "automaton" in sampler.needs:
        parts.append((1.0, matches(FEW)))
    return Sum(parts)


def _check_weights(made: Any, energy: Sum, max_length: int, n: int) -> None:
    target = Target.of(energy, max_length)
    found, _ = expected(lambda _, draws: made.draw(draws, n), target)
    require_mass(found, mass(target))


def _check_states(made: Sampler, energy: Sum, first: TokenBatch, max_length: int) -> None:
    """Ten steps of four chains: shapes, energies that are fresh, and states that stay put."""
    draws = SeededDraws(3)
    state = made.init(draws, 4, first)
    require(len(state.batch) == 4, f"init(…, 4 chains) gave {len(state.batch)}")
    begun = set(state.batch.rows()) <= set(first.rows())
    require(
        begun, f"chains must begin at initial, {first.rows()}, and begin at {state.batch.rows()}"
    )
    for _ in range(10):
        before, kept = state.batch.rows(), state.energy.clone()
        after, info = made.step(draws, state)
        still = state.batch.rows() == before and torch.equal(state.energy, kept)
        require(still, "step changed the state that it was given; it must make another one")
        require(after.step == state.step + 1, "step must count: after.step = state.step + 1")
        _check_kept(energy, after)
        longest = after.batch.longest
        require(longest <= max_length, f"a text has {longest} tokens, of {max_length} at most")
        for name in ("move", "proposal_energy", "log_ratio", "accepted", "temperature"):
            shape = list(getattr(info, name).shape)
            require(shape == [4], f"Info.{name} must be [4], one a chain, and is {shape}")
        _check_allowed(energy, info.proposal)
        known = int(info.move.min()) >= 0 and int(info.move.max()) < len(made.moves)
        require(known, f"Info.move must number one of the moves {made.moves}")
        taken = info.proposal.where(info.accepted, state.batch).rows() == after.batch.rows()
        require(taken, "the next state must be Info.proposal where accepted, else the old state")
        told = torch.where(info.accepted, info.proposal_energy, after.energy)
        require(
            torch.allclose(told, after.energy, rtol=0, atol=EXACT),
            "Info.proposal_energy must be the energy of Info.proposal, and is another",
        )
        sure = bool((info.log_ratio[info.accepted] > -torch.inf).all())
        require(sure, "Info.log_ratio is -inf for a proposal that was accepted")
        state = after


def _check_allowed(energy: Sum, batch: TokenBatch) -> None:
    if energy.scorer is not None and bool(batch.inside.any()):
        allowed = set(energy.scorer.allowed.nonzero()[:, 0].tolist())
        special = sorted({token for row in batch.rows() for token in row} - allowed)
        require(not special, f"it proposed the tokens {special}, which the model does not allow")


def _check_kept(energy: Sum, state: State) -> None:
    fresh = energy(state.batch)
    for row, kept, new in zip(
        state.batch.rows(), state.energy.tolist(), fresh.tolist(), strict=True
    ):
        same = abs(kept - new) < EXACT
        require(same, f"the state keeps {kept:.6g} as the energy of {row}, which is {new:.6g}")
    require(
        torch.equal(state.batch.locked, energy.locked(state.batch)),
        "the lock marks of the state are not those of its tokens (energy.locked)",
    )


def _check_law(
    made: Sampler, energy: Sum, first: TokenBatch, temperature: float, invariant: bool
) -> None:
    states, paths = _reached(made, first)
    _check_allowed(energy, paths.info.proposal)
    _check_kept(energy, paths.after)
    matrix = transitions(paths, states)
    moving = len(states) >= 4
    require(
        moving,
        f"it reaches {len(states)} texts in all, too few to prove anything: {states.rows()}; start "
        f"elsewhere (initial=), or give it more moves",
    )
    if invariant:
        pi = stationary(energy(states), 1 / temperature)
        after = pi @ matrix
        at = int(np.abs(after - pi).argmax())
        require(
            bool(abs(after[at] - pi[at]) < EXACT),
            f"it does not keep exp(−E/T): {states.rows()[at]} has probability {pi[at]:.6g}, and "
            f"{after[at]:.6g} after one step",
        )
    power, steps = matrix > 0, 1
    while steps < len(states) ** 2:
        power, steps = (power.astype(np.float64) @ power.astype(np.float64)) > 0, 2 * steps
    require(bool(power.all()), "it is periodic, or does not come back to every text it has been at")


def _reached(made: Sampler, first: TokenBatch) -> tuple[TokenBatch, StepPaths]:
    """Every text that a chain comes to from a first one, and all paths of a step from each."""
    begin = made.init(SeededDraws(0), len(first), first)
    if type(begin) is not State:
        raise InputError(
            f"its state is a {type(begin).__name__}, more than a text: list its states and call "
            f"ergotext.testing.paths_of_step yourself, as ergotext.testing.exhaust does of ladders"
        )
    known = dict.fromkeys(begin.batch.rows())
    new, energy = begin.batch, getattr(made, "energy")  # noqa: B009 - Sampler names none
    while len(new):
        after = paths_of_step(made, new, energy(new)).after.batch
        rows = {row: i for i, row in enumerate(after.rows()) if row not in known}
        known |= dict.fromkeys(rows)
        if len(known) > MOST:
            raise InputError(f"it reaches more than {MOST} texts: lower max_length")
        new = after.select(list(rows.values()))
    states = TokenBatch.of(list(known))
    states = TokenBatch(states.ids, states.length, energy.locked(states))
    return states, paths_of_step(made, states, energy(states))


def _check_minimum(made: Sampler, lowest: float, first: TokenBatch, steps: int) -> None:
    draws = SeededDraws(0)
    state = made.init(draws, RUNS, first)
    found = state.energy < lowest + EXACT
    for _ in range(steps):
        state, _ = made.step(draws, state)
        found |= state.energy < lowest + EXACT
    share = float(found.double().mean())
    require(
        share >= FOUND,
        f"{share:.0%} of {RUNS} runs of {steps} steps found the lowest energy, {lowest:.6g}; "
        f"{FOUND:.0%} must",
    )
