"""Open a retriever by name and answer questions in batches, for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ergotext.errors import InputError
from ergotext.lm.trie.file import load as load_index
from ergotext.support.threads import use_threads
from ergotext.support.words import counted
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.lookahead.fitted import temperature_for as temperature_for
from ergotext.tasks.retrieval.lookahead.loading import lookahead_named as lookahead_named
from ergotext.tasks.retrieval.request import Decode
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from ergotext.lm.loading import Dtype

_AT_ONCE = 8
"""Batches that are answered together, so that questions of like length meet."""


def lines(text: str) -> list[str]:
    """The questions of a text, one per line; InputError if there are none."""
    found = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(line.strip() for line in found):
        raise InputError("no questions on standard input; give one per line")
    return found


def guesses(lost: int, asked: int) -> str:
    """A line on questions in which no subject of the index was found."""
    return (
        f"{lost:,} of {counted(asked, 'question')} named no subject of the index as it is written "
        "there: their answers are guesses from all entries, without probabilities"
    )


def opened(
    model: str,
    index: Path,
    *,
    prompt: str | None,
    device: str,
    dtype: Dtype,
    threads: int | None,
    decode: Decode = "beam",
) -> Retriever:
    """A retriever by the names of its model and its index; errors as ``load`` and ``Retriever``."""
    from ergotext.lm.loading import load

    load_index(index)  # says at once if there is none
    use_threads(threads)
    found = load(model, device=device, dtype=dtype)
    return Retriever(found, index, prompt=prompt, decode=decode)


def answers(
    retriever: Retriever,
    questions: Sequence[str],
    *,
    lookahead: Potential | None,
    anywhere: bool,
    batch_size: int,
    **asked: Any,
) -> Iterator[tuple[str, Hits]]:
    """Each question with its answers, in order, as soon as they are found.

    Subjects are restricted to those in the question, and the look-ahead counts; ``anywhere`` lifts
    both. All else is as for ``Retriever.retrieve``.
    """
    spans = retriever.triples and not anywhere
    ahead = lookahead if spans else None
    step = _AT_ONCE * batch_size
    with tqdm(desc="answering", total=len(questions), unit="question", disable=None) as bar:
        for first in range(0, len(questions), step):
            some = questions[first : first + step]
            found = retriever.retrieve(
                some, spans=spans, lookahead=ahead, batch_size=batch_size, **asked
            )
            bar.update(len(some))
            yield from zip(some, found, strict=True)
