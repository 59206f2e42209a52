"""Encode and decode texts, spell keywords, and list the tokens that may be proposed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.tokenizers.spelling import decoded, misread
from ergotext.support.words import check_unicode, check_word, is_unspaced

_UNUSED = re.compile(r"<\|?(unused|reserved|extra_id|dummy)[^>]*>|\[(unused|reserved)[^\]]*\]")


class Vocabulary:
    """A tokenizer as the engine sees it.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    size : int
        Rows of the model's output layer. There may be more of them than tokens, or fewer: tokens
        beyond them cannot be written.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int) -> None:
        self.tokenizer = tokenizer
        self.size = size
        self.allowed = self._allowed()

    def same_as(self, other: Vocabulary) -> bool:
        """Whether token ids mean the same in both."""
        if self.tokenizer is other.tokenizer:
            return True
        return bool(self.tokenizer.get_vocab() == other.tokenizer.get_vocab())

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, no special tokens added.

        Raises
        ------
        InputError
            It is no valid Unicode, or has a token that was added to the tokenizer and that the
            model does not know.
        """
        check_unicode(text)
        ids = [
            int(i)
            for i in self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        ]
        beyond = next((token for token in ids if token >= self.size), None)
        if beyond is not None:
            raise InputError(
                f"the text {text!r:.60} has the token {beyond} "
                f"({self.tokenizer.convert_ids_to_tokens(beyond)!r}), but the model has only "
                f"{self.size} tokens: remove it, or use a model that was trained with it"
            )
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of one token sequence."""
        return decoded(list(ids), self._misread, self._decode)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    @cached_property
    def _misread(self) -> dict[int, str]:
        fast = getattr(self.tokenizer, "backend_tokenizer", None)
        return {} if fast is None else misread(fast)

    def decode(self, batch: TokenBatch) -> list[str]:
        """The text of each row."""
        return [self.text(row) for row in checked(batch).rows()]

    def spell(self, word: str) -> list[int]:
        """The tokens of a keyword inside a sentence.

        In scripts that put spaces between words the tokens begin with the space.

        Raises
        ------
        InputError
            An empty word, a control character, or a word that the tokenizer cannot spell.
        """
        check_word(word)
        word = word.strip()
        ids = self._inside(word)
        if not ids or not bool(self.allowed[ids].all()) or self.text(ids).strip() != word:
            raise InputError(
                f"this model's tokenizer cannot spell the keyword {word!r} "
                f"(it reads back {self.text(ids).strip()!r}); choose another word or model"
            )
        return ids

    def _inside(self, word: str) -> list[int]:
        """The tokens of a word after another, with one space between them where there is one.

        Some tokenizers put a space before every text, so encoding " word" would give two.
        """
        before, space = ("。", "") if is_unspaced(word[0]) else ("a", " ")
        anchor, whole = self.encode(before), self.encode(before + space + word)
        ways = [self.encode(space + word), self.encode(word)]
        if whole[: len(anchor)] == anchor:
            ways.insert(0, whole[len(anchor) :])
        good = (ids for ids in ways if self.text(anchor + ids) == before + space + word)
        return next(good, ways[0])

    def _allowed(self) -> Tensor:
        """bool [V]: every token but special, unused and padding ones."""
        allowed = torch.zeros(self.size, dtype=torch.bool)
        known = self.tokenizer.get_vocab().values()  # their ids may have holes between them
        allowed[[token_id for token_id in known if token_id < self.size]] = True
        banned = set(self.tokenizer.all_special_ids)
        for token_id, token in self.tokenizer.added_tokens_decoder.items():
            if token.special or _UNUSED.fullmatch(token.content):
                banned.add(token_id)
        for name, token_id in self.tokenizer.get_vocab().items():
            if _UNUSED.fullmatch(name):
                banned.add(token_id)
        allowed[[b for b in banned if b < self.size]] = False
        return allowed
