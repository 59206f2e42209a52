"""Calibrated probabilities: the temperature of scores, and the share of "none of these"."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ergotext.errors import ModelError
from ergotext.support.arrays import Floats
from ergotext.support.files import write_text
from ergotext.support.untrusted import check_types, read_json
from ergotext.tasks.retrieval.bearing import (
    Bearing,
    QuestionKey,
    Word,
    bearings,
    nearest,
)
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.coverage import SetScores
from ergotext.tasks.retrieval.none_features import FEATURES, none_features

NAME = "calibration.json"
PATHS = ("one", "first", "second", "second word", "margin")
"""What the odds of a path of two entries hang on (``two_steps.path_features``)."""


def calibration_file(index: Path) -> Path:
    """The file of the calibration of an index: kb.ergo has kb.calibration.json."""
    return index.parent / f"{index.stem}.{NAME}"  # of any path: "" and ".." have no suffix


@dataclass(frozen=True)
class Calibration:
    """Makes probabilities of scores: of each candidate, and of "none of these".

    A candidate of score s has the weight exp(s / T). "None of these" has the weight of all
    candidates together times exp(w · φ), with the features φ of the question and its best candidate
    (``none_features``); without weights it has none.

    Parameters
    ----------
    temperature : float
        T, in nats of the score for a nat of probability.
    weights : mapping of str to float
        w, for each of ``FEATURES``.
    usual : frozenset of str
        Words that questions consist of, whatever they ask (``words_of``).
    unit : float
        The temperature that features are made with, whatever T is.
    about : mapping of str to str
        What it was fitted on and with.
    paths : mapping of str to float
        v, for each of ``PATHS``: a path of two entries has the weight exp(v · ψ) beside 1 for "none
        of these", whose probability they share. Without weights, paths are not looked for.
    sets : SetScores, optional
        How large answer sets must be; measured with these temperature and weights.
    """

    temperature: float = 10.0
    weights: Mapping[str, float] = field(default_factory=dict)
    usual: frozenset[str] = frozenset()
    unit: float = 10.0
    about: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, float] = field(default_factory=dict)
    sets: SetScores | None = None

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Load what ``save`` wrote; ``UNFITTED`` if there is no such file.

        Raises
        ------
        ModelError
            It cannot be read.
        """
        path = Path(path)
        if not path.is_file():
            return UNFITTED
        advice = "fit it again"
        told = read_json(path, raises=ModelError, advice=advice)
        kinds = {
            "temperature": float, "unit": float, "weights": dict, "usual": str, "about": dict,
            "paths": dict, "sets": dict,
        }  # fmt: skip
        try:
            check_types(told, kinds, optional=("usual", "about", "paths", "sets"))
            weights, about = told["weights"], told.get("about", {})
            paths = told.get("paths", {})
            for some, names in ((weights, FEATURES), (paths, PATHS)):
                if some:
                    check_types(some, dict.fromkeys(names, float))
            check_types(about, dict.fromkeys(about, str))
            for name in ("temperature", "unit"):
                if not (told[name] > 0 and math.isfinite(told[name])):
                    raise ValueError(f"its {name} is not above 0")
            if not all(math.isfinite(value) for value in (*weights.values(), *paths.values())):
                raise ValueError("a weight is not a number")
            sets = SetScores.read(told["sets"]) if "sets" in told else None
        except (ValueError, OverflowError) as error:
            raise ModelError(f"cannot read {path} ({error}): {advice}") from error
        usual = frozenset(told.get("usual", "").split())
        unit = float(told["unit"])
        found = cls(float(told["temperature"]), weights, usual, unit, about, paths)
        # Sets that were measured with other weights promise nothing.
        return replace(found, sets=sets) if sets and sets.fitted == found.digest else found

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        told = {
            "temperature": round(self.temperature, 3),
            "unit": self.unit,
            "weights": {name: round(value, 4) for name, value in self.weights.items()},
            "usual": " ".join(sorted(self.usual)),
            "about": dict(self.about),
        }
        if self.paths:
            told["paths"] = {name: round(value, 4) for name, value in self.paths.items()}
        if self.sets is not None:
            told["sets"] = self.sets.record()
        write_text(Path(path), json.dumps(told, ensure_ascii=False, indent=1) + "\n")

    @cached_property
    def digest(self) -> str:
        """Of what gives probabilities, as it is kept (``SetScores.fitted``)."""
        weights = [f"{name} {value:.4f}" for name, value in sorted(self.weights.items())]
        told = [f"{self.temperature:.3f} {self.unit}", *weights, *sorted(self.usual)]
        return blake2b("\n".join(told).encode(), digest_size=8).hexdigest()

    def misfit(self, model: str, lookahead: str) -> str:
        """Which of these it was not fitted with: "model", "look-ahead" or neither.

        By their digests (``origin``); what is not known is taken to be the same.
        """
        for name, now, what in (("model", model, "model"), ("lookahead", lookahead, "look-ahead")):
            if now and self.about.get(name, now) != now:
                return what
        return ""

    def content(self, choice: QuestionKey) -> list[Word]:
        """The words of a question that are not usual, to be looked at one by one."""
        return nearest(choice, [word for word in choice.rest() if word.text not in self.usual])

    def bearings(self, lookahead: Potential, choices: Sequence[QuestionKey]) -> list[Bearing]:
        """What ``none_odds`` takes: of words that neither are usual nor stand in the predicate.

        All words together count only where most are longer than a character.
        """
        words = [[w for w in self.content(one) if w.text not in one.named] for one in choices]
        return bearings(lookahead, choices, words, [one.spaced for one in choices])

    def none_odds(
        self,
        choice: QuestionKey,
        potential: float,
        scores: Floats,
        bearing: Bearing,
    ) -> float:
        """Log-odds of "none of these".

        Parameters
        ----------
        choice : QuestionKey
            The question and its best candidate.
        potential : float
            Of that candidate, in nats.
        scores : float64 [n], nats
            Of all candidates that count, the best first.
        bearing : Bearing
            What the words bear on the candidate, in nats.
        """
        return float(self.features(choice, potential, scores, bearing) @ self._vector)

    def features(
        self,
        choice: QuestionKey,
        potential: float,
        scores: Floats,
        bearing: Bearing,
    ) -> Floats:
        """float64 [len(FEATURES)]: ``none_features``, in this unit."""
        share = math.exp(scores[0] / self.unit - float(np.logaddexp.reduce(scores / self.unit)))
        own = bearing.over(self.unit)
        return none_features(choice, potential / self.unit, share, self.usual, own)

    @cached_property
    def _vector(self) -> Floats:
        return np.array([self.weights[name] for name in FEATURES])


UNFITTED = Calibration()
"""A temperature that suits scores of ``lookahead.fitted.Fitted``, and no share for "none"."""
