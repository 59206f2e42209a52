"""How cost grows with size: keys of a trie, particles, tokens, keywords; one picture of all four.

    python benchmarks/sizes.py --draw docs/images/cost.svg -o sizes.json
    python benchmarks/sizes.py --keys 1000 10000 100000 1000000 20000000

CPU seconds of one thread, so that other work on the machine changes little. Keys are made up as in
``trie.py``; texts are SmolLM2's, by smc with its twist, after the default context of ``write``.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trie import BEAMS, END, VOCABULARY, make_keys, ours, prefixes, small_t5, with_candidates

import ergotext as et
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie import TokenTrie
from ergotext.samplers import SeededDraws
from ergotext.samplers.search.beam import beam
from ergotext.samplers.weighted.registered import SMC
from ergotext.tasks.demands import CONTEXT

WORDS = (
    "river", "bread", "window", "garden", "letter", "dog", "music", "winter", "road", "friend",
    "table", "night",
)  # fmt: skip
ROWS = 16
Point = dict[str, float]


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def of_keys(counts: Sequence[int]) -> Iterator[Point]:
    """Of a trie: seconds to build, bytes, a step of 64 beams, an answer by 5 beams."""
    lm, random = Seq2SeqLM(small_t5()), np.random.default_rng(2)
    questions = [
        [*random.integers(3, VOCABULARY, random.integers(8, 24)).tolist(), END] for _ in range(8)
    ]
    for count in counts:
        keys = make_keys(count)
        began = time.process_time()
        trie = ours(keys)
        built = time.process_time() - began
        states = np.array([trie.walk(row) for row in prefixes(keys, None)])
        scores = torch.randn(64, VOCABULARY)
        step = partial(with_candidates, trie, states, scores)
        answer = partial(answered, lm, questions, trie)
        steps, answers = (
            [seconds(work) for _ in range(n)] for work, n in ((step, 21), (answer, 3))
        )
        yield {
            "keys": count, "build s": built, "bytes a key": trie.nbytes / count,
            "step ms": 1e3 * float(np.median(steps)),
            "answer ms": 1e3 * float(np.median(answers)) / len(questions),
        }  # fmt: skip


def answered(lm: Seq2SeqLM, questions: list[list[int]], trie: TokenTrie) -> None:
    """Questions answered by keys."""
    beam(lm.read(questions), trie, k=BEAMS)


def of_particles(lm: et.CausalLM, counts: Sequence[int]) -> Iterator[Point]:
    """Of a run of smc that must write one word, in 24 tokens."""
    energy = et.fluency(lm, CONTEXT, end="sentence") + et.keywords([WORDS[0]])
    yield from _runs(energy, 24, "particles", counts)


def of_tokens(lm: et.CausalLM, counts: Sequence[int]) -> Iterator[Point]:
    """Of texts of just so many tokens, without a constraint, 16 side by side."""
    for count in counts:
        whole = et.length(count, 0.05)  # the model may want to end before
        energy = et.fluency(lm, CONTEXT, end=count) + whole
        yield from _runs(energy, count, "tokens", [ROWS], count)


def of_keywords(lm: et.CausalLM, counts: Sequence[int]) -> Iterator[Point]:
    """Of texts with so many words in any order, 16 side by side, the twist apart."""
    fluent = et.fluency(lm, CONTEXT, end="sentence")
    for count in counts:
        energy = fluent + et.keywords(WORDS[:count], any_order=True)
        yield from _runs(energy, 24 + 3 * count, "keywords", [ROWS], count)


def _runs(
    energy: Any, most: int, name: str, counts: Sequence[int], size: int | None = None
) -> Iterator[Point]:
    energy.forget()
    began = time.process_time()
    sampler = SMC(energy, most)
    made = time.process_time() - began
    for count in counts:
        energy.forget()
        took = seconds(partial(sampler.draw, SeededDraws(0), count))
        yield {name: count if size is None else size, "run s": took, "made s": made}


def draw(found: dict[str, list[Point]], path: Path) -> None:
    """The four curves as one picture."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    curves = {
        "keys": [("build s", "build, s"), ("step ms", "step of 64 beams, ms"),
                 ("answer ms", "answer by 5 beams, ms")],
        "particles": [("run s", "a run, s")],
        "tokens": [("run s", "16 texts, s")],
        "keywords": [("run s", "16 texts, s"), ("made s", "the twist, s")],
    }  # fmt: skip
    for axis, (name, lines) in zip(axes, curves.items(), strict=True):
        size = [point[name] for point in found[name]]
        for key, label in lines:
            axis.plot(size, [point[key] for point in found[name]], marker="o", label=label)
        axis.set(xlabel=name, yscale="log", xscale="linear" if name == "keywords" else "log")
        axis.legend(frameon=False, fontsize=8)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("CPU, one thread")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[10**n for n in range(3, 7)])
    parser.add_argument("--particles", type=int, nargs="+", default=[4**n for n in range(6)])
    parser.add_argument("--tokens", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256])
    parser.add_argument("--keywords", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8, 10, 12])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--draw", type=Path, help="Picture (SVG, PNG); needs matplotlib.")
    parser.add_argument("-o", "--output", type=Path, help="The figures as JSON.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    lm = et.load(arguments.model)
    found: dict[str, list[Point]] = {}
    for name, points in (
        ("keys", of_keys(arguments.keys)),
        ("keywords", of_keywords(lm, arguments.keywords)),
        ("tokens", of_tokens(lm, arguments.tokens)),
        ("particles", of_particles(lm, arguments.particles)),
    ):
        found[name] = []
        for point in points:
            found[name].append(point)
            print(", ".join(f"{key} {value:.4g}" for key, value in point.items()), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.draw:
        draw(found, arguments.draw)


if __name__ == "__main__":
    main()
