"""Prompt a model with a question, ready to decode keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.masked import MaskedLM
from ergotext.lm.protocols import Decoding
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.characters import TextTokenizer
from ergotext.lm.tokenizers.fast import FastTokenizer

LONGEST = 1024
"""Most tokens of a question that are read: attention to an input grows with its square."""
PROMPT = "Question: {question}\nAnswer:"
"""What a causal model reads, if nothing else is said."""


@runtime_checkable
class QuestionReader(Protocol):
    """A model that answers questions with the keys of an index."""

    @property
    def keys(self) -> TextTokenizer:
        """The tokenizer of an index that fits the model."""

    def encode(self, question: str, room: int) -> list[int]:
        """Encode a question so that ``room`` tokens of an answer fit after it."""

    def read(self, questions: Sequence[Sequence[int]]) -> Decoding:
        """One row for each question as ``encode`` gives them, nothing written yet."""


class Seq2SeqReader:
    """Questions as an encoder-decoder reads them.

    Parameters
    ----------
    lm : Seq2SeqLM
        With its tokenizer.
    prompt : str, optional
        What is read, with ``{question}`` for the question; by default the question alone.
    """

    def __init__(self, lm: Seq2SeqLM, prompt: str | None = None) -> None:
        self.lm = lm
        self.prompt = _checked(prompt or "{question}")

    @property
    def keys(self) -> FastTokenizer:
        return self.lm.keys

    def encode(self, question: str, room: int) -> list[int]:  # noqa: ARG002 - the protocol's; what is read takes no room of the answer
        return self.lm.encode(self.prompt.replace("{question}", question), self._longest)

    def fits(self, question: str, room: int) -> bool:  # noqa: ARG002 - as of ``encode``
        """Whether ``encode`` keeps all of a question."""
        return len(self.lm.encode(self.prompt.replace("{question}", question))) <= self._longest

    @property
    def _longest(self) -> int:
        return min(self.lm.max_input, LONGEST)

    def read(self, questions: Sequence[Sequence[int]]) -> Decoding:
        return self.lm.read(questions)


class PromptReader:
    """Prompts with questions, which a causal model continues.

    Parameters
    ----------
    lm : CausalLM
    prompt : str, optional
        Prompt template with ``{question}``.
    """

    def __init__(self, lm: CausalLM, prompt: str | None = None) -> None:
        self.lm = lm
        before, self._behind = _checked(prompt or PROMPT).split("{question}", 1)
        self._before = before
        self.keys = FastTokenizer(lm.vocabulary.tokenizer, causal=True)

    def encode(self, question: str, room: int) -> list[int]:
        """The prompt; of a question that is too long, the beginning."""
        most = self._most(room)
        while True:
            ids = self._ids(question)
            if len(ids) <= most or not question:
                return ids
            question = question[: min(len(question) - 1, len(question) * most // len(ids))]

    def fits(self, question: str, room: int) -> bool:
        """Whether ``encode`` keeps all of a question."""
        return len(self._ids(question)) <= self._most(room)

    def _ids(self, question: str) -> list[int]:
        return self.lm.vocabulary.encode(self._before + question + self._behind)

    def _most(self, room: int) -> int:
        """Tokens that a prompt may have."""
        return min(self.lm.max_positions - len(self.lm.context) - 1 - room, LONGEST)

    def read(self, questions: Sequence[Sequence[int]]) -> Decoding:
        return self.lm.read(questions)


def reader_of(model: object, prompt: str | None = None) -> QuestionReader:
    """The reader of an encoder-decoder or a causal model; a reader is one already.

    Raises
    ------
    InputError
        The model is neither, or the prompt has no place for the question.
    """
    if isinstance(model, Seq2SeqLM):
        return Seq2SeqReader(model, prompt)
    if isinstance(model, CausalLM):
        return PromptReader(model, prompt)
    if isinstance(model, QuestionReader) and prompt is None:
        return model
    masked = ", or have it write into blanks with decode mlm" if isinstance(model, MaskedLM) else ""
    raise InputError(
        f"a {type(model).__name__} cannot answer questions: use an encoder-decoder or a causal "
        f"language model{masked}"
    )


def _checked(prompt: str) -> str:
    if prompt.count("{question}") != 1:
        raise InputError(f"the prompt {prompt!r:.60} must contain {{question}} exactly once")
    return prompt
