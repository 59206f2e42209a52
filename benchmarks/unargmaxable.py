"""Time the check for tokens that can never be the argmax, on planted tokens or on a model.

python benchmarks/unargmaxable.py [--tokens 21128] [--width 768] [--planted 20] [--workers 2]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ergotext.tasks.diagnose.argmax.check import decide
from ergotext.tasks.diagnose.argmax.decided import Decided, Outcome
from ergotext.tasks.diagnose.argmax.layer import OutputLayer


def planted(tokens: int, width: int, inside: int) -> tuple[torch.Tensor, set[int]]:
    """Random rows, the chosen ones mixtures of 20 to 4 · width others; float32."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(tokens, width))
    chosen = rng.choice(tokens, inside, replace=False)
    others = np.setdiff1d(np.arange(tokens), chosen)
    for token, count in zip(chosen, np.geomspace(20, 4 * width, inside), strict=True):
        corners = rng.choice(others, int(count), replace=False)
        rows[token] = rng.dirichlet(np.ones(len(corners))) @ rows[corners]
    return torch.tensor(rows, dtype=torch.float32), set(chosen.tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=21128)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--planted", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=15.0)
    given = parser.parse_args()
    torch.set_num_threads(given.workers)
    weight, never = planted(given.tokens, given.width, given.planted)
    began = time.time()
    found = Decided(OutputLayer(weight))
    decide(found, given.minutes * 60, given.workers)
    proven = set((found.outcome == Outcome.NEVER).nonzero()[:, 0].tolist())
    print(
        f"{given.tokens} × {given.width}: {time.time() - began:.0f} s; planted {len(never)}, "
        f"proven {len(proven & never)}, others proven {len(proven - never)}, "
        f"undecided {len(found.open())}, largest radius {found.radius.nan_to_num(0).max():.1e}"
    )


if __name__ == "__main__":
    main()
