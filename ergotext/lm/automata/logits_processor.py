"""Logits processor that constrains ``model.generate(...)`` of transformers by an automaton."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import LongTensor, Tensor
from transformers import LogitsProcessor, PreTrainedModel

from ergotext.errors import ErgotextError, InputError, ModelError
from ergotext.lm.protocols import Automaton
from ergotext.support.arrays import Ints

DeadEnds = Literal["close", "raise"]
DEAD = -1
CLOSING = -1e9
"""Score of the end token where nothing else is left, as generate marks places without a beam."""


class DeadEndError(ErgotextError, RuntimeError):
    """Nothing may follow what a row has written."""


class DeadEndWarning(UserWarning):
    """Nothing may follow what a row has written, and it was closed."""


@dataclass(frozen=True)
class _Written:
    """What rows have written, and where they stand."""

    ids: Ints
    """[B, t]: tokens after the prompt"""
    states: Ints
    finished: NDArray[np.bool_]
    """the end token has been read"""

    @classmethod
    def nothing(cls, automaton: Automaton, count: int) -> _Written:
        ids = np.empty((count, 0), dtype=np.int64)
        return cls(ids, automaton.start(count), np.zeros(count, dtype=bool))

    def select(self, rows: Ints) -> _Written:
        return _Written(self.ids[rows], self.states[rows], self.finished[rows])

    def read(self, automaton: Automaton, tokens: Ints) -> _Written:
        """The rows with one more token each; everything after the end token is padding."""
        after = automaton.advance(self.states, tokens)
        return _Written(
            np.column_stack([self.ids, tokens]),
            np.where(self.finished, self.states, after),
            self.finished | (tokens == automaton.end),
        )


class AutomatonLogitsProcessor(LogitsProcessor):
    """Keeps ``model.generate(...)`` to the token sequences that an automaton accepts.

    For greedy search, sampling and beam search, causal and encoder-decoder models. Scores of
    allowed tokens are left as they are, all others become −inf. What generate does with its rows
    between two calls does not matter: the state of each row is found by what the row has written.

    A finished row is padded. Where nothing may follow (the automaton has no way on, others of
    generate's processors forbid all of them, or one after this chose a token that the automaton
    does not know) the row is a dead end: it is closed with the end token at a score of −10⁹, a
    ``DeadEndWarning`` is given and the row counted in ``dead_ends``; or a ``DeadEndError`` is
    raised. It never continues unconstrained. Beam search lets closed rows go
    for any others. It also fills places for which it has too few ways: so with fewer sequences
    than beams, or where ``max_new_tokens`` cuts a row off, ask ``accepted`` which of the rows
    that generate returns are whole sequences.

    Parameters
    ----------
    automaton : Automaton
        Its end token must be one at which generate stops.
    model : transformers.PreTrainedModel
        Or anything with its ``config`` and ``generation_config``.
    prompt_length : int, optional
        Tokens before the first that the automaton reads: of a causal model the width of
        ``input_ids``, left padding included. Of an encoder-decoder, if not given, one (the start
        token), and one more where its ``generation_config`` forces a first token, unless that is
        the one token that sequences of the automaton may begin with: then they hold it.
    dead_ends : "close" or "raise"

    Raises
    ------
    InputError
        The model does not stop at the automaton's end token, or is a causal one and
        ``prompt_length`` is missing. In generate: ``input_ids`` is not as wide as
        ``prompt_length`` says, or the automaton allows tokens that the model does not have, or
        at which it stops as well.
    ModelError
        In generate: the model gave NaN for a token that may follow.

    Notes
    -----
    A step costs what the candidates of the rows cost, and one pass over the scores; the mask of
    the first step is made once in each generate. States are kept on the CPU.

    The automaton (an ``EditableTrie``) may change between two calls of generate, never during
    one: states hold until the change. ``accepted`` asks the automaton as it is now.

    References
    ----------
    De Cao et al. 2021, "Autoregressive Entity Retrieval", for generation under a trie.
    """

    def __init__(
        self,
        automaton: Automaton,
        model: PreTrainedModel | Any,
        prompt_length: int | None = None,
        dead_ends: DeadEnds = "close",
    ) -> None:
        self.automaton = automaton
        if prompt_length is None:
            prompt_length = _prompt_length(model, automaton)
        if prompt_length < 0 or dead_ends not in get_args(DeadEnds):
            raise InputError(
                f"prompt_length ({prompt_length}) must be 0 or more, and dead_ends "
                f"({dead_ends!r}) one of {get_args(DeadEnds)}"
            )
        self.prompt_length = prompt_length
        self.dead_ends = 0
        self._raises = dead_ends == "raise"
        self._last: _Written | None = None
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

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        """float [B, V]: the scores, −inf where the automaton has no way on."""
        ids = input_ids.cpu().numpy()
        self._check_prompts(ids)
        if ids.shape[1] < self.prompt_length:
            return scores
        written = self._states(ids[:, self.prompt_length :])
        self._last = written
        masked, alive = self._masked(scores, written)
        idle = np.flatnonzero(written.finished)
        if len(idle):
            pad = self._padding(scores.shape[1])
            masked[torch.from_numpy(idle).to(masked.device), pad] = 0.0
            alive[idle] = True
        if not alive.all():
            self._close(masked, np.flatnonzero(~alive), written)
        return masked

    def accepted(self, sequences: Tensor) -> Tensor:
        """bool [B]: the rows of generate's output that are complete, end token included."""
        written = self._walk(sequences[:, self.prompt_length :].cpu().numpy())
        whole = written.finished & self.automaton.accepting(written.states)
        return torch.from_numpy(whole)

    def _masked(self, scores: Tensor, written: _Written) -> tuple[Tensor, NDArray[np.bool_]]:
        """The scores of candidates alone, and bool [B]: whether any of them is possible."""
        if not written.ids.shape[1]:
            masked = scores + self._first_mask(scores)  # five times as fast as filling
            best = masked.amax(-1).float().cpu().numpy()
            if not np.isnan(best).any():
                return masked, best > -np.inf
        # The only candidate of rows that are finished or lost is padding, which may not follow.
        asking = np.flatnonzero(~written.finished & (written.states != DEAD))
        row, token, _ = self.automaton.candidates(written.states[asking])
        row = asking[row]
        self._check_size(token, scores)
        at = torch.from_numpy(row * scores.shape[1] + token).to(scores.device)
        values = scores.reshape(-1)[at]
        if values.isnan().any():
            first = int(row[values.isnan().cpu().numpy()][0])
            raise ModelError(
                f"the model returned NaN after the tokens {written.ids[first].tolist()} in row "
                f"{first}: load it in float32, and check its inputs and weights"
            )
        masked = torch.full_like(scores, -torch.inf)
        masked.view(-1)[at] = values
        alive = np.zeros(len(scores), dtype=bool)
        alive[row[(values > -torch.inf).cpu().numpy()]] = True
        return masked, alive

    def _first_mask(self, scores: Tensor) -> Tensor:
        """float [V]: −inf for what no sequence begins with, else 0.

        Not kept: the automaton may have changed when the next generate begins.
        """
        token = self.automaton.candidates(self.automaton.start(1))[1]
        self._check_size(token, scores)
        mask = np.full(scores.shape[1], -np.inf)
        mask[token] = 0.0
        return torch.from_numpy(mask).to(scores.device, scores.dtype)

    def _padding(self, size: int) -> int:
        """What a finished row writes: an index may pad with a number that the model has not."""
        own = self.automaton.end if self._model_pad is None else int(self._model_pad)
        return next(token for token in (self._pad, own, self.automaton.end) if token < size)

    def _check_prompts(self, ids: Ints) -> None:
        """What is wider than a prompt must continue from one that generate has begun with."""
        width = ids.shape[1]
        prompts = {row.tobytes() for row in ids[:, : self.prompt_length]}
        if width > self.prompt_length:
            wrong = not prompts <= self._prompts
        else:
            wrong = width < self.prompt_length and self._exact
            self._prompts = prompts
        if wrong:
            raise InputError(
                f"generate starts with input_ids of {width} columns, but prompt_length is "
                f"{self.prompt_length}: set it to the width of input_ids, left padding included"
            )

    def _check_size(self, token: Ints, scores: Tensor) -> None:
        highest = int(token.max(initial=-1))
        if highest >= scores.shape[1]:
            raise InputError(
                f"the automaton allows token {highest}, but the model has only {scores.shape[1]} "
                "tokens: build it with the model's tokenizer"
            )
        stopping = np.isin(token, self._other_stops)
        if stopping.any():
            raise InputError(
                f"the automaton continues after token {token[stopping][0]}, where generate stops: "
                f"set generation_config.eos_token_id to {self.automaton.end} only"
            )

    def _close(self, masked: Tensor, rows: Ints, written: _Written) -> None:
        ids = written.ids[rows[0]].tolist()
        what = (
            f"Nothing may follow tokens {ids} in row {rows[0]} ({len(rows)} such rows): the "
            f"automaton has no way on there, or other processors of generate (a forced end at "
            f"max_length, a minimum length) forbid it or led the row out of the automaton"
        )
        if self._raises:
            raise DeadEndError(f"{what}. allow more continuations, or close such rows")
        self.dead_ends += len(rows)
        masked[torch.from_numpy(rows).to(masked.device), self.automaton.end] = CLOSING
        warnings.warn(
            f"{what}; closed there; see accepted() for the rows that are complete",
            DeadEndWarning,
            stacklevel=3,
        )

    def _states(self, ids: Ints) -> _Written:
        """Where rows stand that have written this: one step from a row of the last call."""
        last, before = self._last, ids[:, :-1]
        if last is None or ids.shape[1] != last.ids.shape[1] + 1 or not len(last.ids):
            return self._walk(ids)
        source = _same_rows(before, last.ids)
        known = last.select(np.maximum(source, 0))
        lost = np.flatnonzero(source < 0)
        if len(lost):
            walked = self._walk(before[lost])
            known.states[lost], known.finished[lost] = walked.states, walked.finished
        return _Written(before, known.states, known.finished).read(self.automaton, ids[:, -1])

    def _walk(self, ids: Ints) -> _Written:
        written = _Written.nothing(self.automaton, len(ids))
        for column in ids.T:
            written = written.read(self.automaton, column)
        return written


