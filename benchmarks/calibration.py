"""Whether any temperature can mend the probability that a retriever's model alone gives its answer.

    python benchmarks/calibration.py model/ kb.ergo dev.json

The answer is chosen by model and look-ahead together, its probability is p(key | question)^(1/T)
over that of all keys of the base. Over fewer keys, the candidates of the question alone, it can
only be higher: the mean of these over the questions is a bound, and the expected calibration error
is at least how often answers are right less that bound (by the triangle inequality over its bins).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from ergotext import Retriever, load, load_lookahead
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.tasks.datasets.kgclue.data import read
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.scoring import Coder

TEMPERATURES = (0.01, 0.03, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 4, 8, 16, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder, or the name of one in the package")
    parser.add_argument("index", help="in the model's tokens")
    parser.add_argument("questions")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lm, ahead = load(options.model, device="cpu"), load_lookahead(options.model)
    assert isinstance(lm, Seq2SeqLM) and lm.tokenizer is not None
    trie = Retriever(lm, options.index).trie
    seen = DevSet.of(read(options.questions).asked, trie)
    keys, _ = Spotter(trie, triples=True).find(seen.questions)
    told = [""] * len(keys)
    highest = np.zeros((len(TEMPERATURES), len(keys)))
    for number, scores in seen.log_prob(lm.model, Coder(lm.tokenizer)):
        log_prob = scores.double()
        best = int(np.argmax(log_prob.numpy() + ahead(seen.questions[number], keys[number])))
        told[number] = str(seen.rivals[number].answers[best])
        for row, temperature in zip(highest, TEMPERATURES, strict=True):
            row[number] = (log_prob / temperature).softmax(0)[best]
    right = mark(seen.gold, told).right.mean()
    print(f"{len(keys)} questions, {100 * right:.2f}% right\n")
    print("| temperature | mean probability at most | calibration error at least |")
    print("|---|---|---|")
    for temperature, mean in zip(TEMPERATURES, highest.mean(1), strict=True):
        print(f"| {temperature:g} | {mean:.3f} | {max(right - mean, 0):.3f} |")


if __name__ == "__main__":
    main()
