"""Find the tokens that no hidden state can make the argmax, within a time limit."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from ergotext.errors import InputError
from ergotext.support.bars import bar
from ergotext.tasks.diagnose.argmax.decided import Decided
from ergotext.tasks.diagnose.argmax.layer import OutputLayer
from ergotext.tasks.diagnose.argmax.report import ArgmaxReport, reported
from ergotext.tasks.diagnose.argmax.search import reflected, won
from ergotext.tasks.diagnose.argmax.workers import solved

EVERY = 30.0
"""Seconds between two saved states."""


def unargmaxable(
    lm: Any, minutes: float = 15.0, workers: int = 1, checkpoint: Path | None = None
) -> ArgmaxReport:
    """Find the tokens of a model that no hidden state can make the argmax.

    Parameters
    ----------
    lm : CausalLM, MaskedLM, Seq2SeqLM or transformers model
    minutes : float
        Time limit. What is not decided by then is reported as undecided.
    workers : int
        Processes for the tokens that are hard to decide, of one thread each.
    checkpoint : Path, optional
        A file of what has been decided; if it is there, the search goes on from it.

    Raises
    ------
    InputError
        The model has no output matrix, the time limit is none, or the file is of another model.
    """
    check(minutes, workers)
    began = time.time()
    decided = Decided(layer_of(lm), checkpoint)
    decide(decided, minutes * 60, workers)
    return reported(decided, lm, minutes, time.time() - began)


def check(minutes: float, workers: int) -> None:
    """Raise InputError for a time limit or a number of processes that cannot be."""
    if not 0 <= minutes < math.inf:
        raise InputError(f"the time limit must be 0 minutes or more and finite, got {minutes}")
    if workers < 1:
        raise InputError(f"at least one process is needed, got {workers}")


def layer_of(lm: Any) -> OutputLayer:
    """The output layer of a model.

    Raises
    ------
    InputError
        It has none.
    """
    projection = getattr(lm, "projection", None)
    if projection is not None:
        return OutputLayer(projection.weight, projection.bias)
    model = getattr(lm, "model", lm)
    head: Any = getattr(model, "get_output_embeddings", lambda: None)()
    if getattr(head, "weight", None) is None:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise InputError(
            f"this {kind} model has no output matrix, so it chooses no tokens; use a model with a "
            "language-modelling head"
        )
    return OutputLayer(head.weight, getattr(head, "bias", None))


@torch.inference_mode()
def decide(decided: Decided, seconds: float, workers: int = 1) -> None:
    """Decide what can be in so many seconds; what is decided is saved, also after Ctrl-C."""
    if seconds <= 0:
        return
    layer, deadline = decided.layer, time.time() + seconds
    with bar(total=len(layer), desc="tokens decided") as shown:

        def show() -> None:
            shown.update(len(layer) - len(decided.open()) - shown.n)

        try:
            decided.tie()
            for tokens in won(layer, decided.open().to(layer.rows.device), deadline):
                decided.win(tokens)
                show()
            for tokens, directions in reflected(
                layer, decided.open().to(layer.rows.device), deadline
            ):
                decided.win(tokens, directions)
                show()
            decided.save()
            if not len(decided.open()) or time.time() >= deadline:
                return
            saved = time.time()
            rows = layer.rows.cpu().numpy()
            for token, one in solved(
                rows, decided.open().tolist(), layer.has_bias, workers, deadline
            ):
                decided.solve(token, one)
                show()
                if time.time() > saved + EVERY:
                    decided.save()
                    saved = time.time()
        finally:
            decided.save()
