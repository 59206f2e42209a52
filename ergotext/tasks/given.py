"""What tasks are given, checked before a model is loaded, or torch imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.energies.template_parts import Parts
from ergotext.support.plain_words import words_of
from ergotext.support.untrusted import CONVERT
from ergotext.support.words import check_text, check_texts, count_words

LONGEST = 60
"""Words of a text to paraphrase. Time and memory grow with them (95 words took 99 CPU seconds and
more than 3 GB with SmolLM2), and of many words hardly a particle keeps them all."""


def lines(given: str) -> list[str]:
    """The texts of standard input, one a line; blank lines are skipped.

    Raises
    ------
    InputError
        There is none.
    """
    texts = [line for line in given.split("\n") if line.strip()]
    if not texts:
        raise InputError("no text on standard input; give one per line")
    return texts


def check_blanks(texts: Sequence[str]) -> None:
    """Raise InputError at a text without a blank; needs no model."""
    check_texts(texts, "texts")
    for text in texts:
        Parts.of(text)


def check_wordings(texts: Sequence[str], least: float | None = None) -> None:
    """See that texts can be paraphrased, as far as no model is needed for it.

    Parameters
    ----------
    texts : sequence of str
    least : float, optional
        Least similarity.

    Raises
    ------
    InputError
        A text has no words or more than ``LONGEST``, or the least similarity is outside [0, 1].
    """
    check_texts(texts, "texts")
    for text in texts:
        check_text(text, "what is paraphrased")
        if not words_of(text):
            raise InputError(f"the text {text!r:.60} has no words to paraphrase")
        if (count := count_words(text)) > LONGEST:
            raise InputError(
                f"the text {text[:40]!r}… has {count:,} words, but at most {LONGEST} can be "
                "paraphrased at a time: give it sentence by sentence (a line each, with -)"
            )
    if least is not None and not 0 <= least <= 1:
        raise InputError(f"the least similarity must be from 0 to 1, got {least}")


def check_similarity(name: str) -> None:
    """Raise InputError if the name of a measure of similarity is empty, or a folder that is not."""
    if not name.strip():
        raise InputError("the similarity is empty; use words, minilm, a folder or a hub id")
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().exists():
        raise InputError(f"no sentence encoder {name!r}: there is no such folder")


def passage_at(path: Path) -> str:
    """The text of a file.

    Raises
    ------
    InputError
        It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error.reason}): {CONVERT}") from error


def check_question(passage: str, question: str, k: int, beams: int) -> None:
    """Raise InputError where there is nothing to read or too much is wanted; needs no model."""
    for name, text in (("passage", passage), ("question", question)):
        check_text(text, f"the {name}")
        if not text.strip():
            raise InputError(f"the {name} is empty")
    if not 1 <= k <= beams:
        raise InputError(f"k ({k}) must be at least 1 and at most beams ({beams})")
