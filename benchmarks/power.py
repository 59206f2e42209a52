"""Power sampling: p to the power α over many tokens, by smc and by chains that rewrite suffixes.

    python benchmarks/power.py --alpha 4 --tokens 128 --rows 32 --islands 1 --seeds 10

Texts are the first ``--tokens`` of what the model goes on to write, cut there. Prints the standard
deviation of log Z over the seeds, the distinct ancestors and texts of each run, its CPU seconds
over those of free decoding of ``--rows`` rows of as many tokens with the same model, and the mean
log p of what it draws. ``--particles`` go side by side, by default as many as rows. ``--suffix``
adds the chains that are usual for this (Karan and Du 2025): as many as fit into ``--chains``, for
as many CPU seconds as a run of smc took on average.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

import ergotext as et
from ergotext.lm.energies.term import Sum
from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.proposals import model
from ergotext.samplers.weighted.registered import SMC

CONTEXT = "It was a quiet morning in the small town."


def free(energy: Sum, tokens: int, rows: int) -> tuple[float, float]:
    """CPU seconds of free decoding, and the mean log p of what it writes."""
    energy.forget()
    began = time.process_time()
    found = importance(Target.of(energy, tokens), SeededDraws(0), rows, proposal=model)
    took = time.process_time() - began
    assert energy.scorer is not None
    return took, float(energy.scorer.log_prob(found.batch).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--alpha", type=float, default=4.0)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--particles", type=int, default=None)
    parser.add_argument("--context", default=CONTEXT)
    parser.add_argument("--resampling", default="auto")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--ramp", type=int, default=0)
    parser.add_argument("--islands", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--suffix", action="store_true", help="compare suffix chains")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    fluent = et.fluency(et.load(arguments.model), arguments.context, end=arguments.tokens)
    whole = et.length(arguments.tokens, 0.05)
    plain, powered = 1.0 * fluent, arguments.alpha * fluent + whole
    particles = arguments.particles or arguments.rows
    decoding, usual = free(plain, arguments.tokens, arguments.rows)
    print(f"free decoding: CPU {decoding:.1f} s, mean log p {usual:.1f}", flush=True)
    began = time.process_time()
    sampler = SMC(
        powered,
        arguments.tokens,
        ramp=arguments.ramp,
        islands=arguments.islands,
        resampling=arguments.resampling,
    )
    made = time.process_time() - began
    scorer = fluent.scorer
    log_z, seconds, ancestors, log_prob = [], [], [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        powered.forget()
        began = time.process_time()
        found = sampler.draw(SeededDraws(seed), particles)
        seconds.append(time.process_time() - began)
        assert isinstance(found, Particles)
        log_z.append(found.log_z)
        ancestors.append(len(found.root.unique()))
        log_prob.append(float(found.weights @ scorer.log_prob(found.batch)))
        print(
            f"  seed {seed}: log Z {log_z[-1]:.2f} ± {found.log_z_stderr:.2f}, {ancestors[-1]} "
            f"ancestors ({found.ancestors:.1f} effective), {len(set(found.batch.rows()))} texts "
            f"worth {found.ess:.1f}, mean log p {log_prob[-1]:.1f}, CPU {seconds[-1]:.1f} s",
            flush=True,
        )
    spread = float(np.std(log_z, ddof=1)) if len(log_z) > 1 else float("nan")
    print(
        f"smc ({sampler.resampling}), p^{arguments.alpha:g}, {particles} particles of at most "
        f"{arguments.tokens} tokens: sd of log Z {spread:.2f} over {len(log_z)} seeds, ancestors "
        f"{min(ancestors)} to {max(ancestors)}, CPU {np.mean(seconds):.1f} s a run "
        f"({made:.1f} s before), {np.mean(seconds) / decoding:.2f} × free decoding, mean log p "
        f"{np.mean(log_prob):.1f}"
    )
    if arguments.suffix:
        chains(powered, arguments, float(np.mean(seconds)))


def chains(energy: Sum, arguments: argparse.Namespace, limit: float) -> None:
    """Suffix chains for as many CPU seconds, from free draws of the model."""
    assert energy.scorer is not None
    energy.forget()
    began = time.process_time()
    first = importance(
        Target.of(energy, arguments.tokens), SeededDraws(0), arguments.chains, proposal=model
    )
    sampler, draws = SAMPLERS["suffix"](energy, arguments.tokens), SeededDraws(0)
    state = sampler.init(draws, arguments.chains, first.batch)
    means, accepted = [], []
    while time.process_time() - began < limit:
        state, info = sampler.step(draws, state)
        means.append(float(energy.scorer.log_prob(state.batch).mean()))
        accepted.append(float(info.accepted.double().mean()))
    half = means[len(means) // 2 :]
    print(
        f"suffix, {arguments.chains} chains, {len(means)} steps in {limit:.0f} CPU s: accepted "
        f"{np.mean(accepted):.0%}, mean log p of the second half {np.mean(half):.1f}, of the last "
        f"{means[-1]:.1f}, mean length {float(state.batch.length.double().mean()):.0f}"
    )


if __name__ == "__main__":
    main()
