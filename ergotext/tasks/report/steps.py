"""The way of a chain to a text: what was changed, and what was proposed and not accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.base import Info
from ergotext.samplers.result import Result
from ergotext.samplers.run import Trace
from ergotext.samplers.texts import scorer_of
from ergotext.support.words import is_unspaced

SHOWN, REFUSED = 24, 8
"""Changes, and proposals that were not accepted, that are shown of a way: the last ones."""
UNKNOWN = "changed"
"""A move of which no name is known: the run was resumed after it."""
Kind = Literal["same", "gone", "new"]


@dataclass(frozen=True)
class TextChange:
    """A change of a chain's text, or one that was proposed.

    Parameters
    ----------
    step : int
    move : str
        Its name: insert, delete, replace, ….
    before, after : float
        Energies; +inf of a proposal that is not allowed.
    parts : sequence of (str, str)
        The texts beside each other, in order: what is the same, gone and new.
    passed : int
        Proposals since the change before that were not accepted.
    chance : float, optional
        The probability of acceptance, if it is known.
    """

    step: int
    move: str
    before: float
    after: float
    parts: Sequence[tuple[Kind, str]]
    passed: int = 0
    chance: float | None = None

    @property
    def same(self) -> bool:
        """Whether a reader sees no change: other tokens may spell the same text."""
        return all(kind == "same" for kind, _ in self.parts)


@dataclass(frozen=True)
class ChainWay:
    """From the start of a chain to a step.

    Parameters
    ----------
    chain, step : int
    start : str
    energy : float
        Of the start.
    changes : sequence of TextChange
        The last of them.
    count : int
        How many there were.
    refused : sequence of TextChange
        The last proposals that were not accepted.
    passed : int
        How many these were.
    """

    chain: int
    step: int
    start: str
    energy: float
    changes: Sequence[TextChange]
    count: int
    refused: Sequence[TextChange]
    passed: int


def way(result: Result, chain: int, step: int) -> ChainWay:
    """The way of a chain up to a step, the first state being step 0."""
    trace, scorer = result.trace, scorer_of(result.problem)
    changed, refused, passed = list[tuple[int, int]](), list[int](), 0
    before = _row(trace.states[0], chain)
    for at in range(1, step + 1):
        after = _row(trace.states[at], chain)
        if after != before:
            changed.append((at, passed))
            passed = 0
        elif _refused(trace, at, chain):
            refused.append(at)
            passed += 1
        before = after
    start = trace.states[0].select([chain])
    return ChainWay(
        chain,
        step,
        scorer.decode(start)[0].strip(),
        float(trace.energies[0][chain]),
        [_accepted(trace, scorer, at, chain, since) for at, since in changed[-SHOWN:]],
        len(changed),
        [_proposed(trace, scorer, at, chain) for at in refused[-REFUSED:]],
        len(refused),
    )


def _row(batch: TokenBatch, chain: int) -> tuple[int, ...]:
    return tuple(batch.ids[chain, : int(batch.length[chain])].tolist())


def _info(trace: Trace, step: int) -> Info | None:
    return (trace.infos or {}).get(step)


def _refused(trace: Trace, step: int, chain: int) -> bool:
    info = _info(trace, step)
    if info is None or bool(info.accepted[chain]):
        return False
    return trace.moves[int(info.move[chain])] != "stay"


def _accepted(
    trace: Trace, scorer: NextTokenScorer, step: int, chain: int, passed: int
) -> TextChange:
    info = _info(trace, step)
    move = UNKNOWN if info is None else trace.moves[int(info.move[chain])]
    before, after = (
        scorer.decode(trace.states[at].select([chain]))[0].strip() for at in (step - 1, step)
    )
    was, now = (float(trace.energies[at][chain]) for at in (step - 1, step))
    chance = None if info is None else _chance(info, chain)
    return TextChange(step, move, was, now, compared(before, after), passed, chance)


def _proposed(trace: Trace, scorer: NextTokenScorer, step: int, chain: int) -> TextChange:
    info = _info(trace, step)
    assert info is not None
    before = scorer.decode(trace.states[step - 1].select([chain]))[0].strip()
    after = scorer.decode(info.proposal.select([chain]))[0].strip()
    return TextChange(
        step,
        trace.moves[int(info.move[chain])],
        float(trace.energies[step - 1][chain]),
        float(info.proposal_energy[chain]),
        compared(before, after),
        chance=_chance(info, chain),
    )


def _chance(info: Info, chain: int) -> float:
    return math.exp(min(0.0, float(info.log_ratio[chain])))


def compared(before: str, after: str) -> list[tuple[Kind, str]]:
    """Two texts in one: their common words, and those that only one has."""
    old, new = _units(before), _units(after)
    return [*_parts(old, new)]


def _parts(old: list[str], new: list[str]) -> Iterator[tuple[Kind, str]]:
    for name, i, j, k, m in SequenceMatcher(None, old, new, False).get_opcodes():
        if name == "equal":
            yield "same", "".join(old[i:j])
            continue
        if j > i:
            yield "gone", "".join(old[i:j])
        if m > k:
            yield "new", "".join(new[k:m])


def _units(text: str) -> list[str]:
    """Words, spaces and marks; characters of scripts without spaces between words."""
    spaced = "".join(f"\0{char}\0" if is_unspaced(char) else char for char in text)
    return [unit for unit in re.findall(r"\s+|\w+|[^\w\s]", spaced) if unit != "\0"]
