"""Speed against the plain serial chain: same model, dtype and threads, alternately in one run.

    python benchmarks/speed.py scorings        candidate scorings per second, float32 and bfloat16
    python benchmarks/speed.py steps           chain-steps per second at 1 and 16 chains
    python benchmarks/speed.py energy SETS     energy reached in equal wall time on concept sets

SETS is a JSON Lines file with a list ``concepts`` on each line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from plain import LIST, PlainChain, PlainScorer

from ergotext import TokenBatch, load
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.terms import fluency, length
from ergotext.samplers import SeededDraws, sample, sampler_named
from ergotext.tasks.demands import CONTEXT

SENTENCE = "The old man sat by the river and watched the boats go slowly past"


def rate(call: Callable[[], object], amount: int, seconds: float) -> float:
    """Amount done per second over at least ``seconds``."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        call()
        done += amount
    return done / (time.perf_counter() - began)


def alternately(
    one: Callable[[], object], other: Callable[[], object], amounts: tuple[int, int], seconds: float
) -> tuple[list[float], list[float]]:
    """Rates of both sides, five rounds each, in turn."""
    one(), other()
    rates = [(rate(one, amounts[0], seconds), rate(other, amounts[1], seconds)) for _ in range(5)]
    return [a for a, _ in rates], [b for _, b in rates]


def report(label: str, plain: list[float], ours: list[float], unit: str) -> None:
    ratios = sorted(b / a for a, b in zip(plain, ours, strict=True))
    print(
        f"{label:<28} plain {statistics.median(plain):8.2f} {unit}   "
        f"ours {statistics.median(ours):8.2f} {unit}   ratio {statistics.median(ratios):6.2f}× "
        f"({ratios[0]:.2f}–{ratios[-1]:.2f})",
        flush=True,
    )


def scorings(seconds: float) -> None:
    """64 candidates for position 8 of 16 tokens: of one row, and of four rows in one call.

    Nothing is kept between calls: the prefixes are read anew each time. Four rows are what a step
    of four chains asks for; the plain scorer takes one row at a time, as its chain does.
    """
    for dtype in ("float32", "bfloat16"):
        lm = load("smollm2", dtype=dtype)
        ids = lm.vocabulary.encode(SENTENCE * 2)
        rows = [ids[shift : shift + 16] for shift in range(4)]
        scorer = PlainScorer(lm)
        for count in (1, 4):
            batch, at = TokenBatch.of(rows[:count]), torch.full((count,), 8)
            law = lm.next_log_prob(batch, at).masked_fill(~lm.allowed, -torch.inf)
            tokens = law.topk(LIST).indices
            full = [[*rows[0][:8], token, *rows[0][9:]] for token in tokens[0].tolist()]
            ours = partial(score_afresh, lm, batch, at, tokens)
            plain = partial(scorer.log_prob, full)
            gap = float((plain() - ours()[0]).abs().max())
            both = alternately(plain, ours, (LIST, count * LIST), seconds)
            report(f"scorings/s {dtype}, {count} row(s)", *both, "/s")
            print(f"{'':<28} largest difference between the two: {gap:.1e} nats")


def score_afresh(
    lm: CausalLM, batch: TokenBatch, at: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    lm.forget()
    return lm.candidate_log_prob(batch, at, at + 1, tokens)


def steps(seconds: float) -> None:
    """Chain-steps per second around a sentence of some 14 tokens."""
    lm = load("smollm2").given(CONTEXT)
    words = ["summer", "beach", "ice cream"]
    plain = PlainChain(lm, words, 14)
    for _ in range(12):
        plain.step(1.0)
    for chains in (1, 16):
        energy = fluency(lm) + keywords(words, any_order=True) + length(14)
        kernel = sampler_named("mh")(energy, max_length=40)
        draws = SeededDraws(0)
        state = [kernel.init(draws, chains)]
        for _ in range(60):
            state[0] = kernel.step(draws, state[0])[0]

        def ours(kernel=kernel, draws=draws, state=state) -> None:
            state[0] = kernel.step(draws, state[0])[0]

        both = alternately(lambda: plain.step(1.0), ours, (1, chains), seconds)
        report(f"chain-steps/s, {chains} chain(s)", *both, "/s")
        print(
            f"{'':<28} tokens now: plain {len(plain.row)}, ours "
            f"{float(state[0].batch.length.double().mean()):.1f}"
        )


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
    parser.add_argument("what", choices=["scorings", "steps", "energy"])
    parser.add_argument("sets", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    amx = "yes" if torch.cpu._is_amx_tile_supported() else "no"
    bf16 = "yes" if torch.cpu._is_avx512_bf16_supported() else "no"
    print(f"torch {torch.__version__}, {arguments.threads} threads, AMX {amx}, AVX512-BF16 {bf16}")
    if arguments.what == "scorings":
        scorings(arguments.seconds)
    elif arguments.what == "steps":
        steps(arguments.seconds)
    elif arguments.sets is None:
        parser.error("energy needs a file of concept sets")
    else:
        energy(arguments.sets, arguments.seconds, arguments.count)


if __name__ == "__main__":
    main()
