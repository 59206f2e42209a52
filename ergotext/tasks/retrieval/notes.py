"""Notes to who asked: what was taken for a subject, and why there is no answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ergotext.lm.trie.spotted import Naming
from ergotext.tasks.retrieval.candidates import Mention
from ergotext.tasks.retrieval.results import Hit, between

WITHHELD = 0.5
"""Probability of "none of these" from which on there is no answer, where no threshold is given."""
NO_SUBJECT = "no subject of the index occurs in the question"
NAMELESS = (
    "this index was built without names, so subjects are found only as it writes them: build it "
    "again (ergotext index build)"
)
NEAREST = 3
"""Names that are given in place of an answer."""


def lettering(mentions: Sequence[Mention]) -> tuple[str, ...]:
    """A note on subjects that the index writes in other letters."""
    other = ", ".join(repr(mention.text) for mention in mentions if mention.kind == Naming.OTHER)
    return (f"the index writes {other} in other letters",) if other else ()


def taken(hits: Sequence[Hit]) -> tuple[str, ...]:
    """Notes on what was taken for the subjects of hits, if it is written otherwise."""
    found = []
    for mention in (hit.mention for hit in hits if hit.mention is not None):
        if mention.kind == Naming.NEAR:
            found.append(f"{mention.text!r} is taken for {mention.subject!r}")
        elif mention.kind == Naming.VALUE:
            found.append(f"{mention.text!r} is taken for an object of {mention.subject!r}")
    return tuple(found)


def withheld(hits: Sequence[Hit], none: float, threshold: float | None) -> str | None:
    """Why hits are no answer; None if they are one."""
    if not hits or threshold == 0:
        return None
    if threshold is not None:
        return None if hits[0].probability_low >= threshold else _below(hits[0], threshold)
    if not none >= WITHHELD:
        return None
    names = dict.fromkeys(next(iter(hit.fields.values())) for hit in hits)
    nearest = ", ".join(repr(name) for name in [*names][:NEAREST])
    return (
        f"no answer: probably not in this base ({none:.3f}); the nearest: {nearest}; a threshold "
        "of 0 gives answers all the same"
    )


def doubted(hits: Sequence[Hit], none: float) -> tuple[str, ...]:
    """A note where "none of these" is likelier than the first answer."""
    if not hits or not none > hits[0].probability:
        return ()
    return (f"perhaps not in this base ({none:.3f}), which is likelier than the first answer",)


def _below(hit: Hit, threshold: float) -> str:
    """Why a hit is no answer."""
    if math.isnan(hit.probability_low):
        return f"the probability of the best answer is not known: {threshold:g} is not reached"
    told = between(hit.probability_low, hit.probability_high)
    if hit.probability_high < threshold:
        return f"the best answer has probability {told}, below {threshold:g}"
    return f"the best answer has probability {told}, which may be below {threshold:g}"
