"""Every registered sampler on one hard target: ESS a second, acceptance, k-hat or R-hat.

    python benchmarks/samplers.py [--target smollm2|tiny] [--seconds 60] [--only smc gibbs …]
        [--proposal masked|twisted]

The target is a model behind a prompt under a regular expression that demands a keyword: SmolLM2, or
tiny-causal, whose tokenizer a masked model shares (tiny-masked), so that all samplers run. They get
the same CPU seconds each, one after the other in one process. Those that can propose by a twist are
run with and without it; it is learned once, and the seconds of that are told. Chains start at
independent draws of the masked model, and the first third of their steps is dropped; their ESS and
R-hat are those of the energy. Weighted samplers draw again and again, and all their draws are
weighed together; after resampling, draws of one ancestor count as one. Needs arviz-stats.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
import warnings
from typing import Any

import numpy as np
import torch
from arviz_stats.base import array_stats

import ergotext as et
from ergotext import TokenBatch
from ergotext.lm.energies.term import Sum
from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.registry import lacking
from ergotext.samplers.search.without_replacement import WithoutReplacement
from ergotext.samplers.target import Target
from ergotext.samplers.twists import twist_of
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.pareto import k_hat
from ergotext.samplers.weighted.samples import WeightedSamples, ZeroWeightError

PROMPT = "The weather report:"
EXPRESSION = r"( [A-Z]?[a-z]{1,10}){1,4} rain( [a-z]{1,10}){1,4}\."
LONGEST, CHAINS, DRAWS = 14, 8, 64
OPTIONS: dict[str, dict[str, Any]] = {
    "rejection": {"proposal": "masked", "max_tries": 256},
    "annealing": {"steps": 1000},
    "gibbs": {"candidates": 16},
}
"""What a sampler is made with, where its own defaults do not fit a time limit."""
TWISTED = {
    "ais", "importance", "independence", "particle-gibbs", "pimh", "smc", "stochastic-beam",
    "suffix",
}  # fmt: skip
"""Samplers that propose by a twist, or by the masked model."""
COLUMNS = ["sampler", "kind", "done", "ESS", "ESS/s", "accepted", "k-hat or R-hat", "outcome"]


def problem(target: str) -> Sum:
    if target == "smollm2":
        energy = et.fluency(et.load("smollm2").given(PROMPT)) + et.matches(EXPRESSION)
    else:
        masked = 0.0 * et.pseudo_likelihood(et.load("tiny-masked"))
        lm = et.load("tiny-causal").given(PROMPT)
        energy = et.fluency(lm) + et.matches(EXPRESSION) + masked
    assert isinstance(energy, Sum)
    return energy


def begun(energy: Sum, count: int) -> TokenBatch:
    """Independent draws of the masked model that the energy allows, not weighted."""
    rows: list[tuple[int, ...]] = []
    seed = 1000
    while len(rows) < count:
        with contextlib.suppress(ZeroWeightError):
            rows += importance(Target.of(energy, LONGEST), SeededDraws(seed), 32).batch.rows()
        seed += 1
    batch = TokenBatch.of(rows[:count])
    return TokenBatch(batch.ids, batch.length, energy.locked(batch))


def chains(sampler: Any, initial: TokenBatch, seconds: float) -> dict[str, str]:
    draws, energies, accepted = SeededDraws(0), [], []
    state = sampler.init(draws, CHAINS, initial)
    began = time.process_time()
    while time.process_time() - began < seconds:
        state, info = sampler.step(draws, state)
        energies.append(state.energy)
        accepted.append(info.accepted)
    took = time.process_time() - began
    trace = torch.stack(energies, dim=1).numpy()
    cells = {
        "done": f"{trace.shape[1]} steps of {CHAINS}",
        "accepted": f"{float(torch.stack(accepted).double().mean()):.2%}",
        "outcome": f"lowest energy {trace.min():.1f}, mean of the last {trace[:, -1].mean():.1f}",
    }
    kept = trace[:, trace.shape[1] // 3 :]
    if sampler.kind == "optimiser" or kept.shape[1] < 8:
        return cells
    # A chain that stood still has no effective samples, whatever a formula says of it.
    moving = bool((kept.std(axis=1) > 0).all())
    ess = float(array_stats.ess(kept, chain_axis=0, draw_axis=1, method="bulk")) if moving else 0.0
    r_hat = float(array_stats.rhat(kept, chain_axis=0, draw_axis=1)) if moving else math.inf
    return cells | {
        "ESS": f"{ess:.1f}", "ESS/s": f"{ess / took:.3f}", "k-hat or R-hat": f"R-hat {r_hat:.2f}"
    }  # fmt: skip


def weighted(sampler: Any, seconds: float) -> dict[str, str]:
    runs: list[WeightedSamples] = []
    tries = seed = 0
    began = time.process_time()
    while time.process_time() - began < seconds:
        try:
            runs.append(sampler.draw(SeededDraws(seed), DRAWS))
            tries += runs[-1].tries
        except ZeroWeightError:
            tries += getattr(sampler, "max_tries", DRAWS)
        seed += 1
    took = time.process_time() - began
    if not runs:
        return {"done": f"{seed} runs, {tries} tries", "outcome": "nothing met the target"}
    log_weight = torch.cat([run.log_weight - math.log(run.tries) for run in runs])
    weight = log_weight.softmax(0)
    ess = float(1 / (weight.square() * chance(runs)).sum())
    log_z = float(log_weight.logsumexp(0)) - math.log(seed)
    error = float(np.std([run.log_z for run in runs])) if len(runs) > 1 else math.nan
    tail = k_hat(log_weight.numpy(), tries)
    outcome = f"log Z {log_z:.2f}, each run's ± {error:.2f}"
    without = isinstance(runs[0], WithoutReplacement)
    return {
        "done": f"{seed} runs, {tries} tries",
        "ESS": f"{ess:.1f}",
        "ESS/s": f"{ess / took:.3f}",
        "accepted": f"{len(log_weight) / tries:.2%}",
        "k-hat or R-hat": "–" if without else f"k-hat {tail:.2f}",
        "outcome": outcome,
    }


def chance(runs: list[WeightedSamples]) -> torch.Tensor:
    """float64 [K]: by what a draw's squared share counts.

    1 for an independent draw; 1 − q_κ where it came without replacement; and where draws share an
    ancestor, the share of all of them over its own.
    """
    parts = []
    for run in runs:
        if isinstance(run, WithoutReplacement):
            parts.append(-torch.expm1(run.log_inclusion))
            continue
        own = run.weights
        family = torch.zeros(run.tries, dtype=torch.float64).index_add(0, run.root, own)
        parts.append(family[run.root] / own)
    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=["smollm2", "tiny"], default="smollm2")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", nargs="+", choices=SAMPLERS, default=None)
    parser.add_argument(
        "--proposals", nargs="+", choices=["masked", "twisted"], default=["masked", "twisted"]
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    energy = problem(arguments.target)
    print(f"{arguments.target}, {PROMPT!r} {EXPRESSION!r}, at most {LONGEST} tokens;")
    print(f"{arguments.seconds} CPU s each, ", end="")
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), float32\n")
    initial = begun(energy, CHAINS)
    twist = None
    if "twisted" in arguments.proposals:
        began = time.process_time()
        twist = twist_of(Target.of(energy, LONGEST))
        print(f"The twist was learned in {time.process_time() - began:.1f} CPU s.\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    classes = {sampler: name for name, sampler in reversed(SAMPLERS.items())}
    for sampler, name in sorted(classes.items(), key=lambda pair: (pair[0].kind, pair[1])):
        if arguments.only and name not in arguments.only:
            continue
        for proposal in arguments.proposals if name in TWISTED else [None]:
            options = {} if proposal is None else {"proposal": proposal}
            options |= {"twist": twist} if proposal == "twisted" else {}
            cells = {"sampler": f"`{name}`" + (f", {proposal}" if proposal else "")}
            cells |= {"kind": sampler.kind}
            cells |= run(name, energy, initial, arguments.seconds, options)
            print(f"| {' | '.join(cells.get(column, '–') for column in COLUMNS)} |", flush=True)


def run(
    name: str, energy: Sum, initial: TokenBatch, seconds: float, options: dict[str, Any]
) -> dict[str, str]:
    """The cells of one sampler."""
    if missing := lacking(SAMPLERS[name], energy):
        return {"outcome": f"not measured: it needs {', '.join(missing)}"}
    energy.forget()
    made = SAMPLERS[name](energy, max_length=LONGEST, **OPTIONS.get(name, {}), **options)
    if made.kind == "weighted":
        return weighted(made, seconds)
    return chains(made, initial, seconds)


if __name__ == "__main__":
    main()
