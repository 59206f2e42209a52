"""Extractive reading: spans of the passage alone, beside the same model left free.

    python benchmarks/read.py dev_100.jsonl -o read.jsonl

Each line of the data has a passage, a question and answers (CMRC 2018: Cui et al. 2019, "A span-
extraction dataset for Chinese machine reading comprehension"). Both answers come behind the same
prompt: ``SpanReader`` looks for the most probable span, the free model writes its most probable
token at every step (greedy) until it ends the line, which it may not do before it has written
something. Exact match and F1 are those of SQuAD on
characters: case, white space and punctuation are left out, F1 is of the characters that both have,
as often as both have them, and the best of the answers given counts.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from ergotext import load
from ergotext.tasks.read import SpanReader

MAX_LENGTH = 64
"""Tokens of an answer, its end counted, bound or free."""


def free(reader: Any, passage: str, question: str) -> str:
    """What the model writes if nothing bounds it: the most probable token at every step."""
    decoding, _ = reader.begin(passage, question)
    allowed = reader.lm.allowed.clone()
    allowed[decoding.end] = True
    tokens = allowed.nonzero()[:, 0]
    first, written = torch.zeros(1, dtype=torch.int64), []
    while len(written) < MAX_LENGTH - 1:
        logits = decoding.logits(torch.zeros_like(tokens), tokens)
        if not reader.pieces.joined(written).strip():
            logits[tokens == decoding.end] = -torch.inf  # else it is silent half of the time
        best = tokens[logits.argmax()]
        if int(best) == decoding.end:
            break
        written.append(int(best))
        decoding = decoding.advance(first, best[None])
    return reader.pieces.joined(written).decode(errors="replace").strip()


def bare(text: str) -> str:
    """Its characters in lower case, without white space, punctuation and symbols."""
    return "".join(c for c in text.lower() if unicodedata.category(c)[0] not in "ZPSC")


def scores(written: str, answers: list[str]) -> tuple[float, float]:
    """Exact match and F1, of the best answer each."""
    exact = max(float(bare(written) == bare(answer)) for answer in answers)
    return exact, max(f1(bare(written), bare(answer)) for answer in answers)


def f1(written: str, answer: str) -> float:
    common = (Counter(written) & Counter(answer)).total()
    return 2 * common / (len(written) + len(answer)) if common else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="gemma3-270m")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--limit", type=int)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    spans = SpanReader(load(arguments.model, device=arguments.device))
    reader: Any = spans.reader
    begin = reader.begin
    # Both answers are written behind the prompt as it was read once.
    reader.begin = functools.lru_cache(maxsize=1)(begin)
    assert reader.closing  # made before the clock runs
    total: Counter[str] = Counter()
    lines = arguments.data.read_text(encoding="utf-8").splitlines()[: arguments.limit]
    with arguments.output.open("w", encoding="utf-8") as output:
        for line in lines:
            record = json.loads(line)
            passage, question = record["passage"], record["question"]
            clock = time.process_time()
            reader.begin(passage, question)
            read = time.process_time()
            found = spans.read(passage, question, k=1, beams=arguments.beams, max_length=MAX_LENGTH)
            bound_time = time.process_time() - read
            clocks = {"prompt": read - clock, "spans": bound_time}
            read = time.process_time()
            other = free(reader, passage, question)
            clocks["free"] = time.process_time() - read
            texts = {"spans": found.answers[0].text if found.answers else "", "free": other}
            for name, text in texts.items():
                exact, overlap = scores(text, record["answers"])
                total[f"{name} EM"] += exact
                total[f"{name} F1"] += overlap
                total[f"{name} inside"] += bool(text) and text in passage
            total.update({f"{name} seconds": seconds for name, seconds in clocks.items()})
            told = {**texts, "answers": record["answers"], "question": question}
            print(json.dumps(told, ensure_ascii=False), file=output, flush=True)
    count = len(lines)
    print(f"{arguments.model}, {count} questions, {arguments.beams} beams")
    print("| answers | exact match % | F1 % | in the passage % | CPU s a question |")
    print("|---|---|---|---|---|")
    for name in ("spans", "free"):
        row = [100 * total[f"{name} {what}"] / count for what in ("EM", "F1", "inside")]
        shown = " | ".join(f"{value:.1f}" for value in row)
        print(f"| {name} | {shown} | {total[f'{name} seconds'] / count:.2f} |")
    print(f"(reading the prompt: {total['prompt seconds'] / count:.2f} CPU s a question)")


if __name__ == "__main__":
    main()
