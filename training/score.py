"""Score the included models on held-out text, next to a trigram model of the same tokens.

    python training/score.py --work work [--models ergotext/models]

Prints nats per token and perplexity by language. The causal and the trigram model predict each
token, and the end token, from the tokens before it. The masked model predicts a token from all
others (pseudo-perplexity; Salazar et al. 2020). That is easier, so the trigram model is also scored
on the same task: p(text) with every token tried at that position.
"""

from __future__ import annotations

import argparse
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from pieces import END, MASK, START, pieces
from transformers import AutoTokenizer

import ergotext as et


class Trigram:
    """Interpolated Kneser-Ney of order 3 (Chen and Goodman 1999), absolute discount 0.75."""

    def __init__(self, rows: Sequence[Sequence[int]], size: int, discount: float = 0.75) -> None:
        self.size, self.discount = size, discount
        trigrams: Counter[tuple[int, ...]] = Counter()
        for row in rows:
            padded = [START, *row]
            trigrams.update(zip(padded, padded[1:], padded[2:], strict=False))
        # Lower orders count in how many contexts a token was seen, not how often.
        bigrams = Counter((b, c) for _, b, c in trigrams)
        unigrams = Counter(c for _, c in bigrams)
        self.third = _by_context(((a, b), c, n) for (a, b, c), n in trigrams.items())
        self.second = _by_context(((b,), c, n) for (b, c), n in bigrams.items())
        seen, total = len(unigrams), unigrams.total()
        self.first = [
            (max(unigrams[token] - discount, 0.0) + discount * seen / size) / total
            for token in range(size)
        ]

    def log_prob(self, a: int, b: int, token: int) -> float:
        """Log p(token | the two tokens before it)."""
        p = self.first[token]
        for table, context in ((self.second, (b,)), (self.third, (a, b))):
            if (counts := table.get(context)) is not None:
                lower = self.discount * len(counts) * p
                p = (max(counts[token] - self.discount, 0.0) + lower) / counts.total()
        return math.log(p)

    def token_log_prob(self, row: Sequence[int]) -> float:
        """Log p of a row and the end token."""
        padded = [START, START, *row, END]
        return sum(
            self.log_prob(*three) for three in zip(padded, padded[1:], padded[2:], strict=False)
        )

    def conditional_log_prob(self, row: Sequence[int], place: int) -> float:
        """Log p of one token given all others, trying every token of the vocabulary there."""
        padded = [START, START, *row, END]
        at = place + 2
        a, b, after, *then = padded[at - 2], padded[at - 1], *padded[at + 1 : at + 3]
        law = [
            self.log_prob(a, b, token)
            + self.log_prob(b, token, after)
            + sum(self.log_prob(token, after, last) for last in then)
            for token in range(MASK + 1, self.size)
        ]
        highest = max(law)
        total = highest + math.log(sum(math.exp(value - highest) for value in law))
        return law[row[place] - MASK - 1] - total


def _by_context(
    entries: Iterable[tuple[tuple[int, ...], int, int]],
) -> dict[tuple[int, ...], Counter[int]]:
    """Counts of the next token, context by context."""
    table: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for context, token, count in entries:
        table[context][token] = count
    return dict(table)


def language(row: Sequence[int], tokenizer) -> str:
    """Chinese if any character is."""
    return "Chinese" if re.search(r"[一-鿿]", tokenizer.decode(row)) else "English"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("ergotext/models"))
    parser.add_argument("--every", type=int, default=1, help="score every nth piece")
    parser.add_argument(
        "--places", type=int, default=300, help="per language, for the trigram model"
    )
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.models / "tiny-masked")
    train, heldout = (
        [row[1:-1] for row in pieces(args.work / f"{part}.jsonl", tokenizer)]
        for part in ("train", "heldout")
    )
    trigram = Trigram([[START, *row, END] for row in train], len(tokenizer))
    causal = et.load(str(args.models / "tiny-causal"))
    masked = et.load(str(args.models / "tiny-masked"))
    assert isinstance(causal, et.CausalLM) and isinstance(masked, et.MaskedLM)
    groups = defaultdict(list)
    for row in heldout[:: args.every]:
        groups[language(row, tokenizer)].append(row)
    for name, rows in sorted(groups.items()):
        count = sum(len(row) + 1 for row in rows)
        ours, theirs, pseudo = 0.0, 0.0, 0.0
        for first in range(0, len(rows), 64):
            batch = et.TokenBatch.of(rows[first : first + 64])
            causal.forget()
            ours -= float(causal.log_prob(batch).sum())
            pseudo -= float(masked.pseudo_log_prob(batch).sum())
            theirs -= sum(trigram.token_log_prob(row) for row in batch.rows())
        chosen = random.Random(0)
        places = [(row, chosen.randrange(len(row))) for row in chosen.sample(rows, args.places)]
        question = -sum(trigram.conditional_log_prob(row, at) for row, at in places) / len(places)
        batch = et.TokenBatch.of([row for row, _ in places])
        law = masked.conditional_log_prob(batch, torch.tensor([at for _, at in places]))
        answer = -sum(float(law[i, row[at]]) for i, (row, at) in enumerate(places)) / len(places)
        print(f"{name}: {len(rows)} held-out pieces, {count} tokens with the end tokens")
        for what, nats in (
            ("causal, perplexity", ours / count),
            ("trigram, perplexity", theirs / count),
            ("masked, pseudo-perplexity", pseudo / (count - len(rows))),
            (f"masked, {args.places} places", answer),
            (f"trigram, the same {args.places} places", question),
        ):
            print(f"  {what:32} {nats:6.3f} nats  {math.exp(nats):8.1f}", flush=True)


if __name__ == "__main__":
    main()
