"""Tries side by side: nested dicts, marisa-trie and ours; same keys, alternately in one run.

    python benchmarks/trie.py memory     build time and bytes a key, each in a process of its own
    python benchmarks/trie.py step       from states to scores ready for top-k, batch of 64
    python benchmarks/trie.py generate   answers of an encoder-decoder: generate and our beam

It needs ``pip install marisa-trie``.

The nested dict is GENRE's design, asked through ``prefix_allowed_tokens_fn``; marisa-trie is its
other one. Keys are made up: subject (3–12 tokens) and predicate (3–8), vocabulary 21,128.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import T5Config, T5ForConditionalGeneration
from transformers.generation import LogitsProcessorList, PrefixConstrainedLogitsProcessor

from ergotext.lm.automata.generated_rows import WrittenRows
from ergotext.lm.automata.logits_processor import AutomatonLogitsProcessor
from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.builder import TrieBuilder
from ergotext.samplers.search.beam import beam

PAD, END, START, VOCABULARY = 0, 1, 2, 21_128
ALPHABET = Alphabet(VOCABULARY, PAD, END)
BATCH, QUESTIONS, BEAMS = 64, 16, 5

Flat = tuple[NDArray[np.int64], NDArray[np.int64]]


def make_keys(count: int) -> Flat:
    """Flat token ids and offsets of ``count`` distinct keys, in random order."""
    rng = np.random.default_rng(0)

    def names(number: int, low: int, high: int) -> Flat:
        lengths = rng.integers(low, high + 1, number)
        # Frequencies like those of characters: a few thousand make up most of a text.
        ids = (VOCABULARY - 3) * rng.random(lengths.sum()) ** 3
        return ids.astype(np.int64) + 3, offsets_of(lengths)

    subjects, predicates = names(count // 6 + 1, 3, 12), names(5_000, 3, 8)
    pairs = np.unique(rng.integers(0, (count // 6 + 1) * 5_000, 2 * count))
    chosen = divmod(rng.permutation(pairs)[: count + count // 50], 5_000)
    parts = [np.diff(o)[i] for (_, o), i in zip((subjects, predicates), chosen, strict=True)]
    offsets = offsets_of(parts[0] + parts[1])
    flat = np.empty(offsets[-1], dtype=np.int64)
    for (ids, o), i, start in zip(
        (subjects, predicates), chosen, (offsets[:-1], offsets[:-1] + parts[0]), strict=True
    ):
        lengths = np.diff(o)[i]
        flat[spread(start, lengths)] = ids[spread(o[i], lengths)]
    kept = {row.tobytes(): n for n, row in enumerate(np.split(flat, offsets[1:-1]))}
    first = np.sort(list(kept.values()))[:count]
    lengths = np.diff(offsets)[first]
    return flat[spread(offsets[first], lengths)], offsets_of(lengths)


def rows_of(keys: Flat) -> Iterator[list[int]]:
    flat, offsets = keys
    return (row.tolist() for row in np.split(flat, offsets[1:-1]))


class DictTrie:
    """Nested dicts, as GENRE has them."""

    def __init__(self, keys: Flat) -> None:
        self.root: dict[int, Any] = {}
        for row in rows_of(keys):
            node = self.root
            for token in (*row, END):
                node = node.setdefault(token, {})

    def get(self, prefix: list[int]) -> list[int]:
        node = self.root
        for token in prefix:
            if token not in node:
                return []
            node = node[token]
        return list(node)


class MarisaTrie:
    """Keys as strings of code points in marisa-trie, as GENRE has them."""

    def __init__(self, keys: Flat) -> None:
        import marisa_trie

        self.shift = 256
        self.trie = marisa_trie.Trie(self.text([*row, END]) for row in rows_of(keys))

    def text(self, row: list[int]) -> str:
        return "".join(chr(token + self.shift) for token in row)

    def get(self, prefix: list[int]) -> list[int]:
        below = self.trie.keys(self.text(prefix))
        return [ord(c) - self.shift for c in {key[len(prefix)] for key in below}]


def ours(keys: Flat) -> TokenTrie:
    flat, offsets = keys
    none = np.zeros(len(offsets), dtype=np.int64)
    with TrieBuilder(ALPHABET) as builder:
        builder.add(flat, offsets, np.empty(0, dtype=np.uint8), none)
        return builder.finish()


BUILDERS: dict[str, Callable[[Flat], Any]] = {
    "nested dict": DictTrie, "marisa-trie": MarisaTrie, "ours": ours,
}  # fmt: skip


def resident() -> int:
    """Bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(name: str, keys: Flat, out: Any) -> None:
    before, began = resident(), time.perf_counter()
    trie = BUILDERS[name](keys)
    seconds, more = time.perf_counter() - began, resident() - before
    out.put((seconds, more, trie.nbytes if isinstance(trie, TokenTrie) else None))


