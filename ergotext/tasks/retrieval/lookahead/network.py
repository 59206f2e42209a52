"""Matcher: a small character-level network that predicts which predicate a question asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, pad

from ergotext.errors import InputError, ModelError
from ergotext.lm.checks import check_numbers, shapes_of
from ergotext.support.files import write_text
from ergotext.support.untrusted import check_types, read_json
from ergotext.tasks.retrieval.lookahead.features import (
    EXTRA,
    FIRST,
    PADDING,
    SUBJECT,
    SUBJECT_ID,
    Asked,
    Letters,
    Texts,
    texts_of,
)
from ergotext.tasks.retrieval.lookahead.words import Words

WEIGHTS, CONFIG = "matcher.safetensors", "matcher.json"
SIZES = ("width", "hidden", "layers")
WORDS = "words.weight"
"""Name of the vectors of words among the weights."""
DROP = 0.15


class Matcher(nn.Module):
    """Scores of keys for a question, in nats up to a constant: their log-softmax is log p(key).

    The characters of question and predicate are read with their neighbours, each is set beside
    what it is aligned to on the other side (equal characters are marked), and both sides are summed
    up; value, meaning and name say by their look what kind of thing they are. To a character's own
    vector comes, through a linear map, that of the word that it is in. The vectors of words were
    learned elsewhere, from far more text, and training leaves them as they are: so what it learns
    of a word it learns of those that mean the same.

    Parameters
    ----------
    characters : str
        Those that are known, each once; others are alike but for being equal to one another.
    width, hidden, layers : int
    drop : float
        Share of numbers that training leaves out.
    words : sequence of str
        Those that have a vector (``Words``).
    vectors : float Tensor [W, D], optional
        Of the words; without words there are none.

    References
    ----------
    Parikh et al. 2016, "A decomposable attention model for natural language inference", for
    alignment, comparison and sum.
    """

    def __init__(
        self,
        characters: str,
        width: int = 128,
        hidden: int = 128,
        layers: int = 2,
        drop: float = DROP,
        words: Sequence[str] = (),
        vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.sizes = {"width": width, "hidden": hidden, "layers": layers}
        self.characters = characters
        self._number = {c: n for n, c in enumerate(characters, FIRST)} | {SUBJECT: SUBJECT_ID}
        self.embedding = nn.Embedding(len(characters) + FIRST, width, padding_idx=PADDING)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.lexicon = Words(words)
        if vectors is not None:
            none = vectors.new_zeros(1, vectors.shape[1])
            self.words = nn.Embedding.from_pretrained(torch.cat([none, vectors]))
            self.of_word = nn.Linear(vectors.shape[1], width, bias=False)
        self.drop = drop
        self.question, self.predicate = (
            _CharacterEncoder(width, layers, drop),
            _CharacterEncoder(width, layers, drop),
        )
        self.kind, self.name = _CharacterEncoder(width, 1, drop), _CharacterEncoder(width, 1, drop)
        self.align = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))
        self.equality = nn.Parameter(torch.tensor([6.0, 3.0]))
        self.compare = nn.ModuleList(
            _perceptron(3 * width + 2, hidden, hidden, drop) for _ in range(2)
        )
        self.pairs = nn.ModuleList(nn.Linear(width, width) for _ in range(8))
        self.sum = _perceptron(4 * hidden + 5 * width + EXTRA, hidden, 1, drop)

    @cached_property
    def known(self) -> frozenset[str]:
        """The characters that it knows."""
        return frozenset(self.characters)

    def forward(self, texts: Texts) -> Tensor:
        """float [N]: the score of each key."""
        written, named = texts.question.there, texts.predicate.there
        question = self.question(self._embedded(texts.question), written)
        asked, own = question[texts.group], written[texts.group]
        predicate = self.predicate(self._embedded(texts.predicate), named)
        value = self._summary(self.kind, texts.value)
        name = self._summary(self.name, texts.name)[texts.group]
        meaning = self._summary(self.name, texts.meaning)

        # Both ends of a run of equal characters: a neighbour of an equal one that is equal too.
        equal = texts.equal
        run = equal & (pad(equal[:, 1:, 1:], (0, 1, 0, 1)) | pad(equal[:, :-1, :-1], (1, 0, 1, 0)))
        one, two = equal.to(asked.dtype), run.to(asked.dtype)
        scale = 1 / math.sqrt(asked.shape[-1])
        near = scale * self.align[0](predicate) @ self.align[1](question)[texts.group].mT
        near = near + self.equality[0] * one + self.equality[1] * two
        to_question = near.masked_fill(~own[:, None, :], -1e4).softmax(2) @ asked
        to_predicate = near.masked_fill(~named[:, :, None], -1e4).softmax(1).mT @ predicate

        sides = [
            _where(named, self.compare[0], _beside(predicate, to_question, one, two, 2)),
            _where(own, self.compare[1], _beside(asked, to_predicate, one, two, 1)),
        ]
        both = [
            f(side, mask)
            for side, mask in zip(sides, (named, own), strict=True)
            for f in (_mean, _highest)
        ]
        wanted, called = (
            _mean(question, written)[texts.group],
            _mean(predicate, named),
        )
        of = [(wanted, value), (called, value), (name, called), (meaning, wanted + called)]
        products = [self.pairs[2 * n](a) * self.pairs[2 * n + 1](b) for n, (a, b) in enumerate(of)]
        scores: Tensor = self.sum(torch.cat([*both, *products, wanted, texts.extra], dim=-1))
        return scores[:, 0]

    def _embedded(self, letters: Letters) -> Tensor:
        found: Tensor = self.embedding(letters.ids)
        if self.lexicon:
            # Few words stand in many places: they are mapped once.
            words, at = letters.words.unique(return_inverse=True)
            found = found + self.of_word(self.words(words))[at]
        return _dropped(found, self.drop, self.training)

    def _summary(self, reader: _CharacterEncoder, letters: Letters) -> Tensor:
        return _mean(reader(self._embedded(letters), letters.there), letters.there)

    def read(self, asked: Iterable[Asked]) -> Texts:
        """The texts of some subjects and all of their keys, as numbers."""
        return texts_of(asked, self._number, self.lexicon)

    @torch.inference_mode()
    def scores(self, asked: Sequence[Asked]) -> Tensor:
        """float64 [N]: what ``forward`` gives, in evaluation."""
        if not any(one.keys for one in asked):
            return torch.zeros(0, dtype=torch.float64)
        was = self.training
        if was:
            self.eval()
        try:
            scores: Tensor = self(self.read(asked).to(self.embedding.weight.device))
            return scores.double().cpu()
        finally:
            if was:
                self.train()

    def save(self, folder: str | Path) -> None:
        """Write ``matcher.json`` and ``matcher.safetensors`` (float16) into a folder."""
        folder = Path(folder)
        about = {"characters": self.characters, **self.sizes}
        if self.lexicon:
            about["words"] = " ".join(self.lexicon.words)
        save_file(
            {n: t.half().contiguous() for n, t in self.state_dict().items()}, folder / WEIGHTS
        )
        # Last: by this file a folder is known to hold a matcher.
        write_text(folder / CONFIG, json.dumps(about, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: str | Path, drop: float = 0.0) -> Matcher:
        """Load what ``save`` wrote; ``drop`` is the dropout of further training.

        Raises
        ------
        InputError
            There is none in the folder.
        ModelError
            It is damaged.
        """
        folder = Path(folder)
        if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
            raise InputError(f"{folder} contains no look-ahead ({CONFIG}, {WEIGHTS}): train one")
        about = read_json(folder / CONFIG, raises=ModelError, advice="it is damaged: train again")
        shapes = shapes_of(folder / WEIGHTS)
        try:
            told = {"characters": str, "words": str, **dict.fromkeys(SIZES, int)}
            check_types(about, told, optional=["words"])
            about["words"] = about.get("words", "").split()
            _check_sizes(about, shapes)
            with torch.device("meta"):  # without numbers: they are read right below
                rows, width = shapes.get(WORDS, (1, 0))
                vectors = torch.empty(rows - 1, width) if WORDS in shapes else None
                matcher = cls(**about, drop=drop, vectors=vectors)
            own = {name: tuple(one.shape) for name, one in matcher.state_dict().items()}
            if own != shapes:
                odd = next(n for n in (*own, *shapes) if own.get(n) != shapes.get(n))
                raise ValueError(f"{odd} is {shapes.get(odd)}, not {own.get(odd)}")
            weights = {name: one.float() for name, one in load_file(folder / WEIGHTS).items()}
            matcher.load_state_dict(weights, assign=True)
        except (ValueError, RuntimeError, SafetensorError) as error:
            said = str(error).splitlines()[0]
            raise ModelError(
                f"the look-ahead in {folder} is damaged ({said}): train it again"
            ) from error
        check_numbers(weights.items(), str(folder))
        return matcher.eval()


def _check_sizes(about: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """ValueError unless the weights are of a matcher of these sizes.

    As far as it takes to build one: every layer takes time, and all else costs nothing before there
    are numbers.
    """
    layers = sum(name.startswith("question.norm.") for name in shapes) // 2
    rows = len(about["characters"]) + FIRST
    words = len(about["words"])
    if bool(words) != (WORDS in shapes) or (words and shapes[WORDS][0] != words + 1):
        raise ValueError(
            f"{CONFIG} says {words:,} words, {WEIGHTS} has {shapes.get(WORDS, 'none')}"
        )
    embedding = shapes.get("embedding.weight")
    if embedding != (rows, about["width"]) or layers != about["layers"] or about["hidden"] < 1:
        raise ValueError(
            f"{CONFIG} says {rows - FIRST:,} characters, width {about['width']:,} and "
            f"{about['layers']:,} layers, {WEIGHTS} of {embedding or 'no'} and {layers:,}"
        )


class _CharacterEncoder(nn.Module):
    """Reads characters [n, L, D], each with its neighbours, layer by layer."""

    def __init__(self, width: int, layers: int, drop: float) -> None:
        super().__init__()
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.mix = nn.ModuleList(nn.Linear(3 * width, width) for _ in range(layers))
        self.drop = drop

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for norm, mix in zip(self.norm, self.mix, strict=True):
            y = norm(x) * mask[..., None]
            y = torch.cat([pad(y, (0, 0, 1, 0))[:, :-1], y, pad(y, (0, 0, 0, 1))[:, 1:]], dim=-1)
            x = x + _dropped(gelu(_where(mask, mix, y)), self.drop, self.training)
        return x


def _perceptron(size: int, hidden: int, out: int, drop: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(drop), nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, out)
    )


def _dropped(x: Tensor, share: float, training: bool) -> Tensor:
    """Of each text [n, L, D] the same features at every character.

    References
    ----------
    Gal and Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural
    networks".
    """
    return x * dropout(x.new_ones(x.shape[0], 1, x.shape[2]), share, training)


def _where(mask: Tensor, f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``f`` of the characters that are there, 0 elsewhere: most of a padded batch is padding."""
    there = f(x[mask])
    return there.new_zeros(*mask.shape, there.shape[-1]).masked_scatter(mask[..., None], there)


def _beside(side: Tensor, other: Tensor, one: Tensor, two: Tensor, over: int) -> Tensor:
    """Each character of a side, what it is aligned to, and whether there is its equal."""
    told = [m.amax(over)[..., None] for m in (one, two)]
    return torch.cat([side, other, side * other, *told], dim=-1)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def _highest(x: Tensor, mask: Tensor) -> Tensor:
    return x.masked_fill(~mask[..., None], -1e4).amax(1)