def _same_rows(wanted: Ints, rows: Ints) -> Ints:
    """int64 [n]: for each wanted row the number of one equal to it, or -1 where none was found.

    Found by a hash and then compared as a whole: rows that share a hash may be missed, never
    taken for each other.
    """
    if wanted.shape == rows.shape and np.array_equal(wanted, rows):
        return np.arange(len(rows))
    factors = np.random.default_rng(0).integers(1 << 63, size=rows.shape[1], dtype=np.uint64)
    sought, hashes = ((a.astype(np.uint64) * factors).sum(axis=1) for a in (wanted, rows))
    order = np.argsort(hashes, kind="stable")
    at = np.minimum(np.searchsorted(hashes, sought, sorter=order), len(rows) - 1)
    found = order[at]
    return np.where((rows[found] == wanted).all(axis=1), found, -1)


def _begins_with_its_prompt(model: PreTrainedModel | Any) -> bool:
    """Whether the automaton reads the first token that generate writes."""
    forced = getattr(model.generation_config, "forced_bos_token_id", None)
    return not model.config.is_encoder_decoder and forced is None


def _prompt_length(model: PreTrainedModel | Any, automaton: Automaton) -> int:
    if not model.config.is_encoder_decoder:
        raise InputError(
            "prompt_length is missing: set it to the width of input_ids, so that the processor "
            "knows where a causal model's output starts"
        )
    forced = model.generation_config.forced_bos_token_id
    if forced is None:
        return 1
    # Keys as FastTokenizer makes them hold what stands before every target.
    begin = automaton.candidates(automaton.start(1))[1]
    return 1 if begin.tolist() == [forced] else 2
