"""Features of a question and its best candidate, for the odds of "none of these"."""

from __future__ import annotations

import math

import numpy as np

from ergotext.lm.trie.spotted import EVIDENCE, Naming
from ergotext.support.arrays import Floats
from ergotext.tasks.retrieval.bearing import Bearing, QuestionKey, words_of
from ergotext.tasks.retrieval.candidates import Mention
from ergotext.tasks.retrieval.nesting import nesting

FEATURES = (
    "one",
    "spaced",
    "spaced near",
    "spaced potential",
    "spaced unexplained",
    "other letters",
    "near",
    "near score",
    "near equal",
    "near extra",
    "near share",
    "near begins",
    "value",
    "length",
    "potential",
    "margin",
    "unexplained",
    "unexplained share",
    "verbatim",
    "verbatim rest",
    "other mentions",
    "mass",
    "spaced rest",
    "spaced nested",
    "nested",
    "spaced possessed",
    "possessed",
    "spaced outer",
    "outer",
)
"""What the odds of "none of these" hang on (``none_features``)."""
_MOST = 4.0
"""Counts and lengths weigh no more than this."""
_UNSURE = 1 / 400
"""What the share of the best candidate is kept away from 0 and 1 by."""


def none_features(
    choice: QuestionKey,
    potential: float,
    share: float,
    usual: frozenset[str],
    bearing: Bearing,
) -> Floats:
    """float64 [len(FEATURES)]: what is known of a question and its best candidate.

    Parameters
    ----------
    choice : QuestionKey
        The question and its best candidate.
    potential : float
        Its potential, over a temperature.
    share : float
        Its probability among the candidates, at that temperature.
    usual : frozenset of str
        Words that questions consist of, whatever they ask (``words_of``).
    bearing : Bearing
        What its words that are not usual bear on the candidate, over the same temperature.
    """
    keys, best, question = choice.keys, choice.key, choice.question
    mention = choice.mention or Mention("", 0, 0)
    told = dict(zip(EVIDENCE, mention.evidence or [0.0] * len(EVIDENCE), strict=True))
    rest = [word.text for word in choice.rest()]
    explained = usual.union(words_of(keys.rests[best]), words_of(mention.subject))
    odd = [word for word in rest if word not in explained]
    predicate = keys.parted(best)[0].lower()
    verbatim = float(predicate in question.lower())
    named = choice.named
    left = sum(word not in named for word in rest)
    spaced = float(choice.spaced)
    near = float(mention.kind == Naming.NEAR)
    sure = min(max(share, _UNSURE), 1 - _UNSURE)
    found = dict.fromkeys(FEATURES, 0.0)
    found |= {
        "one": 1.0,
        "spaced": spaced,
        "spaced near": spaced * near,
        "spaced potential": spaced * potential,
        "spaced unexplained": spaced * min(_MOST, len(odd) / 2),
        "other letters": float(mention.kind == Naming.OTHER),
        "near": near,
        "value": float(mention.kind == Naming.VALUE),
        "length": min(_MOST, (mention.stop - mention.start) / 5),
        "potential": potential,
        "margin": math.log(sure / (1 - sure)) / 3,
        "unexplained": (1 - spaced) * min(_MOST, len(odd) / 4),
        "unexplained share": len(odd) / max(1, len(rest)),
        "verbatim": verbatim,
        "verbatim rest": verbatim * min(_MOST, left / 4),
        "other mentions": min(_MOST, sum(_apart(other, mention) for other in keys.mentions)) / 2,
        "mass": min(_MOST, told["mass"] / 10),
        "spaced rest": spaced * bearing.rest / 3,
    }
    parts = nesting(choice, bearing, usual)
    for prefix, part in (("spaced ", spaced), ("", 1 - spaced)):
        found[f"{prefix}nested"] = part * bool(parts.outer)
        found[f"{prefix}possessed"] = part * parts.possessed
        found[f"{prefix}outer"] = part * min(_MOST / 2, len(parts.outer) / (2 - spaced))
    if near:
        found |= {
            f"near {name}": told[name] for name in ("score", "equal", "extra", "share", "begins")
        }
    return np.array(list(found.values()))


def _apart(other: Mention, mention: Mention) -> bool:
    """Whether another subject stands elsewhere in the question, as the index has it."""
    return other.kind <= Naming.OTHER and (
        other.stop <= mention.start or mention.stop <= other.start
    )
