"""The energy that annealing reaches beside a plain serial chain, in equal wall time.

    python benchmarks/speed.py SETS

SETS is a JSON Lines file with a list ``concepts`` on each line. Same model, dtype and threads, one
after the other. How fast each of them scores and steps is in the table of ``bench.py``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from plain import PlainChain

from ergotext import load
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.terms import fluency, length
from ergotext.samplers import sample
from ergotext.tasks.demands import CONTEXT


def energy(sets: Path, seconds: float, count: int) -> None:
    """The lowest energy found on each concept set in equal wall time; both anneal 1.2 → 0.3."""
    lm = load("smollm2").given(CONTEXT)
    lines = [json.loads(line)["concepts"] for line in sets.read_text().splitlines()[:count]]
    lower = 0
    for words in lines:
        plain, began = PlainChain(lm, words, 14), time.perf_counter()
        best, plain_steps = plain.energy, 0
        while (share := (time.perf_counter() - began) / seconds) < 1:
            plain.step(1.2 * 0.25**share)
            plain_steps += 1
            best = min(best, plain.energy)
        problem = fluency(lm) + keywords(words) + length(14)
        found = sample(
            problem, "annealing", chains=8, steps=300, max_seconds=seconds, progress=False
        )
        ours = found.best(1)[0]
        lower += ours.energy < best
        print(
            f"plain {best:6.1f} ({plain_steps} steps)   ours {ours.energy:6.1f} "
            f"({found.steps} steps of 8 chains, {found.seconds:.1f} s)   "
            f"{' '.join(words)}: {ours.text}",
            flush=True,
        )
    print(f"ours lower on {lower} of {len(lines)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    energy(arguments.sets, arguments.seconds, arguments.count)


if __name__ == "__main__":
    main()
