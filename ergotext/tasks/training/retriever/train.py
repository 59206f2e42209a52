"""Train all of a retriever for an index, by questions about it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ergotext.lm.loading import load
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.support.bars import busy
from ergotext.support.files import write_text
from ergotext.support.words import counted
from ergotext.tasks.config import versions
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.training.data import TrainingData
from ergotext.tasks.training.folder_lock import alone_in
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.lookahead.train import begun, finished, train_lookahead_on
from ergotext.tasks.training.result import Trained
from ergotext.tasks.training.retriever.beginning import Beginning
from ergotext.tasks.training.retriever.comparison import Comparison, compare
from ergotext.tasks.training.retriever.defaults import (
    INCLUDED,
    LOOKAHEAD_SHARE,
    MODEL_SHARE,
    NEW,
    most_scored,
    recipe_for,
    settings_for,
)
from ergotext.tasks.training.retriever.fit import FittedCalibration, fit_calibration, fit_scale
from ergotext.tasks.training.retriever.own_index import index_for
from ergotext.tasks.training.seq2seq.train import check_minutes, train_on
from ergotext.tasks.training.settings import Settings

REPORT = "report.json"
KEPT = (
    "the look-ahead stays as it was before: on the questions to choose by, training made it no "
    "better beyond chance\n"
)


@dataclass(frozen=True)
class TrainedRetriever:
    """A trained retriever, and what it is worth.

    Parameters
    ----------
    folder : Path
        Of the model, its look-ahead, and what was fitted.
    index : Path
        The index in the model's tokens: the one that was given or, if that has others, one in the
        folder.
    model, lookahead : Trained
    questions, chosen, held_out : int
        Questions that were trained on, chosen by, and scored.
    scale : float
    calibration : FittedCalibration
    comparison : Comparison, optional
        None if no held-out question has an answer.
    seconds : float
        Of all, in this process.
    """

    folder: Path
    index: Path
    model: Trained
    lookahead: Trained
    questions: int
    chosen: int
    held_out: int
    scale: float
    calibration: FittedCalibration
    comparison: Comparison | None
    seconds: float

    def text(self) -> str:
        """What was trained, how good it is, and how to use it."""
        scored = "" if self.comparison is None else self.comparison.text() + "\n"
        return (
            f"{counted(self.questions, 'question')} to train on, {self.chosen:,} to choose by, "
            f"{self.held_out:,} to score; {self.model.steps:,} steps of the encoder-decoder, "
            f"{self.lookahead.steps:,} of the look-ahead; {self.seconds:.0f} s\n"
            f"{KEPT if self.lookahead.kept else ''}"
            f"{self.calibration.text()}\n{scored}"
            f'use it: ergotext retrieve -i {self.index} --model {self.folder} "…"'
        )

    def complaints(self) -> list[str]:
        """Skipped lines."""
        return self.model.complaints()

    def record(self) -> dict[str, object]:
        """The same for ``report.json``."""
        told: dict[str, object] = {
            "versions": versions(),
            "questions": {
                "trained on": self.questions, "chosen by": self.chosen, "scored": self.held_out,
            },
            "scale": self.scale,
            "calibration": asdict(self.calibration),
            "seconds": self.seconds,
        }  # fmt: skip
        if self.comparison is not None:
            others = [*self.comparison.marks][1:]
            told["scores"] = self.comparison.scores()
            told["differences"] = {name: self.comparison.difference(name) for name in others}
        return told


def train_part(
    part: Literal["model", "lookahead"],
    questions: str | Path,
    index: str | Path,
    output: str | Path,
    dev: str | Path | None = None,
    *,
    start: str = INCLUDED,
    settings: Settings | None = None,
    recipe: Recipe | None = None,
    templates: Sequence[str | Path] = (),
    synonyms: Sequence[str | Path] = (),
    minutes: float | None = None,
    device: str = "auto",
    resume: bool = False,
) -> Trained:
    """Train the encoder-decoder or the look-ahead alone; arguments and errors as the whole has.

    All dev questions choose, and give the scores that are returned.
    """
    check_minutes(minutes)
    began, output = time.monotonic(), Path(output)
    seconds = None if minutes is None else 60 * minutes
    if dev is None:
        data = TrainingData.parted(questions, dev, index, templates, most_scored(minutes))
    else:
        data = TrainingData.read(questions, dev, index, templates)
    with alone_in(output):
        if part == "model":
            return train_on(
                data, output, settings_for(start) if settings is None else settings,
                start=None if start == NEW else start, seconds=seconds, began=began, device=device,
                resume=resume,
            )  # fmt: skip
        return train_lookahead_on(
            data, output, recipe_for(start) if recipe is None else recipe,
            synonyms=[Path(path) for path in synonyms], first=Beginning.of(start, data).trained,
            seconds=seconds, began=began, device=device, resume=resume,
        )  # fmt: skip


def train_retriever(
    questions: str | Path,
    index: str | Path,
    output: str | Path,
    dev: str | Path | None = None,
    *,
    start: str = INCLUDED,
    settings: Settings | None = None,
    recipe: Recipe | None = None,
    templates: Sequence[str | Path] = (),
    synonyms: Sequence[str | Path] = (),
    minutes: float | None = None,
    device: str = "auto",
    resume: bool = False,
) -> TrainedRetriever:
    """Train an encoder-decoder and its look-ahead, fit scale and probabilities, and score them.

    Parameters
    ----------
    questions : str or Path
        Questions with answers (``data.read``).
    index : str or Path
        Of triples. If it is in other tokens than the model, one in these is written into
        ``output``.
    output : str or Path
        A folder that is empty or not there yet.
    dev : str or Path, optional
        Held-out questions; if not given, 30% of ``questions`` are held out. Half of these decide
        when to stop and how the look-ahead counts; the other half are scored in the end. All of
        them are calibrated on, which changes no first answer.
    start : str
        A retriever or an encoder-decoder to go on from, or ``new``. The look-ahead goes on from
        that of the same model or, if that has none, of the included one.
    settings, recipe : Settings, Recipe, optional
        Of encoder-decoder and look-ahead (``defaults``).
    templates, synonyms : sequence of str or Path
        Files as in ``seq2seq.train`` and ``train_lookahead``.
    minutes : float, optional
        Time limit of all together; what a run that was resumed has used before counts.
    device : str
    resume : bool
        Go on with the run in ``output``, wherever it was ended.

    Raises
    ------
    InputError
        A file cannot be read or holds too little, a setting is out of its range, the tokenizer is
        not that of the index, or ``output`` cannot be used, or is used by another process.
    ModelError
        Training diverged, or a model is damaged.
    InterruptedRunError
        Ctrl-C was pressed.
    """
    check_minutes(minutes)
    began, output, index = time.monotonic(), Path(output), Path(index)
    settings = settings_for(start) if settings is None else settings
    recipe = recipe_for(start) if recipe is None else recipe
    data = TrainingData.parted(questions, dev, index, templates, most_scored(minutes))
    first = Beginning.of(start, data)

    def left(share: float, spent: float = 0.0) -> float | None:
        """Seconds until this share of the time is over, of which some were spent before."""
        if minutes is None:
            return None
        return max(1.0, 60 * minutes * share - max(spent, time.monotonic() - began))

    with alone_in(output):
        model = train_on(
            data, output, settings, start=None if start == NEW else start, device=device,
            seconds=left(MODEL_SHARE), resume=resume,
        )  # fmt: skip
        place = first.place(output)
        lookahead = finished(place, recipe, data) if resume else None
        if lookahead is None:
            lookahead = train_lookahead_on(
                data, place, recipe, synonyms=[Path(path) for path in synonyms], device=device,
                first=first.trained, seconds=left(LOOKAHEAD_SHARE, model.spent),
                resume=resume and begun(place),
            )  # fmt: skip
        with busy("fitting and scoring"):
            first.complete(output)
            own = index_for(index, str(output), output)
            lm = load(str(output), device=device)
            assert isinstance(lm, Seq2SeqLM)
            retriever = Retriever(lm, own)
            scale = fit_scale(lm, retriever.trie, output, data.dev.asked, first.scale)
            held = [*data.dev.asked, *data.held_out.asked]
            what = f"{counted(len(held), 'question')} of {data.held_out.path.name}"
            fitted = fit_calibration(retriever, output, held, first.calibration(), what)
            comparison = compare(output, own, data.held_out.asked, device)
        done = TrainedRetriever(
            output, own, model, lookahead, len(data.questions.asked), len(data.dev.asked),
            len(data.held_out.asked), scale, fitted, comparison, time.monotonic() - began,
        )  # fmt: skip
        write_text(output / REPORT, json.dumps(done.record(), indent=1, ensure_ascii=False) + "\n")
    return done
