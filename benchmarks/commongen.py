"""Sentences from 100 concept sets, beside the same model prompted to write them.

    python benchmarks/commongen.py ../shared/commongen/dev_100.jsonl

For each set: the words joined by spaces, the sentence that ``ergotext write --any-order`` finds,
and what the model answers when asked for such a sentence (greedy ``generate`` with its chat
template). All are scored alike: log p(text, end) a token, behind the default context of ``write``.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from pathlib import Path

import torch

from ergotext import TokenBatch, load
from ergotext.lm.causal import CausalLM
from ergotext.tasks.write import CONTEXT, Budget, write

PROMPT = "Write one short sentence that contains all of these words exactly as given: {}."


def holds_all(text: str, words: list[str]) -> bool:
    """Every word stands in the text on its own; told without the engine's own check."""
    return all(re.search(rf"\b{re.escape(word)}\b", text) for word in words)


def per_token(lm: CausalLM, text: str) -> float:
    """log p(text, end) a token, the end token counted."""
    ids = lm.vocabulary.encode(" " + text)
    return float(lm.log_prob(TokenBatch.of([ids]))[0]) / (len(ids) + 1)


@torch.inference_mode()
def prompted(lm: CausalLM, words: list[str]) -> str:
    """The model's own answer to a request for the sentence: its first line, cut at its end."""
    tokenizer = lm.vocabulary.tokenizer
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT.format(", ".join(words))}],
        add_generation_prompt=True,
        return_tensors="pt",
    )["input_ids"]
    out = lm.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=60,
        do_sample=False,
        eos_token_id=lm.end_id,
        pad_token_id=lm.end_id,
    )
    text = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip()
    return text.splitlines()[0].strip() if text else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lm = load("smollm2").given(CONTEXT)
    lines = arguments.sets.read_text(encoding="utf-8").splitlines()[: arguments.count]
    budget = Budget(chains=arguments.chains, steps=arguments.steps)
    held = better = answered = 0
    ours_rate, joined_rate, answer_rate, ours_beside = [], [], [], []
    began = time.perf_counter()
    writing = 0.0
    for line in lines:
        words = json.loads(line)["concepts"]
        found = write(words, lm, budget, context=CONTEXT, any_order=True, progress=False)
        writing += found.seconds
        best = found.best(1)[0]
        ours = best.log_prob / (len(best.tokens) + 1)
        joined = per_token(lm, " ".join(words))
        answer = prompted(lm, words)
        kept = holds_all(answer, words)
        held += holds_all(best.text, words)
        better += ours > joined
        ours_rate.append(ours)
        joined_rate.append(joined)
        if kept:
            answered += 1
            answer_rate.append(per_token(lm, answer))
            ours_beside.append(ours)
        print(
            f"{' '.join(words)}\n  ours     {ours:6.2f}  {best.text}\n  joined   {joined:6.2f}\n"
            f"  prompted {'all   ' if kept else 'not all'} {answer}",
            flush=True,
        )
    n = len(lines)
    print(
        f"\n{n} sets, {arguments.chains} chains × {arguments.steps} steps, {arguments.threads} "
        f"threads: writing {writing:.0f} s, all {time.perf_counter() - began:.0f} s\n"
        f"hold every word          ours {held}/{n}   prompted {answered}/{n}\n"
        f"log p a token, mean      ours {statistics.mean(ours_rate):.2f}   "
        f"joined {statistics.mean(joined_rate):.2f}\n"
        f"ours better than joined  {better}/{n}"
    )
    if answer_rate:
        print(
            f"where prompted holds all prompted {statistics.mean(answer_rate):.2f}   "
            f"ours on the same sets {statistics.mean(ours_beside):.2f}"
        )


if __name__ == "__main__":
    main()
