"""Cut the text into independent token sequences, and batch them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LONGEST = 128  # tokens, start and end included
REPEAT = {"hsk-sentences-audio": 2, "smollm2": 2}  # everyday language is scarce
START, END, MASK = 1, 2, 3


def pieces(file: Path, tokenizer: Any) -> list[list[int]]:
    """The text in independent pieces of at most LONGEST tokens, cut between sentences."""
    result = []
    for line in file.read_text("utf-8").splitlines():
        document = json.loads(line)
        for paragraph in document["paragraphs"]:
            found = [[START, *ids, END] for ids in cut(paragraph, tokenizer)]
            result += found * REPEAT.get(document["source"], 1)
    return result


def cut(paragraph: str, tokenizer: Any) -> Iterator[list[int]]:
    """Split a paragraph into as few runs of sentences as fit; skip a sentence that is too long."""
    sentences = re.findall(r".+?(?:[.!?][\"”’)]*(?=\s|$)|[。！？；][”’』」）]*|$)", paragraph)
    whole = ""
    for sentence in [*sentences, ""]:
        longer = whole + sentence
        if sentence and len(encoded(longer, tokenizer)) <= LONGEST - 2:
            whole = longer
            continue
        ids = encoded(whole.strip(), tokenizer)
        if 2 <= len(ids) <= LONGEST - 2:
            yield ids
        whole = sentence


def encoded(text: str, tokenizer: Any) -> list[int]:
    """Token ids without special tokens."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def batches(rows: list[list[int]], tokens: int, seed: int) -> Iterator[Tensor]:
    """Endless shuffled batches of about ``tokens`` tokens; rows of similar length are grouped."""
    chosen = random.Random(seed)
    while True:
        order = chosen.sample(range(len(rows)), len(rows))
        for first in range(0, len(order), 2048):
            near = sorted(order[first : first + 2048], key=lambda r: len(rows[r]))
            groups: list[list[int]] = [[]]
            for row in near:
                if (len(groups[-1]) + 1) * len(rows[row]) > tokens:
                    groups.append([])
                groups[-1].append(row)
            chosen.shuffle(groups)
            yield from (padded([rows[r] for r in group]) for group in groups)


def padded(rows: list[list[int]]) -> Tensor:
    """int64 [B, L]; 0 after the end of a row."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
