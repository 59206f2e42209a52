"""How likely a mention names the subject that is asked about, by how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ergotext.errors import ModelError
from ergotext.lm.trie.spotted import EVIDENCE, Naming
from ergotext.support.arrays import Floats
from ergotext.support.untrusted import check_types, read_json
from ergotext.tasks.retrieval.candidates import Candidates, Mention

NAME = "mentions.json"
FEATURES = (
    "exact", "exact mass", "exact length", "other letters",
    "near score", "near equal", "near extra", "near share", "near mass", "near length",
    "near begins", "near ends",
    "value", "value length",
)  # fmt: skip
"""What is weighed. ``exact`` and ``value`` are 1 for such mentions, against ``near`` ones; masses
count in tens of nats, lengths in fives of characters, at most four."""
_OF_NEAR = ("score", "equal", "extra", "share", "mass", "length", "begins", "ends")
_UNIT = {"mass": 0.1, "length": 0.2}
_MOST = 4.0


def features(mention: Mention) -> Floats:
    """float64 [len(FEATURES)]: what is weighed of a mention."""
    found = dict.fromkeys(FEATURES, 0.0)
    told = dict(zip(EVIDENCE, mention.evidence or [0.0] * len(EVIDENCE), strict=True))
    told |= {name: min(_MOST, unit * told[name]) for name, unit in _UNIT.items()}
    if mention.kind == Naming.NEAR:
        found |= {f"near {name}": told[name] for name in _OF_NEAR}
    elif mention.kind == Naming.VALUE:
        found |= {"value": 1.0, "value length": told["length"]}
    else:
        found |= {"exact": 1.0, "exact mass": told["mass"], "exact length": told["length"]}
        found["other letters"] = float(mention.kind == Naming.OTHER)
    return np.array(list(found.values()))


@dataclass(frozen=True)
class MentionWeights:
    """Weights of ``FEATURES``, in nats of the look-ahead that they were fitted beside.

    Parameters
    ----------
    weights : mapping of str to float
        Where there are none, all mentions are alike.
    reach : float
        Nats that the look-ahead is taken to give at most to the right key of a subject that is
        misspelt or shortened, or named by a value, where another stands as written: more costs
        time, less costs answers. Keys whose mention's weight and this do not come up to the best of
        the others are not read.
    """

    weights: Mapping[str, float]
    reach: float = math.inf

    @classmethod
    def load(cls, folder: str | Path) -> MentionWeights:
        """Those in a model's folder, or none.

        Raises
        ------
        ModelError
            What lies there cannot be read.
        """
        path = Path(folder) / NAME
        if not path.is_file():
            return cls({})
        advice = "fit it again"
        told = read_json(path, raises=ModelError, advice=advice)
        try:
            check_types(told, {"weights": dict, "reach": float}, optional=["reach"])
            weights = told["weights"]
            check_types(weights, dict.fromkeys(FEATURES, float))
            if not all(math.isfinite(value) for value in weights.values()):
                raise ValueError("a weight is not a number")
            reach = told.get("reach", math.inf)
            if math.isnan(reach):
                raise ValueError("its reach is not a number")
        except (ValueError, OverflowError) as error:  # an integer may be greater than any float
            raise ModelError(f"cannot read {path} ({error}): {advice}") from error
        return cls(weights, reach)

    def __call__(self, keys: Candidates) -> Floats:
        """float64 [n], nats: for each candidate, that of its mention; 0 where none is known."""
        if not self.weights or not keys.mentions:
            return np.zeros(len(keys))
        each = np.array([features(mention) @ self._vector for mention in keys.mentions])
        return np.where(keys.mention >= 0, each[keys.mention], 0.0)

    @cached_property
    def most(self) -> float:
        """Nats that a mention weighs at most that does not stand as written.

        Every feature has a range (``features``), so no mention has more.
        """
        if not self.weights:
            return 0.0
        near = sum(
            max(0.0, self.weights[f"near {name}"]) * (_MOST if name in _UNIT else 1.0)
            for name in _OF_NEAR
        )
        return max(near, self.weights["value"] + max(0.0, self.weights["value length"]) * _MOST)

    @cached_property
    def _vector(self) -> Floats:
        return np.array([self.weights[name] for name in FEATURES])


ALIKE = MentionWeights({})
"""No weights: a mention is as likely as another."""
