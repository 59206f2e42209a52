"""How soon chains agree: R-hat and effective draws at equal CPU seconds.

    python benchmarks/rewriting.py --seconds 60 [--only rewrite suffix mh] [--set rewrite.tries=8]
    python benchmarks/rewriting.py --only pimh --set pimh.particles=16 --seconds 60 180 300

Targets of SmolLM2, after the context of ``write`` and ended by the end of a sentence: a text with
"rain" somewhere, one with "dog" and "park", and one of about 12 tokens (``length``). Eight chains
begin at texts drawn one by one from the twisted proposal, without their weights; those of ``pimh``
and ``particle-gibbs`` at draws of their own runs. The first steps of each run are dropped, by
default a third. Figures are of the energy and of the number of tokens, after each of the times
given: CPU seconds of one thread, or wall seconds where ``--threads`` are more.

    python benchmarks/rewriting.py --only pimh --targets rain --chains 4 --threads 2 --seconds 300
"""

from __future__ import annotations

import argparse
import ast
import time
import warnings
from typing import Any

import torch

import ergotext as et
from ergotext import TokenBatch
from ergotext.lm.energies.term import Sum
from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.diagnostics import ess_bulk, r_hat
from ergotext.samplers.target import Target
from ergotext.samplers.twists import twist_of
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.tasks.demands import CONTEXT

LONGEST, CHAINS = 20, 8
OWN_RUNS = {"pimh", "particle-gibbs"}
"""Samplers that begin at texts of their own."""


def energies() -> dict[str, Sum]:
    fluent = et.fluency(et.load("smollm2"), CONTEXT, end="sentence")
    return {
        "rain": fluent + et.keywords(["rain"], any_order=True),
        "dog,park": fluent + et.keywords(["dog", "park"], any_order=True),
        "12 tokens": fluent + et.length(12),
    }


def begun(energy: Sum, chains: int) -> TokenBatch:
    """Texts of the twisted proposal in which every keyword stands as the tokenizer writes it."""
    rows: list[tuple[int, ...]] = []
    target, seed = Target.of(energy, LONGEST), 0
    proposal = Twisted(twist_of(target))
    while len(rows) < chains:
        batch = importance(target, SeededDraws(seed), 16, proposal=proposal).batch
        marks = energy.locked(batch)
        held = [energy.marks <= set(row) for row in marks.tolist()]
        rows += [row for row, kept in zip(batch.rows(), held, strict=True) if kept]
        seed += 1
    return TokenBatch.of(rows[:chains])


def measure(
    name: str,
    energy: Sum,
    initial: TokenBatch | None,
    seconds: list[float],
    chains: int,
    drop: float,
    **options: Any,
) -> None:
    """Print a line for each of the times, of one run."""
    energy.forget()
    sampler = SAMPLERS[name](energy, max_length=LONGEST, **options)
    draws = SeededDraws(0)
    values, lengths, accepted = [], [], []
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    state = sampler.init(draws, chains, initial)
    told = ", ".join(f"{key}={value}" for key, value in options.items())
    for limit in sorted(seconds):
        while clock() - began < limit:
            state, info = sampler.step(draws, state)
            values.append(state.energy)
            lengths.append(state.batch.length.double())
            accepted.append(info.accepted.double())
        traces = [torch.stack(each)[int(drop * len(each)) :].numpy() for each in (values, lengths)]
        figures = " | ".join(f"{r_hat(trace):.2f} | {ess_bulk(trace):.0f}" for trace in traces)
        rate, mean = float(torch.stack(accepted).mean()), float(traces[0].mean())
        cells = f"{limit:g} | {len(values)} | {rate:.1%} | {figures} | {mean:.1f}"
        print(f"| `{name}` {told} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0])
    parser.add_argument("--chains", type=int, default=CHAINS)
    parser.add_argument("--drop", type=float, default=1 / 3, help="share of the steps")
    parser.add_argument("--only", nargs="+", default=["rewrite", "suffix", "mh"])
    parser.add_argument("--targets", nargs="+", default=["rain", "12 tokens"])
    parser.add_argument("--set", nargs="+", default=[], help="options: rewrite.tries=8")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    unit = "CPU s" if arguments.threads == 1 else f"s of {arguments.threads} threads"
    warnings.simplefilter("ignore")
    options: dict[str, dict[str, Any]] = {name: {} for name in arguments.only}
    for one in arguments.set:
        (name, key), value = one.split("=", 1)[0].split(".", 1), one.split("=", 1)[1]
        options[name][key] = ast.literal_eval(value)
    for target, energy in energies().items():
        if target not in arguments.targets:
            continue
        given = None
        if not {*arguments.only} <= OWN_RUNS:
            given = begun(energy, arguments.chains)
        print(f"\n{target}, {arguments.chains} chains\n")
        print(
            f"| sampler | {unit} | steps | accepted | R-hat E | ESS E | R-hat n | ESS n | mean E |"
        )
        print("| --- " * 9 + "|", flush=True)
        for name in arguments.only:
            initial = None if name in OWN_RUNS else given
            how = (arguments.seconds, arguments.chains, arguments.drop)
            measure(name, energy, initial, *how, **options[name])


if __name__ == "__main__":
    main()
