"""Logits processor that constrains ``model.generate(...)`` of transformers by an automaton."""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import LongTensor, Tensor
from transformers import LogitsProcessor, PreTrainedModel

from ergotext.errors import InputError, ModelError
from ergotext.lm.automata.generated_rows import (
    DEAD,
    DeadEndError,
    DeadEndWarning,
    GeneratedRows,
    WrittenRows,
)
from ergotext.lm.protocols import Automaton
from ergotext.support.arrays import Ints

DeadEnds = Literal["close", "raise"]
CLOSING = -1e9
"""Score of the end token where nothing else is left, as generate marks places without a beam."""


class AutomatonLogitsProcessor(GeneratedRows, LogitsProcessor):
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
        super().__init__(automaton, model, prompt_length)
        if dead_ends not in get_args(DeadEnds):
            raise InputError(f"dead_ends must be one of {get_args(DeadEnds)}, got {dead_ends!r}")
        self._raises = dead_ends == "raise"
        self._last: WrittenRows | None = None

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

    def _masked(self, scores: Tensor, written: WrittenRows) -> tuple[Tensor, NDArray[np.bool_]]:
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
        self._check_size(token, scores.shape[1])
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
        self._check_size(token, scores.shape[1])
        mask = np.full(scores.shape[1], -np.inf)
        mask[token] = 0.0
        return torch.from_numpy(mask).to(scores.device, scores.dtype)

    def _close(self, masked: Tensor, rows: Ints, written: WrittenRows) -> None:
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

    def _states(self, ids: Ints) -> WrittenRows:
        """Where rows stand that have written this: one step from a row of the last call."""
        last, before = self._last, ids[:, :-1]
        if last is None or ids.shape[1] != last.ids.shape[1] + 1 or not len(last.ids):
            return WrittenRows.walk(self.automaton, ids)
        source = _same_rows(before, last.ids)
        known = last.select(np.maximum(source, 0))
        lost = np.flatnonzero(source < 0)
        if len(lost):
            walked = WrittenRows.walk(self.automaton, before[lost])
            known.states[lost], known.finished[lost] = walked.states, walked.finished
        return WrittenRows(before, known.states, known.finished).read(self.automaton, ids[:, -1])


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
