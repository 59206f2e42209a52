"""Our samplers against genlm-control: one model, prompt, expression, length, number of particles.

    python benchmarks/peers.py [--peer PYTHON] [--cases colour date words] [--seeds 10] [--more 128]

Ours run with as many particles as theirs, and with ``--more``; without a peer they run alone.
PYTHON is the interpreter of an environment with torch, transformers and genlm-control 0.4.1. It
runs beside this process, asked in turn with us, seed by seed. Seconds are CPU seconds, which
other work on the machine changes less than those of a clock. Before each run both sides forget
all but the prompt. That both have one target is seen first: log p̃ of sequences must agree, and
where they can be listed log Z is given exactly.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ergotext import TokenBatch, load
from ergotext.lm.automata.grammars import regex
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.causal import CausalLM
from ergotext.lm.protocols import Automaton
from ergotext.lm.sources import BUNDLED, source_of
from ergotext.samplers import SeededDraws
from ergotext.samplers.search.stochastic_beam import stochastic_beam
from ergotext.samplers.target import Target
from ergotext.samplers.twists import Law, chosen_twist
from ergotext.samplers.weighted.adaptive import AdaptiveRejection
from ergotext.samplers.weighted.proposals import masked
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.samplers.weighted.smc import smc
from ergotext.samplers.weighted.twisted import Twisted

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
CASES = {
    "colour": ("My favourite colour is", r" (red|blue|green|dark blue)\.", 12),
    "date": ("The war ended on", rf" [0-9]{{1,2}} ({MONTHS}) [0-9]{{4}}\.", 16),
    "words": ("The little dog", r"( [a-z]{1,10}){4,8}\.", 16),
}
"""Prompt, expression, and most tokens."""


def run(law: Law | None, target: Target, draws: SeededDraws, n: int) -> WeightedSamples:
    """``smc`` on one island, by a law or as it chooses; a twist is made in each run."""
    twist = chosen_twist(target, law, None)
    return smc(target, draws, n, proposal=masked if twist is None else Twisted(twist))


OURS = {
    "ours, default": partial(run, None),
    "ours, masked": partial(run, "masked"),
    "ours, twisted": partial(run, "twisted"),
    "ours, adaptive": lambda target, draws, n: smc(target, draws, n, proposal=AdaptiveRejection()),
    "ours, stochastic beam": stochastic_beam,
}
PEER = "genlm-control, AWRS"
MOST = 5000
"""Sequences up to which log Z is computed by listing them all."""


@dataclass
class Runs:
    """What one sampler did, seed by seed."""

    seconds: list[float] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    ess: list[float] = field(default_factory=list)
    log_z: list[float] = field(default_factory=list)

    def add(self, seconds: float, rows: list[Any], ess: float, log_z: float) -> None:
        self.seconds.append(seconds)
        self.count.append(len(rows))
        self.distinct.append(len(set(map(tuple, rows))))
        self.ess.append(ess)
        self.log_z.append(log_z)

    def row(self, name: str) -> str:
        z = np.array(self.log_z)
        rate = sum(self.count) / sum(self.seconds)
        mean = float(torch.tensor(z).logsumexp(0)) - math.log(len(z))
        ess = statistics.median(self.ess)
        cells = [
            f"{statistics.median(self.seconds):.2f}",
            f"{min(self.seconds):.2f}–{max(self.seconds):.2f}",
            f"{rate:.1f}",
            f"{ess:.1f}" if ess < 1e4 else "> 10⁴",  # next to nothing was left to chance
            f"{statistics.mean(self.distinct):.1f}",
            f"{z.mean():.2f} ± {z.std(ddof=1):.2f}",
            f"{mean:.2f}",
        ]
        return f"| {name} | {' | '.join(cells)} |"


class Peer:
    """The other process."""

    def __init__(self, python: str, folder: Path | str, end: str, threads: int) -> None:
        script = Path(__file__).with_name("peer_genlm.py")
        self.process = subprocess.Popen(
            [python, str(script), str(folder), end, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.version = self._answer()["version"]

    def ask(self, what: str, **given: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"what": what, **given}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the peer's process ended; run benchmarks/peer_genlm.py by hand")
        answer: dict[str, Any] = json.loads(line)
        return answer


def listed(automaton: Automaton, max_length: int) -> list[tuple[int, ...]] | None:
    """All sequences that the automaton accepts, or None where there are too many."""
    rows: list[tuple[int, ...]] = [()]
    state = automaton.start(1)
    found: list[tuple[int, ...]] = []
    for length in range(max_length + 1):
        row, token, after = automaton.candidates(state)
        going = token != automaton.end
        found += [rows[r] for r in row[~going]]
        if length == max_length or len(found) + going.sum() > MOST:
            return found if length == max_length else None
        rows = [(*rows[r], int(t)) for r, t in zip(row[going], token[going], strict=True)]
        state = after[going]
    return found


def same_target(peer: Peer, lm: CausalLM, rows: list[tuple[int, ...]]) -> None:
    """Print by how much log p̃ of these sequences differs at most."""
    theirs = torch.tensor(peer.ask("score", rows=rows)["scores"], dtype=torch.float64)
    gap = float((lm.log_prob(TokenBatch.of(rows)) - theirs).abs().max())
    print(f"largest difference of log p̃ between the two, {len(rows)} sequences: {gap:.1e} nats")


def compare(
    peer: Peer | None,
    name: str,
    base: CausalLM,
    particles: int,
    seeds: int,
    more: int,
    names: Sequence[str],
) -> None:
    prompt, expression, max_length = CASES[name]
    lm = base.given(prompt)
    pieces = Pieces.of(lm.vocabulary.tokenizer, size=lm.vocabulary.size, end=lm.end_id)
    if peer is not None:
        peer.ask("case", prompt=[lm.start_id, *lm.context], expression=expression)
    print(f"\n{name}: {prompt!r} {expression!r}, at most {max_length} tokens")
    every = listed(regex(expression, pieces), max_length)
    if every is not None:
        exact = float(lm.log_prob(TokenBatch.of(every)).logsumexp(0))
        print(f"log Z of all {len(every)} token sequences: {exact:.4f}")
    ours = [(sampler, OURS[sampler], particles) for sampler in names]
    ours += [(f"{one}, {more} particles", draw, more) for one, draw, _ in ours[:3]] if more else []
    runs = {sampler: Runs() for sampler in (*[one for one, _, _ in ours], PEER)}
    seen: dict[tuple[int, ...], None] = {}
    for seed in range(-1, seeds):  # the first one warms up
        for sampler, draw, count in ours:
            lm.forget()
            target = Target(lm, regex(expression, pieces), max_length)
            began = time.process_time()
            samples: WeightedSamples = draw(target, SeededDraws(seed % 1000), count)
            seconds = time.process_time() - began
            rows = samples.batch.rows()
            seen |= dict.fromkeys(rows)
            if seed >= 0:
                runs[sampler].add(seconds, rows, samples.ess, samples.log_z)
        if peer is None:
            continue
        told = peer.ask("run", seed=seed % 1000, particles=particles, max_length=max_length)
        seen |= dict.fromkeys(map(tuple, told["rows"]))
        if seed >= 0:
            runs[PEER].add(told["seconds"], told["rows"], told["ess"], told["log_z"])
    if peer is not None:
        same_target(peer, lm, (every or list(seen))[:200])
    print("| sampler | s a run | from–to | sequences/s | ESS | distinct | log Z | log mean Z |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for sampler, done in runs.items():
        if done.seconds:
            print(done.row(sampler), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="the Python that has genlm-control")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    kinds = [name.removeprefix("ours, ") for name in OURS]
    parser.add_argument("--ours", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--particles", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--more", type=int, default=128, help="0 for none")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    end = BUNDLED["smollm2"].end
    assert end is not None
    peer = None
    if arguments.peer:
        peer = Peer(arguments.peer, source_of("smollm2"), end, arguments.threads)
    lm = load("smollm2")
    print(
        f"torch {torch.__version__}, genlm-control {'left out' if peer is None else peer.version}, "
        f"{arguments.threads} thread(s), float32, {arguments.particles} particles, "
        f"{arguments.seeds} seeds: median CPU seconds, rate of all runs, median ESS, mean number "
        f"of distinct sequences, log Z with its standard deviation over seeds, and the log of the "
        f"mean of Z"
    )
    for name in arguments.cases:
        how = (arguments.particles, arguments.seeds, arguments.more)
        compare(peer, name, lm, *how, [f"ours, {one}" for one in arguments.ours])


if __name__ == "__main__":
    main()
