"""The retriever: its speed beside transformers' ``generate``, and what each part of it is worth.

    python benchmarks/retrieve.py speed model/ kb.tsv dev.json
    python benchmarks/retrieve.py ablations model/ kb.tsv dev.json --other-base larger.tsv

The folder holds an encoder-decoder, its tokenizer, and the matcher that was trained beside it. The
base is an index made with that tokenizer (.ergo), or lines of subject, predicate and object. The
questions are those of KgCLUE. Everything is timed from the text of a question to an answer's first
object.

``generate`` runs under ``prefix_allowed_tokens_fn``, which asks nested dicts (GENRE's design) that
hold the same keys in the same tokens. It has the same model, numbers of beams, batches of questions
of like length, and objective: no penalty of length, searched on until nothing can be better.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ergotext import Retriever, load
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.schema import TRIPLES
from ergotext.tasks.datasets.kgclue.data import Question, Triple, read
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Potential, Spotter
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.training.seq2seq.rewards import Rivals

Answer = Callable[[Sequence[str]], list[str]]
"""From questions to ``subject ||| predicate ||| object`` each, nothing where there is no answer."""
PARTS = ("EMF1", "EM_S", "EM_P")
PLAIN = {"prefixes": 0, "model_probability": True, "threshold": 0.0}
"""Answers in any case, and no probabilities."""


class Generate:
    """``generate`` under nested dicts of the keys of a trie."""

    def __init__(self, lm: Seq2SeqLM, trie: TokenTrie) -> None:
        self.lm, self.trie = lm, trie
        self.root: dict[int, Any] = {}
        for key in trie.keys():  # noqa: SIM118 - a trie is no dict
            node = self.root
            for token in (*key, lm.end):
                node = node.setdefault(token, {})

    def allowed(self, _: int, row: torch.Tensor) -> list[int]:
        node = self.root
        for token in row.tolist()[1:]:
            node = node.get(token, {})
        return list(node) or [self.lm.pad]

    def __call__(self, questions: Sequence[str], beams: int, batch_size: int) -> list[str]:
        given = [self.lm.encode(question) for question in questions]
        order = sorted(range(len(given)), key=lambda number: len(given[number]))
        found = [""] * len(given)
        for first in range(0, len(order), batch_size):
            numbers = order[first : first + batch_size]
            for number, row in zip(
                numbers, self.batch([given[n] for n in numbers], beams), strict=True
            ):
                found[number] = self.entry(row)
        return found

    def batch(self, given: list[list[int]], beams: int) -> list[list[int]]:
        width = max(map(len, given))
        ids = torch.tensor([row + [self.lm.pad] * (width - len(row)) for row in given])
        ids = ids.to(self.lm.model.device)
        wide = {"length_penalty": 0.0, "early_stopping": False} if beams > 1 else {}
        rows = self.lm.model.generate(
            input_ids=ids, attention_mask=(ids != self.lm.pad).long(), num_beams=beams,
            do_sample=False, use_cache=True, max_new_tokens=self.trie.longest,
            prefix_allowed_tokens_fn=self.allowed, **wide,
        )  # fmt: skip
        return [
            [t for t in row[1:] if t not in (self.lm.pad, self.lm.end)] for row in rows.tolist()
        ]

    def entry(self, key: list[int]) -> str:
        return entry(TRIPLES.fields(self.lm.keys.decode(key)), self.trie.objects(key))


def entry(fields: dict[str, str], values: list[str]) -> str:
    return str(Triple(*fields.values(), values[0])) if values else ""


def ours(retriever: Retriever, questions: Sequence[str], **how: Any) -> list[str]:
    """The first hit of each question."""
    found = retriever.retrieve(questions, k=1, **{**PLAIN, **how})
    return [entry(hits[0].fields, hits[0].values) if hits else "" for hits in found]


def potential_alone(
    spotter: Spotter, potential: Potential, batch_size: int, questions: Sequence[str]
) -> list[str]:
    """Of the keys whose subject stands in a question that of the highest potential.

    Ties are broken at random.
    """
    rng, told = np.random.default_rng(0), []
    for first in range(0, len(questions), batch_size):
        some = questions[first : first + batch_size]
        for question, keys in zip(some, spotter.find(some)[0], strict=True):
            values = potential(question, keys)
            best = np.flatnonzero(values == values.max(initial=-np.inf))
            told.append(str(Rivals.of(keys).answers[rng.choice(best)]) if len(best) else "")
    return told


def speed(model: Seq2SeqLM, retriever: Retriever, options: argparse.Namespace) -> None:
    """Questions per second: all sides in turn, round by round."""
    asked = questions_of(options)
    peer, learned = Generate(model, retriever.trie), Matched.load(options.model)
    size, sides = options.batch_size, dict[tuple[int, str], Answer]()
    for beams in options.beams:
        search = partial(ours, retriever, beams=beams, batch_size=size)
        sides |= {
            (beams, "generate, nested dict"): partial(peer, beams=beams, batch_size=size),
            (beams, "ours, all entries as generate"): partial(search, spans=False),
            (beams, "ours, subjects in the question"): search,
            (beams, "ours, and look-ahead"): partial(search, lookahead=learned),
            (beams, "ours, calibrated"): partial(
                search, lookahead=learned, model_probability=False
            ),
            (beams, "ours, and probabilities"): partial(search, lookahead=learned, prefixes=2048),
        }
    told, times = dict[tuple[int, str], list[str]](), {side: list[float]() for side in sides}
    for answer in sides.values():
        answer([one.text for one in asked[:size]])
    for _ in range(options.rounds):
        for side, answer in sides.items():
            told[side], seconds = timed(answer, asked)
            times[side].append(seconds)
    print("| beams | | questions/s | slowest, fastest | × generate | EMF1 | EM_S | EM_P |")
    print("|---|---|---|---|---|---|---|---|")
    for (beams, name), taken in times.items():
        middle = statistics.median(taken)
        ratio = statistics.median(times[beams, "generate, nested dict"]) / middle
        rates = [len(asked) / seconds for seconds in (middle, max(taken), min(taken))]
        print(
            f"| {beams} | {name} | {rates[0]:.2f} | {rates[1]:.2f}, {rates[2]:.2f} | {ratio:.1f} | "
            f"{scores(asked, told[beams, name])} |"
        )


def ablations(model: Seq2SeqLM, retriever: Retriever, options: argparse.Namespace) -> None:
    """What each part is worth: one row each."""
    asked, size = questions_of(options), options.batch_size
    learned, strings = Matched.load(options.model), StringMatch()
    search = partial(ours, retriever, batch_size=size)
    # In other letters they are found still, but neither misspelt nor by a value.
    exact = Retriever(model, replace(retriever.trie, names=None), triples=True)
    everywhere = replace(learned, mentions=replace(learned.mentions, reach=np.inf))
    alone = partial(potential_alone, Spotter(retriever.trie, triples=True))
    rows: dict[str, Answer] = {
        "all of it: look-ahead, subjects in the question, 10 beams": partial(
            search, lookahead=learned, beams=10
        ),
        "subjects as written alone": partial(
            ours, exact, lookahead=learned, beams=10, batch_size=size
        ),
        "misspelt ones read everywhere": partial(search, lookahead=everywhere, beams=10),
        "3 beams": partial(search, lookahead=learned, beams=3),
        "1 beam": partial(search, lookahead=learned, beams=1),
        "strings as the look-ahead": partial(search, lookahead=strings, beams=10),
        "no look-ahead": partial(search, beams=10),
        # Over all entries there is none: it tells apart what one subject has.
        "all entries, hence no look-ahead": partial(search, beams=10, spans=False),
        "look-ahead alone, no model": partial(alone, learned, size),
        "strings alone, no model": partial(alone, strings, size),
    }
    for path in options.other_base:
        larger = opened(model, path)
        rows[f"all of it on {path.name}, {len(larger.trie):,} keys"] = partial(
            ours, larger, lookahead=learned, beams=10, batch_size=size
        )
    print("| | EMF1 | EM_S | EM_P | questions/s |\n|---|---|---|---|---|")
    for name, answer in rows.items():
        answer([one.text for one in asked[:size]])
        told, seconds = timed(answer, asked)
        print(f"| {name} | {scores(asked, told)} | {len(asked) / seconds:.2f} |", flush=True)


def timed(answer: Answer, asked: list[Question]) -> tuple[list[str], float]:
    began = time.perf_counter()
    told = answer([one.text for one in asked])
    return told, time.perf_counter() - began


def scores(asked: list[Question], told: list[str]) -> str:
    found = mark([one.answer for one in asked if one.answer is not None], told).scores()
    return " | ".join(f"{found[part]:.1f}" for part in PARTS)


def questions_of(options: argparse.Namespace) -> list[Question]:
    """Questions with an answer, of as many as are wanted, spread evenly over the file."""
    known = [one for one in read(options.questions).asked if one.answer is not None]
    count = min(options.limit or len(known), len(known))
    return [known[number * len(known) // count] for number in range(count)]


def opened(model: Seq2SeqLM, base: Path) -> Retriever:
    if base.suffix == ".ergo":
        return Retriever(model, base)
    trie, _ = build_from_lines(base, model.keys)
    return Retriever(model, trie, triples=True)


def digest(path: Path) -> str:
    """The beginning of a file's SHA-256."""
    return sha256(path.read_bytes()).hexdigest()[:12]


