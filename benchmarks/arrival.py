"""How soon smc arrives: the spread of log Z over seeds, and effective draws a minute.

    python benchmarks/arrival.py rain "dog,park" "summer,beach,ice cream" --seeds 20

For each set of keywords, in any order, ended by the end of the sentence: the standard deviation of
log Z over the seeds; how often two stated errors hold the mean; and effective draws a minute, told
by var_π(f) / var_seeds(f̂) for f = log p and the length. Weights after a resampling tell nothing of
that. ``--proposal masked`` shows the same without a twist.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

import ergotext as et
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.weighted.registered import SMC
from ergotext.tasks.write import CONTEXT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=20)
    parser.add_argument("--proposal", default="twisted")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    fluent = et.fluency(et.load("smollm2"), CONTEXT, end="sentence")
    for words in arguments.sets:
        energy = fluent + et.keywords(words.split(","), any_order=True)
        sampler = SMC(energy, arguments.max_length, proposal=arguments.proposal)
        means, squares, log_z, errors, seconds = [], [], [], [], []
        for seed in range(arguments.seeds):
            energy.forget()
            began = time.perf_counter()
            try:
                found = sampler.draw(SeededDraws(seed), arguments.particles)
            except et.ErgotextError as error:
                print(f"  seed {seed}: {error}")
                continue
            seconds.append(time.perf_counter() - began)
            features = torch.stack(
                [fluent.scorer.log_prob(found.batch), found.batch.length.double()]
            ).numpy()
            weight = found.weights.numpy()
            means.append(features @ weight)
            squares.append(features**2 @ weight)
            log_z.append(found.log_z)
            errors.append(found.log_z_stderr)
        z, error = np.array(log_z), np.array(errors)
        of_all = np.log(np.mean(np.exp(z - z.max()))) + z.max()
        mean = np.array(means)
        spread = np.mean(squares, axis=0) - mean.mean(0) ** 2
        worth = spread / mean.var(0, ddof=1)
        held = np.mean(np.abs(z - of_all) <= 2 * error)
        print(
            f"{words}: log Z of all {of_all:.2f}, sd over {len(z)} seeds {z.std(ddof=1):.2f}, two "
            f"stated errors hold it in {held:.0%}; {np.mean(seconds):.1f} s a run, effective draws "
            f"a run {worth[0]:.1f} (log p), {worth[1]:.1f} (length), a minute "
            f"{60 * worth[0] / np.mean(seconds):.0f} and {60 * worth[1] / np.mean(seconds):.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
