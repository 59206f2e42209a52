"""Tries a success of rejection, with and without its memory, on expressions that people wrote.

    python benchmarks/rejection_memory.py PATH [--model tiny-causal] [--max-length 24] [-n 32]

PATH has one regular expression a line, as a JSON string. log Z of each is estimated by smc; the
ten whose plain acceptance, Z, is nearest 1e-3 are taken. Without a memory every try is accepted
with probability Z: those tries are made where they are affordable (``--max-tries``). Texts that
were written and are no tries, since an earlier one of their batch had shown them to be dead, count
as written. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch

import ergotext as et
from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata import Pieces, regex
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.samplers import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted import rejection as module
from ergotext.samplers.weighted.proposals import TokenProposal, finishing, model
from ergotext.samplers.weighted.smc import smc


class Counting:
    """A scorer that counts the texts begun: rows that are read at their first position."""

    def __init__(self, inner: CausalLM) -> None:
        self.inner, self.begun = inner, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def next_log_prob(self, batch: TokenBatch, position: torch.Tensor) -> torch.Tensor:
        self.begun += int((position == 0).sum())
        return self.inner.next_log_prob(batch, position)


def plain(*about: Any) -> Any:
    """The model's own draws under another name, so that they have no memory."""
    return model(*about)


def nearest(patterns: list[str], lm: CausalLM, max_length: int) -> list[tuple[str, Target, float]]:
    """The ten targets whose log Z is nearest log 1e-3, by smc."""
    pieces = Pieces.of(lm.vocabulary.tokenizer, size=lm.vocabulary.size, end=lm.end_id)
    found = []
    for pattern in patterns:
        try:
            scorer: Any = Counting(lm)  # by ``__getattr__`` a scorer
            target = Target(scorer, regex(pattern, pieces), max_length)
            log_z = smc(target, SeededDraws(0), 64, proposal=finishing).log_z
        except (InputError, ErgotextError):
            continue
        found.append((pattern, target, log_z))
    return sorted(found, key=lambda one: abs(one[2] - math.log(1e-3)))[:10]


def measured(target: Target, proposal: TokenProposal, n: int, most: int) -> str:
    counting: Any = target.scorer  # a ``Counting``
    counting.begun = 0
    began = time.perf_counter()
    try:
        found = module.rejection(target, SeededDraws(1), n, proposal=proposal, max_tries=most)
    except ErgotextError as error:
        return f"{str(error)[:50]:>54}"
    seconds, begun = time.perf_counter() - began, counting.begun
    left = math.exp(float(found.log_left[-1])) if len(found.log_left) else 1.0
    return (
        f"{found.tries / len(found):9.1f} {begun / len(found):9.1f} {len(found):4d} "
        f"{found.log_z:7.2f} ± {found.log_z_stderr:4.2f} {left:8.1e} {seconds:6.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--model", default="tiny-causal")
    parser.add_argument("--max-length", type=int, default=24)
    parser.add_argument("-n", type=int, default=32)
    parser.add_argument("--max-tries", type=int, default=20_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    lm = et.load(given.model)
    patterns = [json.loads(line) for line in given.path.read_text().splitlines()]
    print("memory   tries/ok  texts/ok    n   log Z           mass left seconds")
    for pattern, target, log_z in nearest(patterns, lm, given.max_length):
        print(f"{pattern[:70]!r}  smc: log Z {log_z:.2f}")
        for name, proposal in (("with", model), ("without", plain)):
            lm.forget()
            print(f"{name:8s}{measured(target, proposal, given.n, given.max_tries)}", flush=True)


if __name__ == "__main__":
    main()
