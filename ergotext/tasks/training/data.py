"""Data of a training run: questions to train on, to choose by and to score, and the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.trie.lines import Lines
from ergotext.lm.trie.opening import opened
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.datasets.kgclue.data import Question, Questions, read
from ergotext.tasks.training.held_out import (
    FEWEST,
    FEWEST_DEV,
    SHARE,
    check_enough,
    parted,
)
from ergotext.tasks.training.sources import Template, digests, read_templates


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a network is trained on and scored by.

    Parameters
    ----------
    questions, dev : Questions
        To train on, and to choose by.
    held_out : Questions
        Of which nothing is known until the end.
    templates : list of Template
    trie, notes
        The index, and what is noted in it.
    lines : Lines
        What became of the lines of all files.
    files : list of Path
        Of the templates.
    """

    questions: Questions
    dev: Questions
    held_out: Questions
    templates: list[Template]
    trie: TokenTrie
    notes: dict[str, str]
    lines: Lines
    files: list[Path]

    @classmethod
    def read(
        cls,
        questions: str | Path,
        dev: str | Path,
        index: str | Path,
        templates: Sequence[str | Path],
    ) -> TrainingData:
        """Read all of it; dev questions choose and are scored. Errors as ``parted``."""
        found = cls._read(questions, index, templates)
        seen = _read_questions(dev, found.lines)
        return replace(found, dev=seen, held_out=seen)

    @classmethod
    def parted(
        cls,
        questions: str | Path,
        dev: str | Path | None,
        index: str | Path,
        templates: Sequence[str | Path],
        most: int,
    ) -> TrainingData:
        """Read all of it, and part what is held out (``held_out``).

        Half of the dev questions choose, the other half are scored. Without a file of them, they
        are ``SHARE`` of the training questions, which are not trained on then. Of each half,
        at most ``most`` are used.

        Raises
        ------
        InputError
            A file cannot be read, holds nothing of use, or too little to hold some out.
        """
        found = cls._read(questions, index, templates)
        asked = found.questions
        if dev is None:
            check_enough(asked.asked, questions, FEWEST)
            rest, (first, second) = parted(asked.asked, [SHARE / 2, SHARE / 2])
            asked = replace(asked, asked=rest)
            seen = found.questions
        else:
            seen = _read_questions(dev, found.lines)
            check_enough(seen.asked, dev, FEWEST_DEV)
            first, (second,) = parted(seen.asked, [0.5], trained=False)
        each = [replace(seen, asked=_spread(one, most)) for one in (first, second)]
        return replace(found, questions=asked, dev=each[0], held_out=each[1])

    @classmethod
    def _read(
        cls, questions: str | Path, index: str | Path, templates: Sequence[str | Path]
    ) -> TrainingData:
        """Questions, templates and index."""
        lines, files = Lines(), [Path(path) for path in templates]
        asked = _read_questions(questions, lines)
        patterns = read_templates(files, lines)
        return cls(asked, asked, asked, patterns, *opened(index, None), lines, files)

    def digests(self, synonyms: Sequence[Path] = ()) -> dict[str, str]:
        """Digests of the training data."""
        return digests(self.questions.digest, self.trie, self.files, synonyms)


def _spread(asked: list[Question], most: int) -> list[Question]:
    """At most so many, from all of a file."""
    count = min(most, len(asked))
    return [asked[number * len(asked) // count] for number in range(count)]


def _read_questions(path: str | Path, lines: Lines) -> Questions:
    """The questions of a file, of which some have an answer; its lines are counted in ``lines``."""
    found = read(path)
    lines.read += found.lines.read
    lines.bad += found.lines.bad
    lines.shown += found.lines.shown
    if not any(one.answer is not None for one in found.asked):
        raise InputError(f"no question of {path} has an answer")
    return found
