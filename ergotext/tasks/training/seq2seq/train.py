"""Train an encoder-decoder to answer questions with the keys of an index."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.conversion import quiet
from ergotext.lm.sources import source_of
from ergotext.tasks.config import versions
from ergotext.tasks.retrieval.origin import model_digest
from ergotext.tasks.training.checkpoints import CHECKPOINTS, Folders
from ergotext.tasks.training.data import TrainingData
from ergotext.tasks.training.examples import Stream
from ergotext.tasks.training.log import CURVE, LOG, Log
from ergotext.tasks.training.result import Trained, finish
from ergotext.tasks.training.run import TrainingRun, report_damage, seeded
from ergotext.tasks.training.schedule import Pace
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.initial_model import has_bfloat16, started
from ergotext.tasks.training.seq2seq.learner import Seq2SeqLearner
from ergotext.tasks.training.settings import RECORD, Record, Settings, claim
from ergotext.tasks.training.sources import Base, KnownQuestion

LOGGED = 50
"""Steps between two lines of the log, at most."""


def train(
    questions: str | Path,
    dev: str | Path,
    index: str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    templates: Sequence[str | Path] = (),
    start: str | None = None,
    minutes: float | None = None,
    device: str = "auto",
    bfloat16: bool | None = None,
    resume: bool = False,
) -> Trained:
    """Train, keep the checkpoint with the best dev score, and save it in float16.

    Parameters
    ----------
    questions, dev : str or Path
        Files of questions (``data.read``). Dev questions are scored, and nothing else is done with
        them.
    index : str or Path
        Of triples: its strings are trained on, and dev questions are answered from it. If it was
        built with a tokenizer that has a name, the model takes that one; else one is made, with
        which an index for the model is to be built.
    output : str or Path
        A folder that is empty or not there yet.
    settings : Settings, optional
    templates : sequence of str or Path
        Files of questions about any subject (``sources.read_templates``).
    start : str, optional
        An encoder-decoder to continue from, instead of one from scratch.
    minutes : float, optional
        Time limit in minutes; the learning rate reaches zero by then.
    device : str
    bfloat16 : bool, optional
        Whether products are taken in bfloat16; if not given, where the processor has them.
    resume : bool
        Go on from the last checkpoint in ``output``.

    Raises
    ------
    InputError
        A file cannot be read or holds nothing of use, a setting is out of its range, the tokenizer
        is not that of the index, or ``output`` cannot be used.
    ModelError
        Training diverged.
    InterruptedRunError
        Ctrl-C was pressed.
    """
    check_minutes(minutes)
    began = time.monotonic()
    data = TrainingData.read(questions, dev, index, templates)
    seconds = None if minutes is None else 60 * minutes
    return train_on(
        data, Path(output), settings or Settings(), start=start, seconds=seconds, began=began,
        device=device, bfloat16=bfloat16, resume=resume,
    )  # fmt: skip


def train_on(
    data: TrainingData,
    output: Path,
    settings: Settings,
    *,
    start: str | None = None,
    seconds: float | None = None,
    began: float | None = None,
    device: str = "auto",
    bfloat16: bool | None = None,
    resume: bool = False,
) -> Trained:
    """As ``train``, with data that are read already and a time limit in seconds.

    A run that goes on from another model keeps that one's weights if it finds no better ones.
    """
    began = time.monotonic() if began is None else began
    pace = Pace(
        settings.steps, settings.learning_rate, settings.warm_up, settings.cool_down, seconds
    )
    stream = _stream(data, settings)
    first = {} if start is None else {"start": model_digest(source_of(start))}
    record = Record(output, RECORD, {"settings": asdict(settings)}, data.digests() | first)
    checkpoints = Folders(output / CHECKPOINTS)
    claim(output, resume)
    place = _last(checkpoints, record) if resume else None
    source = None if place is None else output
    begun = started(source, start, data.trie, data.notes, stream, settings, device)
    if place is None:
        # The record first: from then on the folder is one that --resume takes, whatever happens.
        record.write(versions=versions())
        begun.tokenizer.save_pretrained(output)
    seen = DevSet.of(data.dev.asked, data.trie)
    fast = has_bfloat16(begun.model.device) if bfloat16 is None else bfloat16
    with quiet(), seeded(settings.seed):
        run = TrainingRun(
            Seq2SeqLearner(begun, stream, data.trie, seen, settings, fast),
            pace,
            checkpoints,
            Log(output / LOG),
            every=settings.every,
            logged=LOGGED,
            patience=settings.patience,
            first=start is not None,
        )
        if place is not None:
            run.restore(place)
        run.go()
        begun.model.eval().half().save_pretrained(output)
    scores = seen.score(begun.model.float(), begun.coder)  # of what was saved
    return finish(run, record, CURVE, scores, began, data.lines)


def check_minutes(minutes: float | None) -> None:
    """InputError unless it is a time that a run can take."""
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes}; it must be above 0")


def _stream(data: TrainingData, settings: Settings) -> Stream:
    base = Base.of(data.trie)
    pairs = [
        KnownQuestion.of(one.text, one.answer)
        for one in data.questions.asked
        if one.answer is not None
    ]
    return Stream(pairs, base, data.templates, settings.shares, settings.seed)


def _last(checkpoints: Folders, record: Record) -> Path | None:
    """The checkpoint of this run to resume from; one that is passed over is named on stderr."""
    record.check()
    place, damaged = checkpoints.last_whole()
    report_damage(damaged, place)
    return place
