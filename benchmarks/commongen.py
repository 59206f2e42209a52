"""Sentences from 100 concept sets, beside the human references and the same model prompted.

    python benchmarks/commongen.py ../shared/commongen/dev_100.jsonl --words 8-15

For each set: the sentence that ``ergotext write`` finds, and what the model answers when asked for
such a sentence (greedy ``generate`` with its chat template). All are scored alike: log p(text, end)
a token after the default context of ``write``, the sentence ended by the next one's beginning.
``--sampler annealing`` (with ``--chains`` and ``--steps``) shows what edits find.

    python benchmarks/commongen.py ../shared/commongen/lite_four_96.jsonl --in-order --orders 24

asks for each set (of four words) in each of its 24 orders, and counts those that are kept;
``--first`` and ``--count`` choose some of the sets. Without ``--in-order`` the same sets are
written in any order.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import time
from itertools import islice, permutations
from pathlib import Path

import torch

from ergotext import TokenBatch, fluency, load
from ergotext.commands.keyword_options import window_of
from ergotext.lm.causal import CausalLM
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.forms import with_forms
from ergotext.support.words import Keyword, alternatives, count_words
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import CONTEXT, Demands
from ergotext.tasks.searching import only
from ergotext.tasks.selection import chosen, repeats
from ergotext.tasks.write import write_all

PROMPT = "Write one short sentence that contains all of these words exactly as given: {}."


def holds_all(text: str, words: list[Keyword]) -> bool:
    """Every word stands in the text on its own; told without the engine's own check."""
    return all(
        any(re.search(rf"\b{re.escape(one)}\b", text) for one in alternatives(word))
        for word in words
    )


def keeps_order(text: str, words: list[Keyword]) -> bool:
    """Every word stands in the text on its own, each behind the one before it."""
    places = ("|".join(rf"\b{re.escape(one)}\b" for one in alternatives(word)) for word in words)
    return bool(re.search(".*?".join(f"(?:{place})" for place in places), text, re.DOTALL))


def per_word(lm: TextScorer, text: str) -> float:
    """log p(text, end) a word, by a model that did not write it."""
    ids = lm.vocabulary.encode(" " + text)
    return float(lm.log_prob(TokenBatch.of([ids]))[0]) / count_words(text)


def per_token(lm: TextScorer, text: str) -> float:
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
    parser.add_argument("--sampler", default="smc")
    parser.add_argument("--particles", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--chains", type=int)
    parser.add_argument("--words", default=None)
    parser.add_argument("--forms", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="Begin with this set.")
    parser.add_argument("--in-order", action="store_true")
    parser.add_argument("--orders", type=int, default=1, help="Ask for so many orders of each set.")
    parser.add_argument("--judge", help="Model that scores the texts as well, a word.")
    parser.add_argument("--prompted", action="store_true", help="Ask the model as well.")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lm = load("smollm2")
    scorer = fluency(lm, CONTEXT, end="sentence").scorer
    lines = arguments.sets.read_text(encoding="utf-8").splitlines()[arguments.first :]
    given = [
        {"references": []} | (one if isinstance(one, dict) else {"concepts": one})
        for one in map(json.loads, lines[: arguments.count])
    ]
    given = [
        one | {"concepts": order}
        for one in given
        for order in islice(permutations(one["concepts"]), arguments.orders)
    ]
    sets: list[list[Keyword]] = [list(one["concepts"]) for one in given]
    if arguments.forms:
        sets = [list(with_forms(words)) for words in sets]
    budget = Budget(arguments.sampler, arguments.particles, arguments.chains, arguments.steps)
    window = None if arguments.words is None else window_of(arguments.words)
    demands = Demands(in_order=arguments.in_order, words_between=window)
    holds = keeps_order if arguments.in_order else holds_all
    held = repeated = answered = 0
    ours, references, answers, seconds = [], [], [], []
    written: list[str] = []
    results = write_all(sets, lm, budget, demands, progress=False)
    for one, words in zip(given, sets, strict=True):
        began = time.perf_counter()
        best = chosen(only([next(results)]), 1)[0]
        seconds.append(time.perf_counter() - began)
        held += holds(best.text, words)
        repeated += repeats(best.tokens)
        written.append(best.text)
        ours.append(per_token(scorer, best.text))
        references += [per_token(scorer, text) for text in one["references"]]
        print(f"{' '.join(one['concepts'])}\n  {ours[-1]:6.2f}  {best.text}", flush=True)
        if arguments.prompted:
            answer = prompted(lm.given(CONTEXT), one["concepts"])
            kept = holds_all(answer, words)
            answered += kept
            answers += [per_token(scorer, answer)] if kept else []
            print(f"  prompted {'all   ' if kept else 'not all'} {answer}", flush=True)
    one_sentence = [rate for rate in references if rate > -math.inf]
    print(
        f"\n{len(sets)} sets, {arguments.threads} threads, seconds a set: mean "
        f"{statistics.mean(seconds):.2f}, median {statistics.median(seconds):.2f}, first "
        f"{seconds[0]:.2f}, most {max(seconds):.2f}\n"
        f"hold every word{' in order' * arguments.in_order} {held}, a trigram twice {repeated}\n"
        f"log p a token, mean: ours {statistics.mean(ours):.2f}"
    )
    if one_sentence:
        mean = statistics.mean(one_sentence)
        print(f"{len(one_sentence)} references of one sentence: {mean:.2f}")
    if arguments.judge:
        judge = fluency(load(arguments.judge), CONTEXT, end="sentence").scorer
        human = [text for one in given for text in one["references"]]
        for name, texts in (("ours", written), ("references", human)):
            rates = [per_word(judge, text) for text in texts]
            kept = [rate for rate in rates if rate > -math.inf]
            print(
                f"log p a word by {arguments.judge}, {name}: mean {statistics.mean(kept):.2f}, "
                f"median {statistics.median(kept):.2f} of {len(kept)}"
            )
    if arguments.prompted:
        shown = f"{statistics.mean(answers):.2f}" if answers else "-"
        print(f"prompted: {answered} hold every word, log p a token {shown}")


if __name__ == "__main__":
    main()
