"""Load a retriever by names, and answer many questions with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergotext.lm.trie.file import load
from ergotext.support.bars import bar
from ergotext.support.threads import use_threads
from ergotext.tasks.retrieval.request import Decode
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from ergotext.lm.loading import Dtype

AT_ONCE = 8
"""Batches that are answered together, so that questions of like length meet."""


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
    from ergotext.lm.loading import load as load_model

    load(index)  # says at once if there is none
    use_threads(threads)
    found = load_model(model, device=device, dtype=dtype)
    return Retriever(found, index, prompt=prompt, decode=decode)


def together(batch_size: int) -> int:
    """How many questions are sorted into batches together; answers depend on their company."""
    return AT_ONCE * batch_size


def answers(
    retriever: Retriever, questions: Sequence[str], *, batch_size: int, **asked: Any
) -> Iterator[tuple[str, Hits]]:
    """Each question with its answers, in order, as soon as they are found.

    ``asked`` is as for ``Retriever.retrieve``.
    """
    step = together(batch_size)
    with bar(desc="answering", total=len(questions), unit="question") as shown:
        for first in range(0, len(questions), step):
            some = questions[first : first + step]
            found = retriever.retrieve(some, batch_size=batch_size, progress=False, **asked)
            shown.update(len(some))
            yield from zip(some, found, strict=True)
