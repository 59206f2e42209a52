"""Blanks filled and texts said in other words, beside edits of the same texts for as long.

    python benchmarks/rewording.py infill --threads 2
    python benchmarks/rewording.py paraphrase --threads 2

For each text: what particles find (the default), and after it, with the same model and as many
seconds, what ``--beside annealing`` finds by edits (``none``: nothing). Both are scored alike: log
p(text, end) a token after the default context, a single sentence ended by the next one's beginning.
Given parts are checked by this file, not by the engine.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from ergotext import TokenBatch, fluency, load
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.sentence import one_sentence
from ergotext.lm.energies.embedding import SentenceEncoder, load_encoder
from ergotext.lm.energies.terms import End
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import CONTEXT
from ergotext.tasks.infill import infill
from ergotext.tasks.paraphrase import paraphrase
from ergotext.tasks.selection import chosen
from ergotext.tasks.wordings import others

BLANKS = [
    "The ___ sat on the ___{1,3}.",
    "After ___{2,4}, she finally ___.",
    "My grandmother always ___ before she ___.",
    "He opened the ___ and found ___{2,5} inside.",
    "We could not ___ because the ___ was closed.",
    "On Monday the mayor of Leeds ___{3,8}.",
    "The ___{1,2} lost its ___{1,2} in the storm.",
    "If you want to ___{1,4}, you should ___{1,5}.",
    "The company said that ___{2,6} would ___ next year.",
    "I have never ___ such a ___ in my ___.",
    "Between 1914 and 1918, ___{3,8}.",
    "The children ___ in the garden while their father ___{2,5}.",
    "Scientists at the University of Oslo have ___{3,8}.",
    "Please ___ the ___ when you leave the ___.",
    "Three people were ___ after a ___{1,2} near the station.",
    "The soup was too ___, so I ___{2,5}.",
    "Anna's new ___ is ___ than her old one.",
    "Prices rose by 4 percent in May, ___{3,8}.",
    "The dog ___ all night, and nobody could ___.",
    "She put the ___ on the table, took off her ___ and ___{1,4}.",
]
SAID = [
    "The weather is very nice today, so we want to go to the beach.",
    "My brother bought a new car last week and he loves it.",
    "I forgot my umbrella at home and got completely wet.",
    "She was late for work because her train did not come.",
    "The soup is too hot, so please wait a little before you eat it.",
    "We had to cancel the picnic because of the heavy rain.",
    "He is very happy that he passed his driving test.",
    "My neighbour has three cats and a very old dog.",
    "Can you tell me how to get to the train station?",
    "I stopped drinking coffee because it kept me awake at night.",
    "The old house on the hill has been empty for many years.",
    "They decided to sell their house and move to a small village.",
    "The city council voted on Tuesday to close three schools.",
    "Apple sold 12 million phones in the first quarter of 2019.",
    "The storm destroyed more than 200 homes on the coast of Florida.",
    "A fire broke out in a factory near Berlin on Friday night.",
    "The company will cut 500 jobs because sales have fallen sharply.",
    "Doctors warn that many children do not get enough sleep.",
    "The president met the families of the victims in Boston. He promised to help them.",
    "It snowed all night. In the morning the roads were closed and we stayed at home.",
]


class Found(NamedTuple):
    """The best text of a run."""

    text: str
    seconds: float
    cpu: float


def timed(run: Callable[[], str]) -> Found:
    """What a run finds, in seconds of the clock and of this process."""
    began, cpu = time.perf_counter(), time.process_time()
    text = run()
    return Found(text, time.perf_counter() - began, time.process_time() - cpu)


def per_token(lm: CausalLM, text: str) -> float:
    """log p(text, end) a token after the default context, the end token counted."""
    end: End = "sentence" if one_sentence(text) else "token"
    scorer = fluency(lm, CONTEXT, end).scorer
    ids = lm.vocabulary.encode(" " + text)
    return float(scorer.log_prob(TokenBatch.of([ids]))[0]) / (len(ids) + 1)


def kept(given: str, text: str) -> bool:
    """Whether a text has the given parts of a template, in their order and in full."""
    parts = [re.escape(part) for part in re.split(r"___(?:\{[\d,]*\})?", given)]
    return re.fullmatch(r"\S(?:.*\S)?".join(parts), text) is not None


def named(given: str, text: str) -> bool:
    """Whether a text has the digits of another, and its words with capitals but the first."""
    words = re.findall(r"\d+|(?<=[a-z,] )[A-Z]\w+", given)
    return all(re.search(rf"\b{word}\b", text) for word in words)


def filled(lm: CausalLM, given: str, budget: Budget) -> str:
    """The first text that ``ergotext infill`` shows."""
    return chosen(infill(given, lm, budget, progress=False), 1)[0].text.strip()


def said(lm: CausalLM, given: str, budget: Budget, encoder: SentenceEncoder) -> str:
    """The first text that ``ergotext paraphrase`` shows; empty if it finds none.

    Edits have the weights that they had when they were the default.
    """
    if budget.grows:
        result = paraphrase(given, lm, budget, encoder=encoder, progress=False)
    else:
        result = paraphrase(
            given, lm, budget, encoder=encoder, meaning=40.0, least=0.0, progress=False
        )
    found = others(result, given, 1)
    return found[0].text.strip() if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["infill", "paraphrase"])
    parser.add_argument("--beside", default="annealing", choices=["annealing", "mh", "none"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--model", default="smollm2")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lm, encoder = load(arguments.model), load_encoder()
    fills = arguments.task == "infill"
    texts = (BLANKS if fills else SAID)[: arguments.count]
    held = kept if fills else named

    def run(given: str, budget: Budget) -> Found:
        if fills:
            return timed(lambda: filled(lm, given, budget))
        return timed(lambda: said(lm, given, budget, encoder))

    ours: list[tuple[Found, float]] = []
    better = sound = 0
    for given in texts:
        print(given, flush=True)
        found = run(given, Budget())
        rows = [("smc", found)]
        if arguments.beside != "none":
            limit = Budget(arguments.beside, max_seconds=found.seconds, steps=10_000)
            rows.append((arguments.beside, run(given, limit)))
        rates = [per_token(lm, one.text) if one.text else -math.inf for _, one in rows]
        for (name, one), rate in zip(rows, rates, strict=True):
            close = ""
            if not fills and one.text:
                two = encoder.encode([given, one.text])
                close = f"{float(two[0] @ two[1]):.2f} "
            lost = "" if held(given, one.text) else "LOST "
            print(
                f"  {name:9} {rate:6.2f} {close}{one.cpu:5.1f} CPU s  {lost}{one.text}", flush=True
            )
        sound += held(given, found.text)
        better += rates[0] > rates[-1]
        ours.append((found, rates[0]))
    seconds, cpu = [one.seconds for one, _ in ours], [one.cpu for one, _ in ours]
    print(
        f"\n{len(ours)} texts, {arguments.threads} threads: {sound} keep what is given, "
        f"{better} likelier a token than by {arguments.beside}\n"
        f"log p a token, mean {statistics.mean(rate for _, rate in ours):.2f}; seconds mean "
        f"{statistics.mean(seconds):.1f}, first {seconds[0]:.1f}, most {max(seconds):.1f}; CPU "
        f"seconds mean {statistics.mean(cpu):.1f}, most {max(cpu):.1f}"
    )


if __name__ == "__main__":
    main()