def memory(keys: Flat) -> None:
    context = multiprocessing.get_context("fork")
    count = len(keys[1]) - 1
    for name in BUILDERS:
        out = context.Queue()
        process = context.Process(target=measure, args=(name, keys, out))
        process.start()
        seconds, more, exact = out.get()
        process.join()
        size = more if exact is None else exact
        print(
            f"{count:>9,} keys  {name:<12} build {seconds:6.2f} s   {size / count:8.1f} bytes a key"
            f"{'' if exact is None else f'   (resident {more / count:.1f})'}",
            flush=True,
        )


def prefixes(keys: Flat, depth: int | None) -> list[list[int]]:
    """64 beginnings of keys, all of one depth, or of depths from 0 to the last token."""
    rng = np.random.default_rng(1)
    flat, offsets = keys
    rows = []
    while len(rows) < BATCH:
        at = int(rng.integers(len(offsets) - 1))
        row = flat[offsets[at] : offsets[at + 1]].tolist()
        if depth is None or len(row) >= depth:
            rows.append(row[: int(rng.integers(len(row) + 1)) if depth is None else depth])
    return rows


def with_candidates(trie: TokenTrie, states: NDArray[np.int64], scores: torch.Tensor) -> Any:
    """The scores of what is allowed, flat and by row: what the top-k of ``beam`` takes."""
    row, token, following = trie.candidates(states)
    flat = scores.view(-1)[torch.from_numpy(row * scores.shape[1] + token)]
    return row, token, following, flat


def clock(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of a call; in each round every one runs for 20 ms, or once."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if times[name] and times[name][0] > 1000 and len(times[name]) > 2:
                continue  # three times will do for what takes seconds
            began, number = time.perf_counter(), 0
            while not number or time.perf_counter() - began < 0.02:
                call()
                number += 1
            times[name].append(1e3 * (time.perf_counter() - began) / number)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def step(keys: Flat) -> None:
    count = len(keys[1]) - 1
    nested, marisa, trie = DictTrie(keys), MarisaTrie(keys), ours(keys)
    scores, mask = torch.randn(BATCH, VOCABULARY), AutomatonLogitsProcessor(trie, small_t5())
    for depth in (None, 0, 1, 2, 3, 5, 8):
        rows = prefixes(keys, depth)
        states = np.array([trie.walk(row) for row in rows])
        read = np.zeros(
            (BATCH, int(depth != 0)), dtype=np.int64
        )  # whether anything was, and no more
        written = WrittenRows(read, states, np.zeros(BATCH, dtype=bool))
        width = max(map(len, rows)) + 1
        # The prefixes differ in length, as they do not in generate; so rows are told by number.
        ids = torch.full((BATCH, width), START)
        processor = {
            name: PrefixConstrainedLogitsProcessor(
                lambda number, _, peer=peer, rows=rows: peer.get(rows[number]), num_beams=1
            )
            for name, peer in (("nested dict", nested), ("marisa-trie", marisa))
        }
        took = clock(
            {
                "nested dict": lambda p=processor, ids=ids: p["nested dict"](ids, scores),
                "marisa-trie": lambda p=processor, ids=ids: p["marisa-trie"](ids, scores),
                "ours, candidates": lambda s=states: with_candidates(trie, s, scores),
                "ours, dense mask": lambda w=written: mask._masked(scores, w),
            },
            rounds=11,
        )
        what = "mixed depths" if depth is None else f"depth {depth}"
        base = took["nested dict"]
        for name, took_ms in took.items():
            print(
                f"{count:>9,} keys  {what:<13} {name:<17} {took_ms:9.3f} ms   "
                f"{base / took_ms:7.1f}× the nested dict",
                flush=True,
            )


def small_t5() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=256, d_kv=64, d_ff=1024, num_layers=4, num_heads=4,
        pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=START,
    )  # fmt: skip
    return T5ForConditionalGeneration(config).eval()


