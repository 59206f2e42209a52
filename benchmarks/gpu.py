"""The table of a GPU: scorings and their share of its matrix rate, decoding, trie steps, retrieval.

    python benchmarks/gpu.py --keys 1000000 20000000 -o gpu.json
    python benchmarks/gpu.py --device cpu --quick

It takes about ten minutes with both tries; made-up keys as in ``trie.py``. Times are medians of
five, each after the device has finished. The share of the matrix rate is 2 FLOP for each weight of
the model and token, over the rate of a large product in the same number format: what is left is the
vocabulary's log-sum-exp, attention, and waiting for the processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from trie import VOCABULARY, make_keys, ours

import ergotext as et
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.tree import TokenTrie
from ergotext.samplers import SeededDraws
from ergotext.samplers.weighted.registered import SMC

EXAMPLES = Path(__file__).parents[1] / "examples"
SENTENCE = "The old man sat by the river and watched the boats go slowly past the town. "
Figure = dict[str, str | float]


def seconds(work: Callable[[], Any], device: torch.device, rounds: int = 5) -> float:
    """Median of some calls, after one for nothing; each waits for the device."""
    times = []
    for number in range(rounds + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """FLOP a second of a square product."""
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / seconds(lambda: one @ other, device)


def of_models(device: torch.device, quick: bool) -> Iterator[Figure]:
    """Scoring of whole texts, and decoding by smc, in both number formats."""
    name, size = ("tiny-causal", 256) if quick else ("smollm2", 8192)
    for dtype in ("float32", "bfloat16"):
        rate = matrix_rate(device, getattr(torch, dtype), size)
        yield {"row": f"matrix product, {dtype}", "unit": "TFLOP/s", "value": rate / 1e12}
        lm = et.load(name, device=str(device), dtype=dtype)
        ids = lm.vocabulary.encode(SENTENCE * 3)[:32]
        weights = sum(p.numel() for p in lm.model.parameters())
        for rows in (2, 4) if quick else (64, 256, 1024):
            texts = [tuple(ids[n % 16 :] + ids[: n % 16]) for n in range(rows)]
            batch = et.TokenBatch.of([(*text[:-1], n % 100 + 5) for n, text in enumerate(texts)])

            def score(lm: et.CausalLM = lm, batch: et.TokenBatch = batch) -> None:
                lm.forget()
                lm.log_prob(batch)

            took = seconds(score, device, 2 if quick else 5)
            share = 2 * weights * float(batch.length.sum()) / took / rate
            yield {
                "row": f"{rows} texts of 32 tokens scored, {dtype}", "unit": "texts/s",
                "value": rows / took, "share of the matrix rate": share,
            }  # fmt: skip
            draw = partial(drawn, lm, rows, 4 if quick else 24)
            took = seconds(draw, device, 1 if quick else 3)
            yield {
                "row": f"{rows} texts drawn, {dtype}", "unit": "tokens/s",
                "value": rows * (4 if quick else 24) / took,
            }  # fmt: skip


def drawn(lm: et.CausalLM, rows: int, tokens: int) -> None:
    energy = 1.0 * et.fluency(lm, "It was a quiet morning.", end=tokens)
    energy.forget()
    SMC(energy, tokens).draw(SeededDraws(0), rows)


def of_tries(device: torch.device, keys: list[int], quick: bool) -> Iterator[Figure]:
    """A step of beams: what may follow, its scores, the best of them, and the states behind."""
    for count in keys:
        trie = ours(make_keys(count))
        there = et.DeviceTrie(trie, str(device))
        for beams in (4, 8) if quick else (16, 64, 128, 256, 512):
            states, depth = some_states(trie, beams)
            scores = torch.randn(beams, VOCABULARY, device=device)
            moved = torch.from_numpy(states).to(device)

            def step(moved: torch.Tensor, scores: torch.Tensor, width: int) -> None:
                tokens, following = there.candidates(moved, width)  # noqa: B023 - called at once
                flat = scores.gather(1, tokens).masked_fill(following < 0, -torch.inf).flatten()
                following.flatten()[flat.topk(min(len(flat), len(moved))).indices]

            width = there.widths[depth] if depth < len(there.widths) else 1
            took = seconds(lambda w=width, m=moved, s=scores: step(m, s, w), device)
            yield {
                "row": f"step of {beams} beams, {count:,} keys", "unit": "ms", "value": 1e3 * took,
                "width": width,
            }  # fmt: skip


def some_states(trie: TokenTrie, count: int, depth: int = 2) -> tuple[np.ndarray, int]:
    """States of as many rows that have read two tokens."""
    random, states = np.random.default_rng(1), trie.start(count)
    for _ in range(depth):
        row, _, after = trie.candidates(states)
        bounds = np.searchsorted(row, np.arange(count + 1))
        chosen = bounds[:-1] + (random.random(count) * np.diff(bounds)).astype(np.int64)
        states = after[chosen]
    return states, depth


def of_retrieval(device: torch.device, quick: bool) -> Iterator[Figure]:
    """Questions about the facts of the examples, many in one call."""
    asked = [
        json.loads(line)["question"]
        for line in (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    batch = (asked * 5)[: 4 if quick else 256]
    lm = et.load("tiny-retriever", device=str(device))
    with TemporaryDirectory() as folder:
        index = Path(folder) / "facts.ergo"
        trie, _ = build_from_lines(EXAMPLES / "facts.tsv", et.load_tokenizer("tiny-retriever"))
        et.save_trie(trie, index)
        retriever = et.Retriever(lm, str(index))
        took = seconds(lambda: retriever.retrieve(batch), device, 1 if quick else 5)
    yield {"row": f"{len(batch)} questions in one call", "unit": "questions/s",
           "value": len(batch) / took}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--keys", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--quick", action="store_true", help="Small sizes: does it run?")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    device, found = torch.device(arguments.device), []
    warnings.simplefilter("ignore")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    print(f"torch {torch.__version__}, {name}", flush=True)
    keys = [500] if arguments.quick else arguments.keys
    for figures in (
        of_models(device, arguments.quick),
        of_tries(device, keys, arguments.quick),
        of_retrieval(device, arguments.quick),
    ):
        for figure in figures:
            found.append(figure)
            more = [f"{key} {value:.3g}" for key, value in list(figure.items())[3:]]
            told = f"{figure['row']}: {figure['value']:.4g} {figure['unit']}"
            print(", ".join([told, *more]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps({"device": name, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
