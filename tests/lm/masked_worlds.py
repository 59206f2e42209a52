"""Small random masked models of several families, and what they should say, the plain way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from tokenizers import processors
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from ergotext.lm.masked import MaskedLM

SIZE, PAD, LONGEST = 430, 3, 40
SMALL = {
    "vocab_size": SIZE,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": LONGEST,
    "initializer_range": 0.3,
    "pad_token_id": PAD,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "cls_token_id": 0,
    "sep_token_id": 1,
}
DISTIL = {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4}
FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: BertForMaskedLM(BertConfig(**SMALL)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SMALL)),
    "albert": lambda: AlbertForMaskedLM(AlbertConfig(**SMALL, embedding_size=16)),
    "distilbert": lambda: DistilBertForMaskedLM(DistilBertConfig(**SMALL, **DISTIL)),
    "modernbert": lambda: ModernBertForMaskedLM(ModernBertConfig(**SMALL, local_attention=8)),
}


def masked_tokenizer(plain: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The tokenizer of the causal tests with <s> and </s> around every text."""
    inner = type(plain.backend_tokenizer).from_str(plain.backend_tokenizer.to_str())
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
        pad_token="<unused0>",
    )


def reference(lm: MaskedLM, row: Sequence[int], hidden: Sequence[int], place: int) -> torch.Tensor:
    """float64 [V]: the law at one place, the plain way: one row, one full pass, no padding."""
    shown = [lm.mask_id if p in hidden else token for p, token in enumerate(row)]
    with torch.inference_mode():
        logits = lm.model(torch.tensor([[0, *shown, 1]])).logits[0, 1 + place].double()
    return logits.masked_fill(~lm.allowed, -torch.inf).log_softmax(-1)


def reference_scores(lm: MaskedLM, row: Sequence[int]) -> list[float]:
    """Log p of each token given all others."""
    return [float(reference(lm, row, [p], p)[token]) for p, token in enumerate(row)]
