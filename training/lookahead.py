"""Train a look-ahead whose words have vectors: those of a language model's input, reduced.

    python training/lookahead.py han train.json --dev dev.json -i base.ergo -o model
        --vectors gemma3-270m --templates training/questions_zh.tsv … --seed 1

A vector is the embedding of a token, of length 1 and less the mean of all, in its ``--dimensions``
directions of most variance. ``han`` takes the tokens that are Chinese characters, ``latin`` the
most frequent ones that are lower-case words.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ergotext as et
from ergotext.lm.trie.opening import opened
from ergotext.support.arrays import Floats
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.network import Matcher
from ergotext.tasks.training.data import TrainingData
from ergotext.tasks.training.lookahead.learner import characters
from ergotext.tasks.training.lookahead.pairs import Examples
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.lookahead.synonyms import Synonyms
from ergotext.tasks.training.lookahead.train import train_lookahead

TOKENS = {"han": re.compile("[\u4e00-\u9fff]+"), "latin": re.compile(" ([a-z\u00df-\u024f]{2,})")}
MOST = 20_000
"""Words: tokens come in order of frequency."""


def vectors_of(model: str, script: str, dimensions: int) -> tuple[list[str], Floats]:
    """The words of a language model [W] and their vectors [W, dimensions]."""
    lm = et.load(model, device="cpu")
    embedding: Any = lm.model.get_input_embeddings()
    table = embedding.weight.detach()
    tokenizer = lm.vocabulary.tokenizer
    texts = tokenizer.batch_decode([[number] for number in range(len(tokenizer))])
    rows: dict[str, int] = {}
    for number, text in enumerate(texts):
        if (found := TOKENS[script].fullmatch(text)) and len(rows) < MOST:
            rows.setdefault(found[found.re.groups], number)
    found = torch.nn.functional.normalize(table[list(rows.values())].double(), dim=1).numpy()
    found -= found.mean(0)
    _, _, directions = np.linalg.svd(found, full_matrices=False)
    reduced = found @ directions[:dimensions].T
    # As large as the vectors of characters are at first.
    reduced *= 0.3 * np.sqrt(dimensions) / np.linalg.norm(reduced, axis=1, keepdims=True)
    return list(rows), reduced


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("script", choices=TOKENS)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("-i", "--index", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--vectors", required=True, help="model to take the vectors from")
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--templates", type=Path, action="append", default=[])
    parser.add_argument("--synonyms", type=Path, action="append", default=[])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--templated", type=float, default=0.3)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recipe = Recipe(
        steps=args.steps, templated=args.templated, width=args.width, hidden=args.hidden,
        seed=args.seed,
    )  # fmt: skip
    words, vectors = vectors_of(args.vectors, args.script, args.dimensions)
    data = TrainingData.read(args.questions, args.dev, args.index, args.templates)
    spotter = Spotter(opened(args.index)[0], triples=True)
    known = characters(Examples(data.questions.asked, spotter, data.templates, Synonyms()))
    torch.manual_seed(args.seed)
    first = Matcher(
        known, recipe.width, recipe.hidden, words=words, vectors=torch.tensor(vectors).float()
    )
    with tempfile.TemporaryDirectory() as folder:
        first.save(folder)
        print(
            train_lookahead(
                args.questions, args.dev, args.index, args.output, recipe,
                templates=args.templates, synonyms=args.synonyms, start=folder, resume=args.resume,
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
