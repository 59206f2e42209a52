"""Initial model and tokenizer of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ergotext.errors import InputError
from ergotext.lm.loading import device_of, load
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.loading import pretrained
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.training.examples import Stream
from ergotext.tasks.training.seq2seq.new_model import fresh_model
from ergotext.tasks.training.seq2seq.scoring import Coder
from ergotext.tasks.training.seq2seq.tokenizer import spelling_tokenizer
from ergotext.tasks.training.settings import Settings


@dataclass(frozen=True, eq=False)
class Started:
    """A model in float32 on its device, and what it reads and writes with."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def coder(self) -> Coder:
        """For questions and keys."""
        return Coder(self.tokenizer)


def started(
    folder: Path | None,
    start: str | None,
    trie: TokenTrie,
    notes: Mapping[str, str],
    stream: Stream,
    settings: Settings,
    device: str,
) -> Started:
    """A model from scratch or from another one; the weights of checkpoints come later.

    Parameters
    ----------
    folder : Path, optional
        Of the run that continues: its tokenizer is taken.
    start : str, optional
        Name of an encoder-decoder.
    trie, notes
        The index, and what is noted in it.
    stream : Stream
        Whose strings a tokenizer is made from, if there is none yet.
    settings : Settings
    device : str

    Raises
    ------
    InputError
        The tokenizer is another one than the index was built with, ``start`` is no encoder-decoder,
        or the device is not there.
    """
    where = device_of(device)
    lm = load(start, device="cpu") if start is not None else None
    if lm is not None and not isinstance(lm, Seq2SeqLM):
        raise InputError(
            f"the model {start} is not an encoder-decoder; start from one, or from scratch"
        )
    if lm is not None and lm.tokenizer is not None:
        tokenizer = lm.tokenizer
    elif folder is not None:
        tokenizer = pretrained(str(folder), offline=True)[0]
    elif isinstance(trie.tokenizer, FastTokenizer):
        tokenizer = pretrained(trie.tokenizer.name, offline=True)[0]
    else:
        tokenizer = spelling_tokenizer(stream.texts())
    _check(tokenizer, trie, notes)
    model = fresh_model(tokenizer, settings.shape, settings.seed) if lm is None else lm.model
    torch.nn.Module.to(model, where, torch.float32)
    return Started(model, tokenizer)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor supports bfloat16; if not, autocast would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def _check(tokenizer: PreTrainedTokenizerBase, trie: TokenTrie, notes: Mapping[str, str]) -> None:
    own, noted = FastTokenizer(tokenizer), notes.get("tokenizer", "unnamed")
    if isinstance(trie.tokenizer, FastTokenizer) and trie.tokenizer.alphabet != own.alphabet:
        raise InputError(
            f"the index was built with another tokenizer ({noted}) than the model's: build it with "
            "the model's, or with none"
        )
    if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of the index ({noted}) has no padding or no end token, which an "
            "encoder-decoder needs: build the index with another one, or with none"
        )
