"""A toy model of tokens that write sentences, small enough that all its texts can be listed."""

from __future__ import annotations

from collections.abc import Sequence

from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.endings.sentence import SentenceEnd
from ergotext.lm.energies.term import Sum, Term
from ergotext.lm.energies.terms import Length
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.testing.toy import TOKENS, ToyFluency, ToyScorer

TEXTS: dict[str, Sequence[str | bytes]] = {
    "english": (".", " He", " he", '."'),
    "split": (".", " He", "he", ".\n"),
    "chinese": ("。", "我", "”", "…"),
    "numbers": (" No", ".", " 5", " He"),
    "bytes": ("。", b"\xe3", b"\x80", b"\x8d"),
}
"""What the tokens 1…4 of each toy write; 0 is the end token. (e3 80 8d is 」, e3 80 80 a space.)"""


def pieces_of(texts: Sequence[str | bytes]) -> Pieces:
    """Tokens 1, 2, … that write these texts, after an end token 0; padding is last."""
    spelled = [text.encode() if isinstance(text, str) else text for text in texts]
    return Pieces(Alphabet(len(texts) + 2, len(texts) + 1, 0), [b"", *spelled])


def sentence_toy(world: str = "english", seed: int = 0) -> EndingScorer:
    """p' of the skewed toy model whose tokens write the texts of a world."""
    return EndingScorer(ToyScorer(seed), SentenceEnd(pieces_of(TEXTS[world]), TOKENS))


def sentence_energy(world: str = "english", *terms: Term, seed: int = 0) -> Sum:
    """Fluency with sentence ending and a length prior, and more terms."""
    parts: list[Term] = [ToyFluency(sentence_toy(world, seed)), Length(3, 1.5), *terms]
    return Sum([(1.0, part) for part in parts])
