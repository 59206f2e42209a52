"""How soon smc arrives: the spread of log Z over seeds, and effective draws a minute.

    python benchmarks/arrival.py rain "dog,park" "summer,beach,ice cream" --seeds 20
    python benchmarks/arrival.py regex:date trie:titles schema:1 schema:2 --threads 1

Targets: a set of keywords, in any order, ended by the end of the sentence; ``regex:`` and a case of
``peers.py``; ``trie:titles``, the subjects of ``examples/facts.tsv``; ``schema:`` and a line of
``--schemas``, in the tokens of its shortest valid instance and ``--slack`` more. For each: the
standard deviation of log Z over the seeds; how often two stated errors hold the mean; CPU seconds;
and effective draws a minute, told by var_π(f) / var_seeds(f̂) for f = log p and the length. Weights
after a resampling tell nothing of that. ``--proposal masked`` shows the same without a twist.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peers import CASES
from schemas_close import taken, written

import ergotext as et
from ergotext.lm.automata import Pieces, json_schema
from ergotext.lm.energies.matches import matches
from ergotext.lm.protocols import Energy
from ergotext.lm.trie.builder import build
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.weighted.registered import SMC
from ergotext.tasks.demands import CONTEXT

FACTS = Path(__file__).parents[1] / "examples" / "facts.tsv"
SCHEMAS = Path(__file__).parents[2] / "shared" / "grammars" / "schemas.jsonl"
OF_JSON = "An example of such an object in JSON: "
OF_TITLES = "I have just read an article about"


@dataclass(frozen=True)
class Problem:
    """What is to be sampled, in how many tokens at most."""

    energy: Energy
    max_length: int
    log_z: float | None = None
    """where every text can be listed"""

    @classmethod
    def of(cls, name: str, lm: et.CausalLM, arguments: argparse.Namespace) -> Problem:
        kind, _, what = name.partition(":")
        if kind == "regex":
            prompt, expression, most = CASES[what]
            return cls(et.fluency(lm, prompt) + matches(expression), most)
        if kind == "trie":
            return cls.titles(lm)
        if kind == "schema":
            return cls.schema(lm, arguments.schemas, int(what), arguments.slack)
        fluent = et.fluency(lm, CONTEXT, end="sentence")
        return cls(fluent + et.keywords(name.split(","), any_order=True), arguments.max_length)

    @classmethod
    def titles(cls, lm: et.CausalLM) -> Problem:
        lines = FACTS.read_text(encoding="utf-8").splitlines()
        titles = sorted(
            {line.split("\t")[0].replace("（", " (").replace("）", ")") for line in lines}
        )
        keys = [tuple(lm.vocabulary.spell(title)) for title in titles]
        given = lm.given(OF_TITLES)
        exact = float(given.log_prob(et.TokenBatch.of(keys)).logsumexp(0))
        trie = build(keys, pieces_of(lm).alphabet)
        return cls(et.fluency(given) + matches(trie), max(map(len, keys)), exact)

    @classmethod
    def schema(cls, lm: et.CausalLM, path: Path, line: int, slack: int) -> Problem:
        case = json.loads(path.read_text(encoding="utf-8").splitlines()[line - 1])
        pieces = pieces_of(lm)
        automaton = json_schema(case["schema"], pieces)
        valid = [test["data"] for test in case["tests"] if test["valid"]]
        texts = [json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in valid]
        rows = [
            row for row in (written(pieces, t.encode()) for t in texts) if taken(automaton, row)
        ]
        most = min(map(len, rows)) + slack
        return cls(et.fluency(lm, OF_JSON) + matches(automaton), most)


def pieces_of(lm: et.CausalLM) -> Pieces:
    return Pieces.of(lm.vocabulary.tokenizer, size=lm.vocabulary.size, end=lm.end_id)


def measure(name: str, problem: Problem, arguments: argparse.Namespace) -> None:
    """Draw with every seed, and print one line."""
    energy, scorer = problem.energy, problem.energy.scorer
    assert scorer is not None
    energy.forget()
    began = time.process_time()
    given = None if arguments.proposal == "default" else arguments.proposal
    sampler = SMC(
        energy,
        problem.max_length,
        proposal=given,
        resampling=arguments.resampling,
        islands=arguments.islands,
    )
    made = time.process_time() - began
    means, squares, log_z, errors, seconds, cpu = [], [], [], [], [], []
    for seed in range(arguments.seeds):
        energy.forget()
        began, used = time.perf_counter(), time.process_time()
        try:
            found = sampler.draw(SeededDraws(seed), arguments.particles)
        except et.ErgotextError as error:
            print(f"  seed {seed}: {error}")
            continue
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
        features = torch.stack([scorer.log_prob(found.batch), found.batch.length.double()]).numpy()
        weight = found.weights.numpy()
        means.append(features @ weight)
        squares.append(features**2 @ weight)
        log_z.append(found.log_z)
        errors.append(found.log_z_stderr)
        if arguments.show:
            best = scorer.decode(found.batch.select(found.log_weight.topk(1).indices))
            z_of = f"{found.log_z:.2f} ± {found.log_z_stderr:.2f}"
            print(f"  seed {seed}: {z_of} {best[0]!r}", flush=True)
    if len(log_z) < 2:
        print(f"{name}: fewer than two runs found a text")
        return
    z, error = np.array(log_z), np.array(errors)
    pooled = np.log(np.mean(np.exp(z - z.max()))) + z.max()
    exact = problem.log_z if problem.log_z is not None else pooled
    mean = np.array(means)
    spread = np.mean(squares, axis=0) - mean.mean(0) ** 2
    worth = spread / mean.var(0, ddof=1)
    held = np.mean(np.abs(z - exact) <= 2 * error + 1e-3)  # where every text is known it is 0
    a_minute = 60 * worth / np.mean(seconds)
    known = "" if problem.log_z is None else f" (exactly {exact:.2f})"
    print(
        f"{name} ({type(sampler.proposal).__name__}, {sampler.resampling}, at most "
        f"{problem.max_length} tokens): log Z of all {pooled:.2f}{known}, sd over "
        f"{len(z)} seeds {z.std(ddof=1):.2f}, two stated errors hold it in {held:.0%}; "
        f"{np.mean(seconds):.1f} s a run, CPU {np.mean(cpu):.1f} s, {made:.1f} s before; effective "
        f"draws a run {worth[0]:.1f} (log p), {worth[1]:.1f} (length), a minute {a_minute[0]:.0f} "
        f"and {a_minute[1]:.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=20, help="tokens of a keyword target")
    parser.add_argument("--proposal", default="default")
    parser.add_argument("--resampling", default="auto")
    parser.add_argument("--islands", type=int, default=None)
    parser.add_argument("--schemas", type=Path, default=SCHEMAS)
    parser.add_argument("--slack", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="the best text of each seed")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    lm = et.load(arguments.model)
    for name in arguments.targets:
        measure(name, Problem.of(name, lm, arguments), arguments)


if __name__ == "__main__":
    main()
