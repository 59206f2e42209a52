"""Choose the best texts of a run: likely ones that differ."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.support.words import is_unspaced

LENGTH_PENALTY = 0.6
"""Exponent of the length by which energies of texts are divided when they are compared."""


def per_token(one: Sample) -> float:
    """log p a token in nats, the end counted as one."""
    return one.log_prob / (len(one.tokens) + 1)


def merit(one: Sample) -> float:
    """What texts of particles are ranked by: −E over ((6 + n)/6)^0.6, in nats.

    Of two texts the shorter has nearly always the lower energy. Divided by a power of the length
    (of n tokens and the end), longer ones have a chance: Wu et al. 2016, "Google's neural machine
    translation system", equation 14, with the exponent of its section 7.
    """
    return -one.energy / float(((6 + len(one.tokens)) / 6) ** LENGTH_PENALTY)


def chosen(result: Result | WeightedResult, count: int) -> list[Sample]:
    """The ``count`` best texts of a run.

    Of chains those of lowest energy. Of particles those of the greatest ``merit``: texts that come
    from different ancestors, differ in more than a word and hold no three tokens twice go first;
    with too few of these, others follow.
    """
    if isinstance(result, Result):
        return result.best(count)
    everything = result.best(len(result.samples))
    place = {row: k for k, row in reversed(list(enumerate(result.samples.batch.rows())))}
    root = [int(result.samples.root[place[one.tokens]]) for one in everything]
    order = sorted(range(len(everything)), key=lambda k: -merit(everything[k]))
    found: list[int] = []
    for least in (2, 1, 0):
        for k in order:
            rank = _new(k, found, everything) * (1 + (root[k] not in {root[j] for j in found}))
            if len(found) < count and k not in found and rank >= least:
                found.append(k)
    best = sorted(found, key=lambda k: (repeats(everything[k].tokens), order.index(k)))
    return [everything[k] for k in best]


def repeats(tokens: Sequence[int]) -> bool:
    """Whether three tokens in a row occur twice."""
    runs = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return len(set(runs)) < len(runs)


def alike(one: str, other: str) -> bool:
    """Whether two texts differ in at most one word, or two characters of an unspaced script."""
    a, b = (_units(text.casefold()) for text in (one, other))
    same = sum(block.size for block in SequenceMatcher(None, a, b, False).get_matching_blocks())
    return max(len(a), len(b)) - same <= 1 + any(map(is_unspaced, one))


def _units(text: str) -> list[str]:
    """Words, and the characters of scripts without spaces between them."""
    return "".join(f" {char} " if is_unspaced(char) else char for char in text).split()


def _new(k: int, found: Sequence[int], texts: Sequence[Sample]) -> bool:
    """Whether a text repeats neither itself nor those found."""
    return not (repeats(texts[k].tokens) or any(alike(texts[k].text, texts[j].text) for j in found))
