"""Check what an evaluation or calibration is given before a model is loaded, or torch imported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.trie.file import load, notes_of
from ergotext.lm.trie.schema import Schema
from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import Questions, read
from ergotext.tasks.evaluation.predictions import beside
from ergotext.tasks.evaluation.scoring import HITS, RUN
from ergotext.tasks.plot import check_plot
from ergotext.tasks.retrieval.calibration import calibration_file
from ergotext.tasks.workers import check_ray

FEWEST = 50
"""Answered questions that a calibration is fitted on at least: the share of right answers among
fewer is known to no better than 0.06."""


def is_calibrated(config: Mapping[str, Any]) -> bool:
    """Whether triples are asked for with a look-ahead, and so have calibrated probabilities."""
    alone = config.get("model_probability") or config.get("anywhere")
    return not alone and config.get("lookahead", "none") != "none"


def check_apart(written: Mapping[str, Path], read: Mapping[str, Path]) -> None:
    """Refuse to write over a file that is read; each has a name for people."""
    for what, path in written.items():
        for name, other in read.items():
            same = path.exists() and other.exists() and path.samefile(other)
            if same or os.path.realpath(path) == os.path.realpath(other):
                raise InputError(f"{what} is also the {name}: give another output file")


def check(config: Mapping[str, Any]) -> Questions:
    """The questions; what cannot be is found before a model is loaded (``evaluate``'s errors)."""
    output, folder = Path(config["output"]), Path(config["output"]).resolve().parent
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist; create it, or use another")
    if output.exists() and not output.is_file():
        raise InputError(f"{output} is a folder, pipe or device: give a file for the predictions")
    plot = config.get("plot")
    beside_it = {str(path): path for path in (beside(output, HITS), beside(output, RUN))}
    drawn = {} if plot is None else {f"the plot {plot}": Path(plot)}
    check_apart(
        {str(output): output, **beside_it, **drawn},
        {name: Path(config[name]) for name in ("data", "index")},
    )
    if config["engine"] == "ray":
        check_ray()
    if plot is not None:
        check_plot(Path(plot))
    titles = _holds_titles(Path(config["index"]))
    if plot is not None and not config.get("prefixes") and (titles or not is_calibrated(config)):
        raise InputError("the plot needs probabilities: set prefixes")
    return read(config["data"], config.get("limit"), titles)


def _holds_titles(index: Path) -> bool:
    """Whether an index holds titles, and not triples; InputError if it has no answers."""
    trie, notes = load(index), notes_of(index)
    schema, columns = Schema.noted(notes), notes.get("columns", "")
    if schema is not None and schema.mention is None:
        return True
    if schema is None:
        raise InputError(
            f"{index} contains neither triples nor titles ({columns or 'columns unknown'}): use an "
            "index of subjects, predicates and objects, or one built with --columns key"
        )
    if trie.pool.size <= len(trie):  # where all keys end and nothing stands between
        raise InputError(
            f"{index} contains no objects, which the questions ask for: build it from lines with "
            "subject, predicate and object"
        )
    return False


def check_calibration(data: Path, index: Path, lookahead: str, limit: int | None) -> Questions:
    """The questions that an index is to be calibrated on.

    Raises
    ------
    InputError
        There is no look-ahead, a file cannot be read, the questions are where the calibration
        goes, or fewer than ``FEWEST`` of them have an answer.
    """
    if lookahead == "none":
        raise InputError("a calibration needs a look-ahead: use learned, strings or auto")
    load(index)
    path = calibration_file(index)
    check_apart({str(path): path}, {"questions": data, "index": index})
    questions = read(data, limit)
    if (answered := sum(one.answer is not None for one in questions.asked)) < FEWEST:
        raise too_few(answered, "an answer")
    return questions


class TooFewQuestionsError(InputError):
    """There are too few questions to fit a calibration to."""


def too_few(known: int, what: str) -> TooFewQuestionsError:
    """The error for a calibration on so many questions with ``what``."""
    return TooFewQuestionsError(
        f"{counted(known, 'question')} with {what}: a calibration takes at least {FEWEST}; give "
        f"{FEWEST - known} more"
    )
