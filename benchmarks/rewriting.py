"""How soon chains agree: R-hat and effective draws at equal CPU seconds.

    python benchmarks/rewriting.py --seconds 60 [--only rewrite suffix mh] [--set tries=8]

Two targets of SmolLM2, after the context of ``write`` and ended by the end of a sentence: a text
with "rain" somewhere, and one of about 12 tokens (``length``). Eight chains begin at texts drawn
one by one from the twisted proposal, without their weights, and the first third of each run is
dropped. Figures are of the energy and of the number of tokens; one thread.
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
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.twisted import Twisted, twist_of
from ergotext.tasks.demands import CONTEXT

LONGEST, CHAINS = 20, 8


def energies() -> dict[str, Sum]:
    fluent = et.fluency(et.load("smollm2"), CONTEXT, end="sentence")
    return {
        "rain": fluent + et.keywords(["rain"], any_order=True),
        "12 tokens": fluent + et.length(12),
    }


def begun(energy: Sum) -> TokenBatch:
    """Texts of the twisted proposal in which every keyword stands as the tokenizer writes it."""
    rows: list[tuple[int, ...]] = []
    target, seed = Target.of(energy, LONGEST), 0
    proposal = Twisted(twist_of(target))
    while len(rows) < CHAINS:
        batch = importance(target, SeededDraws(seed), 16, proposal=proposal).batch
        marks = energy.locked(batch)
        held = [energy.marks <= set(row) for row in marks.tolist()]
        rows += [row for row, kept in zip(batch.rows(), held, strict=True) if kept]
        seed += 1
    return TokenBatch.of(rows[:CHAINS])


def measure(name: str, energy: Sum, initial: TokenBatch, seconds: float, **options: Any) -> str:
    energy.forget()
    sampler = SAMPLERS[name](energy, max_length=LONGEST, **options)
    draws = SeededDraws(0)
    state = sampler.init(draws, CHAINS, initial)
    values, lengths, accepted = [], [], []
    began = time.process_time()
    while time.process_time() - began < seconds:
        state, info = sampler.step(draws, state)
        values.append(state.energy)
        lengths.append(state.batch.length.double())
        accepted.append(info.accepted.double())
    traces = [torch.stack(each)[len(each) // 3 :].numpy() for each in (values, lengths)]
    figures = " | ".join(f"{r_hat(trace):.2f} | {ess_bulk(trace):.0f}" for trace in traces)
    rate = float(torch.stack(accepted).mean())
    told = ", ".join(f"{key}={value}" for key, value in options.items())
    mean = float(traces[0].mean())
    return f"| `{name}` {told} | {len(values)} | {rate:.1%} | {figures} | {mean:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", nargs="+", default=["rewrite", "suffix", "mh"])
    parser.add_argument("--targets", nargs="+", default=["rain", "12 tokens"])
    parser.add_argument("--set", nargs="+", default=[], help="options of rewrite: tries=8")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    given = dict(one.split("=", 1) for one in arguments.set)
    options = {key: ast.literal_eval(value) for key, value in given.items()}
    for target, energy in energies().items():
        if target not in arguments.targets:
            continue
        initial = begun(energy)
        print(f"\n{target}, {arguments.seconds:g} CPU seconds each\n")
        print("| sampler | steps | accepted | R-hat E | ESS E | R-hat n | ESS n | mean E |")
        print("| --- " * 8 + "|", flush=True)
        for name in arguments.only:
            more = options if name == "rewrite" else {}
            print(measure(name, energy, initial, arguments.seconds, **more), flush=True)


if __name__ == "__main__":
    main()
