"""Score predictions against the answers of a data file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import (
    SEPARATOR,
    Id,
    Question,
    Questions,
    Triple,
    read,
)
from ergotext.tasks.datasets.kgclue.metrics import Marks, mark
from ergotext.tasks.evaluation.predictions import JsonLines, beside
from ergotext.tasks.evaluation.report import Evaluation
from ergotext.tasks.evaluation.titles import TitleMarks, mark_titles

HITS, RUN = ".hits.jsonl", ".run.toml"
"""Of the files beside the predictions."""


def score(data: Path, predictions: Path, limit: int | None = None) -> Evaluation:
    """Score existing predictions: JSON lines with ``id`` and ``answer``; needs no index.

    The answers of ``data`` are triples or titles, whichever most of them are.

    A question that they leave out counts as one without an answer. An answer of the other kind, or
    of neither, is a failure: not ``subject ||| predicate ||| object`` where they are triples, a
    triple where they are titles. Probabilities, and titles after the first, are those of the
    ``.hits.jsonl`` beside, if there is one.

    Raises
    ------
    InputError
        A file cannot be read or is not what it should be, or no prediction is for any question.
    """
    began, questions = time.perf_counter(), read(data, limit, titles=None)
    if not predictions.exists():
        raise InputError(f"{predictions} does not exist: give a file of ids and answers")
    found, failed = JsonLines(predictions, "answer"), []
    there = [q for q in questions.asked if q.id in found.found]
    if not there:
        raise InputError(f"{predictions} answers no question of {data}: they have no id in common")
    hits, other = JsonLines(beside(predictions, HITS), "answer"), 0
    for q in there:
        _check_hit(hits, q.id, found.found[q.id]["answer"])
        answer = found.found[q.id]["answer"]
        if error := answer and _fault(answer, questions.titles):
            failed.append({"line": q.line, "id": q.id, "error": error})
            other += isinstance(answer, str) and (SEPARATOR in answer) == questions.titles
            found.found[q.id]["answer"] = ""
    asked = len(questions.asked) - len(there)
    seconds = time.perf_counter() - began
    done = scored(predictions, questions, found, hits, failed, asked, seconds)
    return replace(done, advice=_of_two_kinds(other, len(there), questions)) if other else done


def _of_two_kinds(other: int, answers: int, questions: Questions) -> str:
    """What to do where predictions are triples and the answers titles, or the other way round."""
    theirs, ours = ("triples", "titles") if questions.titles else ("titles", "triples")
    return (
        f"{other:,} of {counted(answers, 'prediction')} look like {theirs}, but the answers of "
        f"{questions.path} are {ours}: score {theirs} in a file of their own, with questions whose "
        f"answers are {theirs}"
    )


def _fault(answer: object, titles: bool) -> str | None:
    """What is wrong with an answer, if anything."""
    if titles and isinstance(answer, str):
        separate = f"the answer {answer!r:.60} is a triple, where titles are expected"
        return separate if SEPARATOR in answer else None
    if titles:
        return f"the answer {answer!r:.60} is not a text"
    if not isinstance(answer, str) or len(answer.split(SEPARATOR)) != len(Triple._fields):
        return f"the answer {answer!r:.60} is not {SEPARATOR.join(Triple._fields)}"
    return None


def _check_hit(hits: JsonLines, id_: Id, answer: object) -> None:
    """Refuse probabilities of other answers, and what is none."""
    hit = hits.found.get(id_, {"answer": answer})
    if hit["answer"] != answer:
        raise InputError(
            f"{hits.path} does not match the predictions beside it (id {id_}): remove it"
        )
    titles = hit.get("titles", [answer])
    if (
        not isinstance(titles, list)
        or titles[:1] != [answer]
        or not all(isinstance(title, str) for title in titles[1:])
    ):
        raise InputError(f"{hits.path} has invalid titles {titles!r:.40} (id {id_}): remove it")
    for told in (hit.get("probability"), hit.get("none")):
        if told is not None and not (isinstance(told, int | float) and 0 <= told <= 1):
            raise InputError(
                f"{hits.path} has an invalid probability {told!r:.40} (id {id_}): remove it"
            )


def scored(
    output: Path,
    questions: Questions,
    predictions: JsonLines,
    hits: JsonLines,
    failed: list[dict[str, Any]],
    asked: int,
    seconds: float,
) -> Evaluation:
    """The evaluation of predictions, of which ``asked`` were made in ``seconds``."""
    answers = {key: one["answer"] for key, one in predictions.found.items()}
    told = [str(answers.get(q.id) or "") for q in questions.asked]
    known = [(q, text) for q, text in zip(questions.asked, told, strict=True) if _is_known(q)]
    probability = [
        hits.found.get(q.id, {}).get("probability") if text else 0.0 for q, text in known
    ]
    none = [hits.found.get(q.id, {}).get("none") if text else None for q, text in known]
    return Evaluation(
        output,
        questions,
        sum(map(bool, told)),
        len(told) - sum(map(bool, told)) - len(failed),
        failed,
        len(questions.asked) - asked,
        seconds,
        _marks(known, hits) if known else None,
        probability,
        none,
    )


def _is_known(question: Question) -> bool:
    """Whether the file has its answer."""
    return question.answer is not None or question.title is not None


def _marks(known: Sequence[tuple[Question, str]], hits: JsonLines) -> Marks | TitleMarks:
    """The scores of answers to questions whose answer is known."""
    triples = [(q.answer, text) for q, text in known if q.answer is not None]
    if triples:
        return mark([answer for answer, _ in triples], [text for _, text in triples])
    lists: list[list[str] | None] = [
        hits.found.get(q.id, {}).get("titles") if text else [] for q, text in known
    ]
    return mark_titles(
        [q.title or "" for q, _ in known],
        [
            [text] if text and titles is None else titles or []
            for titles, (_, text) in zip(lists, known, strict=True)
        ],
        ranked=None not in lists,
    )
