"""Data of a training run: questions, dev questions, templates and the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.trie.lines import Lines
from ergotext.lm.trie.opening import opened
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.datasets.kgclue.data import Questions, read
from ergotext.tasks.training.sources import Template, digests, read_templates


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a network is trained on and scored by.

    Parameters
    ----------
    questions, dev : Questions
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
        """Read all of it.

        Raises
        ------
        InputError
            A file cannot be read, or holds nothing of use.
        """
        lines, files = Lines(), [Path(path) for path in templates]
        asked, held = (_read_questions(path, lines) for path in (questions, dev))
        patterns = read_templates(files, lines)
        return cls(asked, held, patterns, *opened(index, None), lines, files)

    def digests(self, synonyms: Sequence[Path] = ()) -> dict[str, str]:
        """Digests of the training data."""
        return digests(self.questions.digest, self.trie, self.files, synonyms)


def _read_questions(path: str | Path, lines: Lines) -> Questions:
    """The questions of a file, of which some have an answer; its lines are counted in ``lines``."""
    found = read(path)
    lines.read += found.lines.read
    lines.bad += found.lines.bad
    lines.shown += found.lines.shown
    if not any(one.answer is not None for one in found.asked):
        raise InputError(f"no question of {path} has an answer")
    return found
