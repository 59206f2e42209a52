"""The look-ahead that training starts from, and its relatives, which stay as they are."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.sources import source_of
from ergotext.tasks.retrieval.calibration import NAME as CALIBRATION
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.fitted import Fitted
from ergotext.tasks.retrieval.lookahead.learned import (
    Matched,
    grouped,
    learned_folder,
    matcher_folders,
)
from ergotext.tasks.retrieval.lookahead.mentions import NAME as MENTIONS
from ergotext.tasks.retrieval.lookahead.network import CONFIG, WEIGHTS
from ergotext.tasks.training.data import TrainingData
from ergotext.tasks.training.retriever.defaults import INCLUDED, NEW


@dataclass(frozen=True)
class Beginning:
    """Where the training of a look-ahead starts.

    Parameters
    ----------
    folder : Path
        Of a model whose look-aheads, weights of mentions and calibration are the first.
    trained : Path, optional
        Which of its look-aheads is trained further; None trains a new one.
    scale : float
        What the look-ahead counted beside its encoder-decoder.
    """

    folder: Path
    trained: Path | None
    scale: float

    @classmethod
    def of(cls, start: str, data: TrainingData) -> Beginning:
        """Of a model by its name, or of the included one if that has no look-ahead.

        If it has several, the one that reads most of the training questions is trained.
        """
        if start == NEW:
            return cls(learned_folder(INCLUDED), None, Fitted().scale)
        try:
            folder = learned_folder(start)
        except InputError:
            source_of(start)  # says if there is no such model at all
            folder = learned_folder(INCLUDED)
        ahead = Matched.load(folder)
        matchers = (ahead.matcher, *ahead.others)
        keys, _ = Spotter(data.trie, triples=True).find([q.text for q in data.questions.asked])
        readers = Counter(
            matchers.index(ahead.chosen([asked for _, asked in groups]))
            for one, own in zip(data.questions.asked, keys, strict=True)
            if (groups := grouped(one.text, own))
        )
        most = max(range(len(matchers)), key=lambda number: readers[number])
        return cls(folder, matcher_folders(folder)[most], ahead.scale)

    def place(self, output: Path) -> Path:
        """The folder of the trained look-ahead, in that of the new model."""
        return output if self.trained is None else output / self.trained.relative_to(self.folder)

    def complete(self, output: Path) -> None:
        """Copy what is not trained: other look-aheads, and the weights of mentions."""
        others = [] if self.trained is None else matcher_folders(self.folder)
        for other in others:
            if other != self.trained:
                target = output / other.relative_to(self.folder)
                target.mkdir(parents=True, exist_ok=True)
                for name in (WEIGHTS, CONFIG):
                    shutil.copyfile(other / name, target / name)
        if (self.folder / MENTIONS).is_file():
            shutil.copyfile(self.folder / MENTIONS, output / MENTIONS)

    def calibration(self) -> Calibration:
        """What a calibration is pulled towards where there are few questions."""
        return Calibration.load(self.folder / CALIBRATION)
