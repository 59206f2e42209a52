"""Answer a file of questions from an index, write a submission, and score it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ergotext.errors import ErgotextError
from ergotext.lm.trie.header import IndexFile
from ergotext.support.bars import bar
from ergotext.tasks.config import versions
from ergotext.tasks.datasets.kgclue.data import Question, Questions
from ergotext.tasks.evaluation.checks import check, is_calibrated
from ergotext.tasks.evaluation.predictions import JsonLines, beside, check_same, tell
from ergotext.tasks.evaluation.report import Evaluation
from ergotext.tasks.evaluation.scoring import HITS, RUN, scored
from ergotext.tasks.evaluation.titles import RANKED
from ergotext.tasks.evaluation.workers import Ask, Make, Reply, by_ray, here
from ergotext.tasks.index_lock import changing
from ergotext.tasks.retrieval.calibration import calibration_file
from ergotext.tasks.retrieval.loading import opened
from ergotext.tasks.retrieval.lookahead.fitted import temperature_for
from ergotext.tasks.retrieval.lookahead.learned import learned_digest, lookahead_named
from ergotext.tasks.retrieval.lookahead.own import own_calibration

BATCH = 32
"""Questions read at a time, and lost at most if a run is killed."""
OBJECT = "the first in the index"
"""Which of several objects of an entry is the answer."""


def retriever_of(config: Mapping[str, Any]) -> Ask:
    """The retriever that a table says: ``index``, ``model`` and how it searches.

    Raises
    ------
    InputError
        The model is not found, answers no questions, or has another tokenizer than the index; or
        a number is out of its range.
    """
    retriever = opened(
        config["model"],
        Path(config["index"]),
        prompt=config["prompt"],
        device=config["device"],
        dtype=config["dtype"],
        threads=config["threads"],
    )
    spans = retriever.triples and not config["anywhere"]
    calibrated = spans and is_calibrated(config)
    ahead = lookahead_named(config["lookahead"], config["model"]) if spans else None
    ask = partial(
        retriever.retrieve,
        k=1 if retriever.triples else min(RANKED, config["beams"]),
        beams=config["beams"],
        lookahead=ahead,
        spans=spans,
        prefixes=config["prefixes"],
        temperature=temperature_for(config["model"], config["temperature"], calibrated),
        model_probability=not calibrated,
        calibration=own_calibration(Path(config["index"]), config["model"], ahead)[0]
        if calibrated and ahead is not None
        else None,
        threshold=0.0,
    )
    ask([])  # raises what is wrong with these numbers, before any question seems to fail
    return ask


def evaluate(
    config: Mapping[str, Any],
    make: Make,
    *,
    questions: Questions | None = None,
    progress: bool = True,
) -> Evaluation:
    """Answer the questions of a file that its predictions do not answer yet, and score all.

    Beside the predictions, ``.hits.jsonl`` holds the first hit of each question with its score
    and probability, and ``.run.toml`` what was run, with versions and scores.

    Parameters
    ----------
    config : mapping
        ``data``, ``index`` and ``output`` (files), ``engine`` (local or ray), ``workers``,
        ``limit``, and whatever ``make`` depends on; all of it is recorded.
    make : callable
        Loads what answers questions. Nothing is loaded if all are answered.
    questions : Questions, optional
        What ``check(config)`` returned, if that was called before.
    progress : bool
        Show it on stderr, if that is a terminal.

    Raises
    ------
    InputError
        A file cannot be read or is not what it should be, the index holds neither titles nor
        triples with objects, or the predictions that are there were made in another way.
    ErgotextError
        Every question failed.
    """
    output, questions = Path(config["output"]), questions or check(config)
    with changing(output):
        return _alone(config, make, questions, output, progress)


def _alone(
    config: Mapping[str, Any], make: Make, questions: Questions, output: Path, progress: bool
) -> Evaluation:
    began, told = time.perf_counter(), beside(output, RUN)
    predictions = JsonLines(output, "answer")
    hits = JsonLines(beside(output, HITS), "answer")
    settings = {name: v for name, v in config.items() if name not in _HOW and v is not None}
    settings |= {} if questions.titles else {"object": OBJECT}
    settings["data_digest"] = questions.digest
    settings["index_digest"] = IndexFile.open(Path(config["index"])).meta["content"]
    if config.get("lookahead") in ("auto", "learned"):
        settings["lookahead_digest"] = learned_digest(config["model"])
    if is_calibrated(config) and (own := calibration_file(Path(config["index"]))).is_file():
        settings["calibration_digest"] = blake2b(own.read_bytes(), digest_size=8).hexdigest()
    if predictions.found:
        check_same(told, settings)
    resolved = {**config, **settings}
    tell(told, {**resolved, "versions": versions()})
    predictions.mend()
    hits.mend()
    left = [q for q in questions.asked if q.id not in predictions.found]
    failed = []
    with bar(
        total=len(questions.asked), initial=len(questions.asked) - len(left), unit="question",
        desc="answering", progress=progress,
    ) as shown:  # fmt: skip
        for batch, replies in _replies(config, make, left):
            pairs = list(zip(batch, replies, strict=True))
            good = [(q, r) for q, r in pairs if r.error is None]
            failed += [{"line": q.line, "id": q.id, "error": r.error} for q, r in pairs if r.error]
            hits.add(*({"id": q.id, "answer": r.answer, **(r.hit or {})} for q, r in good))
            predictions.add(*({"id": q.id, "answer": r.answer} for q, r in good))
            shown.update(len(batch))
    seconds = time.perf_counter() - began
    done = scored(output, questions, predictions, hits, failed, len(left), seconds)
    tell(told, {**resolved, "versions": versions(), "result": done.record()})
    if len(failed) == len(questions.asked):
        raise ErgotextError(f"every question failed; the first error: {failed[0]['error']}")
    return done


_HOW = ("data", "index", "output", "engine", "workers", "limit", "device", "threads", "plot")
"""What a later run may do otherwise, and continue with the same predictions. Of the first two the
content must be the same."""


def _replies(
    config: Mapping[str, Any], make: Make, left: Sequence[Question]
) -> Iterator[tuple[Sequence[Question], list[Reply]]]:
    """Each batch with its replies, as they come."""
    batches = [left[at : at + BATCH] for at in range(0, len(left), BATCH)]
    if not batches:
        return
    texts = [[question.text for question in batch] for batch in batches]
    ask = partial(by_ray, workers=config["workers"]) if config["engine"] == "ray" else here
    yield from zip(batches, ask(make, texts), strict=True)
