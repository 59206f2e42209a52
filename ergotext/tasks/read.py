"""Extractive question answering: answer with spans of a passage."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ergotext.lm.automata.spans import TextSpans
from ergotext.samplers.search.beam import Found, beam
from ergotext.support.bars import busy
from ergotext.support.words import printable
from ergotext.tasks.given import check_question
from ergotext.tasks.passages import BREAKS, passage_reader


@dataclass(frozen=True)
class Answer:
    """A span of the passage.

    Parameters
    ----------
    text : str
        Without white space around it; line breaks inside are shown as spaces.
    places : tuple of (int, int)
        Every occurrence: ``passage[begin:end]``.
    log_prob : float
        log p(text, its end | passage, question) in nats: of the tokenisations that were found
        together, with nothing divided by the length.
    probability : float
        exp(log_prob) over the sum of it for all answers found.
    """

    text: str
    places: tuple[tuple[int, int], ...]
    log_prob: float
    probability: float


@dataclass(frozen=True)
class Reading:
    """Answers of a passage to a question.

    Parameters
    ----------
    answers : list of Answer
        The most probable first; empty where the model gives no span a chance.
    exact : bool
        Whether every span was examined in every tokenisation. Otherwise the log-probabilities are
        lower bounds, and the probabilities relative to what was found.
    """

    answers: list[Answer]
    exact: bool


class SpanReader:
    """Answers questions with spans of a passage, and with nothing else.

    Parameters
    ----------
    model : CausalLM or Seq2SeqLM
    tokenizer : transformers tokenizer, optional
        The tokenizer of an encoder-decoder that has none.
    prompt : str, optional
        What the model reads, with ``{passage}`` and ``{question}``; by default one in English or,
        for such questions, in Chinese.

    Raises
    ------
    InputError
        The model cannot write answers; the prompt has not one place for each; or the tokenizer is
        missing, or its pieces are unknown.

    Notes
    -----
    An answer ends with the end token of an encoder-decoder, and with the line after the prompt of
    a causal model (``passages.PromptedPassage``). That end is part of log p: without it every
    beginning of an answer would be more probable than the answer.
    """

    def __init__(self, model: object, tokenizer: Any = None, *, prompt: str | None = None) -> None:
        self.reader = passage_reader(model, tokenizer, prompt)

    def read(
        self, passage: str, question: str, *, k: int = 3, beams: int = 10, max_length: int = 64
    ) -> Reading:
        """The ``k`` most probable answers.

        Parameters
        ----------
        passage, question : str
        k : int
        beams : int
            Beam width. Twice ``k`` whole sequences of tokens are looked for (no more
            than ``beams``), as several may spell one answer. Where both are at least as many as
            there are, the result is exact.
        max_length : int
            Maximum number of tokens of an answer, its end included.

        Raises
        ------
        InputError
            Passage or question are blank, no Unicode, or together longer than the model takes;
            ``k`` or ``max_length`` is below 1, or ``beams`` below ``k``.
        ModelError
            The model gives NaN.
        """
        check_question(passage, question, k, beams)
        # One character for another, so that places stay what they are.
        line = passage.translate(str.maketrans(BREAKS, " " * len(BREAKS)))
        with busy("reading the passage"):
            decoding, after_space = self.reader.begin(line, question.strip())
        spans = TextSpans(line, self.reader.pieces, after_space=after_space)
        wanted = min(2 * k, beams)
        with busy("reading"):
            (found,) = beam(decoding, spans, k=wanted, beams=beams, max_length=max_length)
        answers = self._answers(found, line)
        return Reading(answers[:k], found.complete)

    def _answers(self, found: Found, passage: str) -> list[Answer]:
        """What was found, tokenisations and white space around it put together, best first."""
        spelled: dict[str, list[float]] = defaultdict(list)
        for one in found.hypotheses:
            text = self.reader.pieces.joined(one.tokens).decode().strip()
            if text:
                spelled[text].append(one.log_prob)
        total = {text: float(np.logaddexp.reduce(each)) for text, each in spelled.items()}
        norm = float(np.logaddexp.reduce([*total.values(), -math.inf]))
        return [
            Answer(text, places_of(text, passage), log_prob, math.exp(log_prob - norm))
            for text, log_prob in sorted(total.items(), key=lambda pair: -pair[1])
        ]


def places_of(text: str, passage: str) -> tuple[tuple[int, int], ...]:
    """Every occurrence of a text, also those that overlap."""
    places, at = [], passage.find(text)
    while at >= 0:
        places.append((at, at + len(text)))
        at = passage.find(text, at + 1)
    return tuple(places)


def as_text(reading: Reading) -> str:
    """One line an answer, and one on what the probabilities are relative to."""
    lines = [
        f"{printable(a.text)}  [{_shown(a.places)}; p {a.probability:.3f}, log p {a.log_prob:.1f}]"
        for a in reading.answers
    ]
    return "\n".join([*lines, how(reading)])


def how(reading: Reading) -> str:
    """One line on the search."""
    if not reading.answers:
        return "(no answer: the model gives no span of the passage a chance)"
    return "(p among all spans)" if reading.exact else "(p among the answers that were found)"


def as_json(reading: Reading, question: str, ascii_only: bool = False) -> str:
    """One JSON object an answer and line."""
    return "\n".join(
        json.dumps(
            {**asdict(answer), "question": question, "exact": reading.exact},
            ensure_ascii=ascii_only,
        )
        for answer in reading.answers
    )


def _shown(places: tuple[tuple[int, int], ...]) -> str:
    first = ", ".join(f"{begin}–{end}" for begin, end in places[:3])
    return first + (f" and {len(places) - 3} more" if len(places) > 3 else "")
