"""Choose the scale of a retriever's look-ahead.

The scale is the one with the best EMF1 on the dev questions. The temperature of the model's own
probabilities stays 1, because over a large index they are known only within bounds;
``fit_calibration.py`` fits that of model and look-ahead together. Writes retriever.json to the
model's folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import ergotext as et
from ergotext.tasks.datasets.kgclue.data import read
from ergotext.tasks.retrieval.lookahead.fitted import Fitted
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.training.lookahead.scale import scores_by_scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder of the model and its look-ahead")
    parser.add_argument("-i", "--index", type=Path, required=True, help="in the model's tokens")
    parser.add_argument("--dev", required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lm = et.load(str(args.model), device="cpu")
    retriever = et.Retriever(lm, args.index)
    found = scores_by_scale(lm, retriever.trie, Matched.load(args.model), read(args.dev).asked)
    for scale, scores in found.items():
        values = (f"{name} {scores[name]:.3f}" for name in ("EMF1", "EM_S", "EM_P"))
        print(f"scale {scale:g}:", *values, flush=True)
    best = max(found, key=lambda scale: found[scale]["EMF1"])
    fitted = Fitted(best)
    fitted.save(args.model)
    print(fitted)


if __name__ == "__main__":
    main()
