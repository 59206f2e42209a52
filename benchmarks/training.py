"""What each part of training a retriever is worth: short runs, each with one part changed.

    python benchmarks/training.py train.json dev.json base.ergo -o runs/

All runs have one seed and as many steps. The score is EMF1 of the encoder-decoder alone, without a
look-ahead, on the dev questions: of the keys whose mention stands in a question the one with the
highest log p. The last rows take the model of the first run and divide its probabilities by
p(key | mention), a power of it: what a key is worth before the question is read.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from ergotext import load
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.tasks.datasets.kgclue.data import read
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.lookup import opened
from ergotext.tasks.training.examples import Shares
from ergotext.tasks.training.seq2seq import new_model
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.scoring import Coder
from ergotext.tasks.training.seq2seq.train import train
from ergotext.tasks.training.settings import Settings

REAL = Shares(1, 0, 0, 0, 0)
POWERS = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Run:
    """What is unlike the first run."""

    settings: dict[str, Any] = field(default_factory=dict)
    longer: int = 1
    copying: bool = True


RUNS = {
    "all parts": Run(),
    "weights that cannot copy at first": Run(copying=False),
    "no names swapped": Run({"shares": replace(Shares(), renamed=0)}),
    "no predicates swapped": Run({"shares": replace(Shares(), swapped=0)}),
    "no plain questions of the base's strings": Run({"shares": replace(Shares(), plain=0)}),
    "no templates": Run({"shares": replace(Shares(), template=0)}),
    "training questions as they are, nothing else": Run({"shares": REAL}),
    "training questions as they are, cannot copy at first": Run({"shares": REAL}, copying=False),
    "twice the steps": Run(longer=2),
}


def trained(run: Run, output: Path, options: argparse.Namespace) -> dict[str, float]:
    """The scores of a run on all dev questions."""
    steps = options.steps * run.longer
    settings = replace(Settings(steps=steps, every=steps, dev_limit=1), **run.settings)
    able = new_model.teach_copying if run.copying else lambda _: None
    with patch.object(new_model, "teach_copying", able):
        return train(
            options.train, options.dev, options.base, output, settings,
            templates=options.templates, device="cpu",
        ).scores  # fmt: skip


def without_prior(model: Path, options: argparse.Namespace) -> dict[float, dict[str, float]]:
    """Scores by log p(key | question) − power · log p(key | mention)."""
    lm = load(str(model), device="cpu")
    assert isinstance(lm, Seq2SeqLM) and lm.tokenizer is not None
    coder = Coder(lm.tokenizer)
    seen = DevSet.of(read(options.dev).asked, opened(options.base, None)[0])
    told = {power: [""] * len(seen.gold) for power in POWERS}
    for number, log_prob in seen.log_prob(lm.model, coder):
        rivals = seen.rivals[number]
        mentions = [key.partition("\t")[0] for key in rivals.keys]
        prior = torch.empty_like(log_prob)
        for mention in set(mentions):
            mine = [n for n, other in enumerate(mentions) if other == mention]
            alone = DevSet([mention], seen.gold[:1], [rivals.some(mine)])
            ((_, prior[mine]),) = alone.log_prob(lm.model, coder)
        for power, texts in told.items():
            texts[number] = str(rivals.answers[int((log_prob - power * prior).argmax())])
    return {power: mark(seen.gold, texts).scores() for power, texts in told.items()}


def row(name: str, scores: dict[str, float]) -> None:
    shown = " | ".join(f"{scores[part]:.1f}" for part in ("EMF1", "EM_S", "EM_P"))
    print(f"| {name} | {shown} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("base", type=Path, help="index of triples")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--templates", type=Path, action="append", default=[])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.steps} steps\n\n| | EMF1 | EM_S | EM_P |\n|---|---|---|---|", flush=True)
    for number, (name, run) in enumerate(RUNS.items()):
        row(name, trained(run, options.output / str(number), options))
    for power, scores in without_prior(options.output / "0", options).items():
        row(f"all parts, divided by p(key \\| mention)^{power}", scores)


if __name__ == "__main__":
    main()