def generate(keys: Flat) -> None:
    nested, trie, model = DictTrie(keys), ours(keys), small_t5()
    lm = Seq2SeqLM(model)
    rng = np.random.default_rng(2)
    questions = [[*rng.integers(3, VOCABULARY, rng.integers(8, 24)).tolist(), END]
                 for _ in range(QUESTIONS)]  # fmt: skip
    width = max(map(len, questions))
    ids = torch.tensor([q + [PAD] * (width - len(q)) for q in questions])
    plain = {
        "input_ids": ids, "attention_mask": (ids != PAD).long(), "num_beams": BEAMS,
        "num_return_sequences": BEAMS, "do_sample": False, "max_new_tokens": trie.longest + 1,
        "length_penalty": 0.0, "early_stopping": False,
    }  # fmt: skip

    def allowed(_: int, row: torch.Tensor) -> list[int]:
        read = row.tolist()[1:]
        return nested.get(read) or [PAD]

    calls: dict[str, Callable[[], Any]] = {
        "generate, nested dict": lambda: model.generate(**plain, prefix_allowed_tokens_fn=allowed),
        "generate, our processor": lambda: model.generate(
            **plain, logits_processor=LogitsProcessorList([AutomatonLogitsProcessor(trie, model)])
        ),
        "our beam": lambda: beam(lm.read(questions), trie, k=BEAMS),
        "generate, nested dict, its default length penalty": lambda: model.generate(
            **{**plain, "length_penalty": 1.0}, prefix_allowed_tokens_fn=allowed
        ),
    }
    results = {name: call() for name, call in calls.items()}
    took = clock(calls, rounds=8)
    for name, took_ms in took.items():
        ratio = took["generate, nested dict"] / took_ms
        print(f"{name:<50} {took_ms:8.0f} ms   {ratio:5.2f}×", flush=True)
    compare(model, questions, results)


def compare(model: Any, questions: list[list[int]], results: dict[str, Any]) -> None:
    """Scores of both searches, each key rescored by one teacher-forced pass."""
    below = worst = 0.0
    better = 0
    for number, (given, found) in enumerate(zip(questions, results["our beam"], strict=True)):
        rows = results["generate, nested dict"][number * BEAMS : (number + 1) * BEAMS].tolist()
        theirs = sorted((rescored(model, given, answer(row)) for row in rows), reverse=True)
        mine = [h.log_prob for h in found.hypotheses]
        again = [rescored(model, given, [*h.tokens]) for h in found.hypotheses]
        worst = max(worst, *(abs(a - b) for a, b in zip(mine, again, strict=True)))
        below = max(below, *(b - a for a, b in zip(mine, theirs, strict=True)))
        better += sum(a > b + 1e-4 for a, b in zip(mine, theirs, strict=True))
    exact = sum(found.exact for found in results["our beam"])
    print(
        f"largest difference to a teacher-forced pass {worst:.1e}; ours below generate's, rank by "
        f"rank, by at most {max(below, 0):.1e}; above on {better} of {len(questions) * BEAMS} "
        f"ranks; proven exact on {exact} of {len(questions)} questions"
    )


def answer(row: list[int]) -> list[int]:
    return [token for token in row[1:] if token not in (PAD, END)]


@torch.inference_mode()
def rescored(model: Any, given: list[int], key: list[int]) -> float:
    read, said = torch.tensor([[START, *key]]), torch.tensor([*key, END])
    logits = model(input_ids=torch.tensor([given]), decoder_input_ids=read).logits[0]
    return float(logits.double().log_softmax(-1)[torch.arange(len(said)), said].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["memory", "step", "generate"])
    parser.add_argument("--keys", type=int, nargs="*", default=None)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} threads")
    run = {"memory": memory, "step": step, "generate": generate}[arguments.what]
    usual = [1_000_000] if arguments.what == "generate" else [100_000, 1_000_000]
    for count in arguments.keys or usual:
        run(make_keys(count))


if __name__ == "__main__":
    main()