def machine(device: str) -> str:
    """The processor, and the accelerator if it is used."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8") if os.name == "posix" else ""
    names = [line.split(":")[1].strip() for line in told.splitlines() if "model name" in line]
    processor = f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
    return processor if device == "cpu" else f"{torch.cuda.get_device_name()}; {processor}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "ablations"])
    parser.add_argument("model", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 3, 10], help="speed only")
    parser.add_argument("--rounds", type=int, default=3, help="speed only")
    parser.add_argument("--other-base", type=Path, nargs="*", default=[], help="ablations only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load(str(options.model), device=options.device)
    if not isinstance(model, Seq2SeqLM):
        parser.error(f"{options.model} is no encoder-decoder")
    retriever = opened(model, options.base)
    weights = sorted(options.model.glob("*.safetensors"))
    print(
        f"{machine(options.device)}; {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}\n"
        f"{', '.join(f'{path.name} {digest(path)}' for path in weights)}; {options.base.name} "
        f"{digest(options.base)} of {len(retriever.trie):,} keys; {options.questions.name} "
        f"{digest(options.questions)}, {len(questions_of(options))} questions, batches of "
        f"{options.batch_size}\n",
        flush=True,
    )
    {"speed": speed, "ablations": ablations}[options.what](model, retriever, options)


if __name__ == "__main__":
    main()
