"""Prompt a model with a passage and a question."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Protocol

import torch

from ergotext.errors import InputError
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding.end_tokens import ClosedBy
from ergotext.lm.endings.closing import beginning_lines
from ergotext.lm.protocols import Decoding
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.support.words import check_unicode, is_unspaced

PROMPT = "{passage}\n\nQuestion: {question}\nAnswer: "
PROMPT_UNSPACED = "{passage}\n\n问题：{question}\n答案："
"""What a causal model reads if nothing else is said."""
INPUT = "question: {question} context: {passage}"
"""What an encoder-decoder reads if nothing else is said: as the T5 family is trained to."""
BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


class PassageReader(Protocol):
    """A model that answers questions about passages."""

    @property
    def pieces(self) -> Pieces:
        """The bytes that its tokens write."""

    def begin(self, passage: str, question: str) -> tuple[Decoding, bool]:
        """One row with nothing written yet; and whether a space comes before the answer."""


class PromptedPassage:
    """A causal model after a prompt, whose answers end with their line.

    After a prompt such a model continues with the next line rather than end the text. So an answer
    is closed by the end token or any token that begins with a line break, and the probability of
    its end is the sum of theirs.

    Parameters
    ----------
    lm : CausalLM
    prompt : str, optional
        With ``{passage}`` and ``{question}``. Spaces at its end are left to the model to write, as
        one that belongs to the first token of the answer.
    """

    def __init__(self, lm: CausalLM, prompt: str | None = None) -> None:
        self.lm = lm
        self.prompt = _checked(prompt)

    @cached_property
    def pieces(self) -> Pieces:
        words = self.lm.vocabulary
        return Pieces.of(words.tokenizer, size=words.size, end=self.lm.end_id)

    def begin(self, passage: str, question: str) -> tuple[Decoding, bool]:
        unspaced = any(map(is_unspaced, question))
        prompt = self.prompt or (PROMPT_UNSPACED if unspaced else PROMPT)
        text = _filled(prompt, passage, question)
        written = text.rstrip(" ")
        decoding = self.lm.read([self.lm.vocabulary.encode(written)])
        return ClosedBy(decoding, self.closing), written != text

    @cached_property
    def closing(self) -> list[int]:
        """The tokens that begin with a line break."""
        return beginning_lines(self.pieces)


class EncodedPassage:
    """An encoder-decoder, whose answers end with its end token.

    Parameters
    ----------
    lm : Seq2SeqLM
    tokenizer : transformers tokenizer
    prompt : str, optional
        What the encoder reads, with ``{passage}`` and ``{question}``.
    """

    def __init__(self, lm: Seq2SeqLM, tokenizer: Any, prompt: str | None = None) -> None:
        self.lm, self.tokenizer = lm, tokenizer
        self.prompt = _checked(prompt) or INPUT
        self._before = FastTokenizer(tokenizer).before
        """tokens before every answer"""

    @cached_property
    def pieces(self) -> Pieces:
        return Pieces.of(self.tokenizer, size=self.lm.model.config.vocab_size, end=self.lm.end)

    def begin(self, passage: str, question: str) -> tuple[Decoding, bool]:
        ids = self.tokenizer(_filled(self.prompt, passage, question))["input_ids"]
        decoding: Decoding = self.lm.read([ids])
        for token in self._before:
            decoding = decoding.advance(torch.zeros(1, dtype=torch.int64), torch.tensor([token]))
        return decoding, self._spaced

    @cached_property
    def _spaced(self) -> bool:
        """Whether the tokenizer puts a space before every text."""
        first = self.tokenizer(text_target="a", add_special_tokens=False)["input_ids"]
        return self.pieces.joined(first).startswith(b" ")


def passage_reader(
    model: object, tokenizer: Any = None, prompt: str | None = None
) -> PassageReader:
    """The reader of a causal model or an encoder-decoder.

    Raises
    ------
    InputError
        The model is neither; the prompt has not one place for passage and question each; or an
        encoder-decoder has no tokenizer, or one whose pieces are unknown.
    """
    if isinstance(model, CausalLM):
        return PromptedPassage(model, prompt)
    if not isinstance(model, Seq2SeqLM):
        raise InputError(
            f"a {type(model).__name__} cannot generate answers: use a causal language model or an "
            "encoder-decoder"
        )
    tokenizer = tokenizer or getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise InputError("this encoder-decoder has no tokenizer: give one")
    return EncodedPassage(model, tokenizer, prompt)


def _checked(prompt: str | None) -> str | None:
    for part in () if prompt is None else ("{passage}", "{question}"):
        if prompt is not None and prompt.count(part) != 1:
            raise InputError(
                f"the prompt {prompt!r:.60} must contain {part} exactly once, where the "
                f"{part[1:-1]} goes"
            )
    return prompt


def _filled(prompt: str, passage: str, question: str) -> str:
    check_unicode(passage)
    check_unicode(question)
    given = {"passage": passage, "question": question}
    return re.sub(r"\{(passage|question)\}", lambda part: given[part[1]], prompt)
