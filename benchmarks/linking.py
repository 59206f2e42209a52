"""Titles outside of the index in many random runs: none is allowed.

Random models (T5, BART and Llama, with random weights), random titles, texts in batches, greedy
search, sampling, beams and sampled beams under ``trie.prefix_fn``, and ``et.retrieval.link`` with
and without a mention table. What comes out is decoded and looked up in the set of titles.

    python benchmarks/linking.py --runs 10000
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

import ergotext as et
from ergotext.lm.automata.generated_rows import DeadEndWarning
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.tasks.retrieval.linking import link

LETTERS = "abcdeé 北京,("
SPECIALS = ("<pad>", "</s>", "<s>", "<unk>")
PAD, END, BOS = 0, 1, 2
MERGES = [("a", "b"), ("ab", "c"), ("c", "d"), ("北", "京")]
MARKS = ("[", "]")
TEXT = LETTERS + "xyz."
SIZES = {"d_model": 16, "decoder_attention_heads": 2, "encoder_attention_heads": 2}


def tokenizer(before: bool) -> PreTrainedTokenizerFast:
    """Letters, some pairs of them, and bytes for the rest; BART's kind has a token before texts."""
    names = [
        *SPECIALS,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *LETTERS,
        "ab",
        "abc",
        "cd",
        "北京",
    ]
    inner = Tokenizer(
        models.BPE(
            {name: n for n, name in enumerate(names)}, MERGES, byte_fallback=True, unk_token="<unk>"
        )
    )
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    single = "<s> $A </s>" if before else "$A </s>"
    inner.post_processor = processors.TemplateProcessing(
        single, special_tokens=[("<s>", BOS), ("</s>", END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
    )


TOKENIZERS = {name: tokenizer(name == "bart") for name in ("t5", "bart", "llama")}
SIZE = len(TOKENIZERS["t5"])
SCALES = (0.02, 0.1, 0.3, 1.0)
MODELS = 100
"""Of each kind."""


@cache
def model_of(kind: str, seed: int) -> PreTrainedModel:
    """Weights from nearly even laws of tokens to nearly certain ones."""
    torch.manual_seed(seed)
    scale = SCALES[seed % len(SCALES)]
    ends = {"pad_token_id": PAD, "eos_token_id": END}
    if kind == "t5":
        config: Any = T5Config(
            vocab_size=SIZE, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
            decoder_start_token_id=PAD, initializer_factor=3 * scale, **ends,
        )  # fmt: skip
        return T5ForConditionalGeneration(config).eval()
    if kind == "bart":
        config = BartConfig(
            vocab_size=SIZE, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=24,
            decoder_ffn_dim=24, max_position_embeddings=160, bos_token_id=BOS,
            decoder_start_token_id=END, init_std=scale, **SIZES, **ends,
        )  # fmt: skip
        found = BartForConditionalGeneration(config).eval()
        found.generation_config.forced_bos_token_id = BOS
        return found
    config = LlamaConfig(
        vocab_size=SIZE, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=160, bos_token_id=BOS,
        initializer_range=scale, **ends,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@dataclass
class Count:
    """What came out of one kind of runs."""

    runs: int = 0
    titles: int = 0
    outside: int = 0
    flagged: int = 0
    """rows of generate that are no titles, and that ``accepted`` says are none"""
    examples: list[str] = field(default_factory=list)

    def add(self, texts: list[str], whole: list[bool], titles: set[str]) -> None:
        self.runs += 1
        self.titles += len(texts)
        for text, one in zip(texts, whole, strict=True):
            if not one:
                self.flagged += 1
            elif text not in titles:
                self.outside += 1
                self.examples.append(text)


def some_titles() -> list[str]:
    """Titles of which many begin alike, and some are the beginning of others."""
    stems = ["".join(random.choices(LETTERS, k=random.randint(1, 5))) for _ in range(4)]
    found = {
        random.choice(stems) + "".join(random.choices(LETTERS, k=random.randint(0, 6)))
        for _ in range(random.randint(1, 30))
    }
    return sorted(found)


def text() -> str:
    return "".join(random.choices(TEXT, k=random.randint(0, 20)))


def generated(
    kind: str, model: PreTrainedModel, titles: list[str], counts: dict[str, Count]
) -> None:
    """One call of generate: a batch of texts under a prefix function."""
    own, causal = TOKENIZERS[kind], kind == "llama"
    trie = et.build_trie(titles, et.FastTokenizer(own, causal=causal))
    way = random.choice(["greedy", "sampling", "beams", "sampled beams"])
    beams = random.randint(2, 5) if "beams" in way else 1
    own.padding_side = "left" if causal else "right"
    inputs = own(
        [text() or "a" for _ in range(random.randint(1, 4))], padding=True, return_tensors="pt"
    )
    ids, seen = inputs["input_ids"], inputs["attention_mask"]
    allowed = trie.prefix_fn(model, ids.shape[1] if causal else None, own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadEndWarning)  # of places for which beams have no way
        out = model.generate(
            ids, attention_mask=seen, prefix_allowed_tokens_fn=allowed,
            max_new_tokens=allowed.max_new_tokens, num_beams=beams, do_sample="sampl" in way,
            num_return_sequences=random.randint(1, min(beams, len(titles))),
        )  # fmt: skip
    begin = ids.shape[1] if causal else 0
    texts = own.batch_decode(out[:, begin:], skip_special_tokens=True)
    counts[f"generate, {way}"].add(texts, allowed.accepted(out).tolist(), set(titles))


def linked(kind: str, model: PreTrainedModel, titles: list[str], counts: dict[str, Count]) -> None:
    """One call of ``link``: texts with one to three mentions, with a table or none."""
    lm = Seq2SeqLM(model, TOKENIZERS[kind])
    # Without probabilities an index is searched as a large one is.
    how = {"k": random.randint(1, 4), "prefixes": random.choice([0, 2048])}
    mentions = ["".join(random.choices("abcé北", k=2)) for _ in range(4)]
    table = random.choice([None, {m: random.choices(titles, k=3) for m in mentions[:2]}])
    texts = [
        text()
        + "".join(f"[{random.choice(mentions)}]{text()}" for _ in range(random.randint(1, 3)))
        for _ in range(random.randint(1, 3))
    ]
    retriever = et.Retriever(lm, et.build_trie(titles, lm.keys))
    found = link(retriever, texts, table, marks=MARKS, **how)
    hits = [hit.text for some in found for one in some for hit in one.hits]
    name = "link, all titles" if table is None else "link, mention table"
    counts[name].add(hits, [True] * len(hits), set(titles))


def run(runs: int, seed: int) -> dict[str, Count]:
    """Counts of each kind of runs."""
    random.seed(seed)
    names = ["greedy", "sampling", "beams", "sampled beams"]
    counts = {name: Count() for name in (*(f"generate, {way}" for way in names),
              "link, all titles", "link, mention table")}  # fmt: skip
    for _ in range(runs):
        kind = random.choice(list(TOKENIZERS))
        model = model_of(kind, random.randrange(MODELS))
        way = linked if kind != "llama" and random.random() < 0.4 else generated
        way(kind, model, some_titles(), counts)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    counts = run(asked.runs, asked.seed)
    print(f"{'':<26}{'runs':>8}{'titles':>9}{'outside':>9}{'flagged':>9}")
    total = Counter[str]()
    for name, one in counts.items():
        print(f"{name:<26}{one.runs:>8,}{one.titles:>9,}{one.outside:>9,}{one.flagged:>9,}")
        total.update(runs=one.runs, titles=one.titles, outside=one.outside, flagged=one.flagged)
    numbers = "".join(f"{total[key]:>9,}" for key in ("titles", "outside", "flagged"))
    print(f"{'all':<26}{total['runs']:>8,}{numbers}")
    print(f"seed {asked.seed}, {time.process_time() - began:.0f} CPU seconds, one thread")
    if total["outside"]:
        raise SystemExit(
            f"outside of the index: {[e for c in counts.values() for e in c.examples][:5]}"
        )


if __name__ == "__main__":
    main()
