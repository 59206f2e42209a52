"""Train the byte-level BPE tokenizer of both included models; it can encode every text.

    python training/tokenizer.py --work work

reads ``work/train.jsonl`` and writes ``work/masked`` and ``work/causal``: the same tokens, with the
special tokens that each kind of model expects around a text.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SIZE = 8192
SPECIAL = ["<pad>", "<s>", "</s>", "<mask>"]
AROUND = {"causal": "<s> $A", "masked": "<s> $A </s>"}


def paragraphs(file: Path) -> Iterator[str]:
    """Every paragraph of the training text."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield from json.loads(line)["paragraphs"]


def trained(text: Iterator[str]) -> Tokenizer:
    """Train the tokenizer: single digits, otherwise GPT-2's way of splitting words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = trained(paragraphs(args.work / "train.jsonl"))
    for kind, template in AROUND.items():
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
        )
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<pad>",
            bos_token="<s>",
            cls_token="<s>",
            eos_token="</s>",
            sep_token="</s>",
            mask_token="<mask>",
            model_max_length=128,
        ).save_pretrained(args.work / kind)


if __name__ == "__main__":
    main()
