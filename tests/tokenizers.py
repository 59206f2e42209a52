"""Small tokenizers of every sort that people bring, and random models for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from ergotext.lm.causal import CausalLM
from ergotext.lm.tokenizers.vocabulary import Vocabulary

END = "<|endoftext|>"
WORDS = ("a", "b", "c", "ab", "bc", "abc", "Ġa", "Ġab", "é")


@dataclass(frozen=True)
class Sort:
    """A tokenizer, and the rows of the model that it comes with."""

    tokenizer: PreTrainedTokenizerFast
    rows: int

    def lm(self, seed: int = 0) -> CausalLM:
        torch.manual_seed(seed)
        end = self.tokenizer.eos_token_id
        config = GPT2Config(
            vocab_size=self.rows, bos_token_id=end, eos_token_id=end,
            n_embd=16, n_layer=1, n_head=2, n_positions=64,
            initializer_range=0.5,
        )  # fmt: skip
        return CausalLM(GPT2LMHeadModel(config), Vocabulary(self.tokenizer, self.rows), end, end)


def _byte_level(step: int = 1) -> Tokenizer:
    """Bytes and some words, numbered in steps, and the end token behind them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(w for w in ("ab", "bc", "abc", "Ġa", "Ġab", "Ã©") if w not in letters)]
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("Ġ", "a"), ("Ġa", "b"), ("Ã", "©")]
    vocabulary = {name: step * n for n, name in enumerate([*names, END])}
    inner = Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(END, special=True)])
    return inner


def gpt2() -> Sort:
    """One special token for everything."""
    inner = _byte_level()
    found = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=END, eos_token=END, unk_token=END
    )
    return Sort(found, inner.get_vocab_size())


def added() -> Sort:
    """Tokens that were added behind the model's rows: ``xy`` and ``ñandú``."""
    sort = gpt2()
    sort.tokenizer.add_tokens(["xy", "ñandú"])
    return sort


def known() -> Sort:
    """The same, and the model has rows for them, and more."""
    sort = added()
    return Sort(sort.tokenizer, sort.rows + 10)


def holes() -> Sort:
    """Every third number is a token."""
    found = PreTrainedTokenizerFast(tokenizer_object=_byte_level(3), eos_token=END, bos_token=END)
    return Sort(found, max(found.get_vocab().values()) + 1)


def sentencepiece() -> Sort:
    """Marks for spaces, and bytes for what has no token."""
    names = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    names += ["▁", "a", "b", "c", "ab", "bc", "abc", "▁a", "▁ab", "é"]
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("▁", "a"), ("▁a", "b")]
    vocabulary = {name: n for n, name in enumerate(names)}
    inner = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Replace(" ", "▁")
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    found = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    return Sort(found, len(names))


def wordpiece() -> Sort:
    """Words and what they go on with: spaces are nowhere in the tokens."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "ab", "##b", "##c", "##a", "abc"]
    inner = Tokenizer(models.WordPiece({n: k for k, n in enumerate(names)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(cleanup=False)
    found = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]"
    )
    return Sort(found, len(names))


SORTS: dict[str, Callable[[], Sort]] = {
    "gpt2": gpt2, "added": added, "known": known, "holes": holes, "sentencepiece": sentencepiece
}  # fmt: skip
