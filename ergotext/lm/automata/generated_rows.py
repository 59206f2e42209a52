"""Rows that transformers' ``generate`` writes, as an automaton reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automaton_base import check_known
from ergotext.lm.protocols import Automaton
from ergotext.support.arrays import Ints

DEAD = -1


class DeadEndError(ErgotextError, RuntimeError):
    """Nothing may follow what a row has written."""


class DeadEndWarning(UserWarning):
    """Nothing may follow what a row has written, and it was closed."""


@dataclass(frozen=True)
class WrittenRows:
    """What rows have written, and where they stand."""

    ids: Ints
    """[B, t]: tokens after the prompt"""
    states: Ints
    finished: NDArray[np.bool_]
    """the end token has been read"""

    @classmethod
    def nothing(cls, automaton: Automaton, count: int) -> WrittenRows:
        ids = np.empty((count, 0), dtype=np.int64)
        return cls(ids, automaton.start(count), np.zeros(count, dtype=bool))

    @classmethod
    def walk(cls, automaton: Automaton, ids: Ints) -> WrittenRows:
        """Rows that have written ``ids`` [B, t], from their start."""
        written = cls.nothing(automaton, len(ids))
        for column in ids.T:
            written = written.read(automaton, column)
        return written

    def select(self, rows: Ints) -> WrittenRows:
        return WrittenRows(self.ids[rows], self.states[rows], self.finished[rows])

    def read(self, automaton: Automaton, tokens: Ints) -> WrittenRows:
        """The rows with one more token each; everything after the end token is padding."""
        after = automaton.advance(self.states, tokens)
        return WrittenRows(
            np.column_stack([self.ids, tokens]),
            np.where(self.finished, self.states, after),
            self.finished | (tokens == automaton.end),
        )


class GeneratedRows:
    """What the rows of one model's ``generate`` mean to an automaton.

    Parameters
    ----------
    automaton, model, prompt_length
        As of ``AutomatonLogitsProcessor``.

    Raises
    ------
    InputError
        The model does not stop at the automaton's end token, or is a causal one and
        ``prompt_length`` is missing or negative.
    """

    def __init__(
        self,
        automaton: Automaton,
        model: PreTrainedModel | Any,
        prompt_length: int | None = None,
    ) -> None:
        self.automaton = automaton
        if prompt_length is None:
            prompt_length = _prompt_length(model, automaton)
        if prompt_length < 0:
            raise InputError(f"prompt_length must be 0 or more, got {prompt_length}")
        self.prompt_length = prompt_length
        self.dead_ends = 0
        self._prompts: set[bytes] = set()
        self._exact = _begins_with_its_prompt(model)
        self._pad = int(automaton.candidates(np.array([DEAD]))[1][0])
        self._model_pad = getattr(model.generation_config, "pad_token_id", None)
        stops = model.generation_config.eos_token_id
        every = stops if isinstance(stops, list) else [stops]
        self._other_stops = np.array([s for s in every if s not in (None, automaton.end)])
        if automaton.end not in every:
            raise InputError(
                f"the automaton ends with token {automaton.end}, but generate stops at {stops}: "
                "build it with the model's end token, or set generation_config.eos_token_id"
            )

    def accepted(self, sequences: Tensor) -> Tensor:
        """bool [B]: the rows of generate's output that are complete, end token included."""
        ids = sequences[:, self.prompt_length :].cpu().numpy()
        written = WrittenRows.walk(self.automaton, ids)
        whole = written.finished & self.automaton.accepting(written.states)
        return torch.from_numpy(whole)

    def _padding(self, size: int) -> int:
        """What a finished row writes: an index may pad with a number that the model has not."""
        own = self.automaton.end if self._model_pad is None else int(self._model_pad)
        return next(token for token in (self._pad, own, self.automaton.end) if token < size)

    def _check_prompts(self, ids: Ints, first: bool = True) -> None:
        """What is wider than a prompt must continue from one that generate has begun with.

        ``first``: whether these are the first rows of their call.
        """
        width = ids.shape[1]
        prompts = {row.tobytes() for row in ids[:, : self.prompt_length]}
        if width > self.prompt_length:
            wrong = not prompts <= self._prompts
        else:
            wrong = width < self.prompt_length and self._exact
            self._prompts = prompts if first else self._prompts | prompts
        if wrong:
            raise InputError(
                f"generate starts with input_ids of {width} columns, but prompt_length is "
                f"{self.prompt_length}: set it to the width of input_ids, left padding included"
            )

    def _check_size(self, token: Ints, size: int) -> None:
        """Refuse tokens that the model does not have, or at which generate stops."""
        check_known(token, size)
        stopping = np.isin(token, self._other_stops)
        if stopping.any():
            raise InputError(
                f"the automaton continues after token {token[stopping][0]}, where generate stops: "
                f"set generation_config.eos_token_id to {self.automaton.end} only"
            )


def _begins_with_its_prompt(model: PreTrainedModel | Any) -> bool:
    """Whether the automaton reads the first token that generate writes."""
    forced = getattr(model.generation_config, "forced_bos_token_id", None)
    return not model.config.is_encoder_decoder and forced is None


def _prompt_length(model: PreTrainedModel | Any, automaton: Automaton) -> int:
    if not model.config.is_encoder_decoder:
        raise InputError(
            "prompt_length is missing: set it to the width of input_ids, so that it is known "
            "where a causal model's output starts"
        )
    forced = model.generation_config.forced_bos_token_id
    if forced is None:
        return 1
    # Keys as FastTokenizer makes them hold what stands before every target.
    begin = automaton.candidates(automaton.start(1))[1]
    return 1 if begin.tolist() == [forced] else 2
