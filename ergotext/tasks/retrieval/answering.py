"""Answer questions with the look-ahead and the calibration that belong to a model and an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergotext.tasks.retrieval.calibration import UNFITTED, Calibration
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.loading import opened
from ergotext.tasks.retrieval.lookahead.fitted import temperature_for
from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
from ergotext.tasks.retrieval.lookahead.own import own_calibration
from ergotext.tasks.retrieval.notes import NAMELESS
from ergotext.tasks.retrieval.request import Decode
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from ergotext.lm.loading import Dtype


@dataclass(frozen=True)
class Answerer:
    """A retriever with all that belongs to its model and its index.

    Parameters
    ----------
    retriever : Retriever
    model : str
        Its name.
    index : Path
    ahead : Potential, optional
        The look-ahead.
    """

    retriever: Retriever
    model: str
    index: Path
    ahead: Potential | None

    @classmethod
    def open(
        cls,
        model: str,
        index: Path,
        *,
        lookahead: str = "auto",
        prompt: str | None = None,
        device: str = "auto",
        dtype: Dtype = "float32",
        threads: int | None = None,
        decode: Decode = "beam",
    ) -> Answerer:
        """By the names of model, index and look-ahead; errors as ``opened`` has them."""
        retriever = opened(
            model, index, prompt=prompt, device=device, dtype=dtype, threads=threads, decode=decode
        )
        return cls(retriever, model, index, lookahead_named(lookahead, model, decode))

    @cached_property
    def _own(self) -> tuple[Calibration | None, str | None]:
        """The calibration beside the index, and a warning.

        It is ``UNFITTED`` where what comes with the look-ahead does not fit either, and None where
        that is to be used.
        """
        assert self.ahead is not None
        own, warning = own_calibration(self.index, self.model, self.ahead)
        if warning is None and own is None and (warning := self.retriever.misfit(None, self.ahead)):
            own = UNFITTED
        return own, warning or None

    def _joint(self, anywhere: bool, model_probability: bool) -> bool:
        """Whether probabilities are those of all that is known, and so take a calibration."""
        known = self.ahead is not None and self.retriever.triples
        return known and not (anywhere or model_probability)

    def notes(self, anywhere: bool = False, model_probability: bool = False) -> list[str]:
        """Lines for who asks, whatever the questions are."""
        warning = self._own[1] if self._joint(anywhere, model_probability) else None
        return [*([warning] if warning else []), *([NAMELESS] if self.retriever.nameless else [])]

    def options(
        self,
        *,
        anywhere: bool = False,
        model_probability: bool = False,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """Arguments of ``Retriever.retrieve`` by what is wished for.

        Subjects are restricted to those in the question, and the look-ahead counts; ``anywhere``
        lifts both.
        """
        joint = self._joint(anywhere, model_probability)
        spans = self.retriever.triples and not anywhere
        return {
            "spans": spans,
            "lookahead": self.ahead if spans else None,
            "model_probability": model_probability,
            "temperature": temperature_for(self.model, temperature, joint),
            "calibration": self._own[0] if joint else None,
        }

    def answer(self, questions: Sequence[str], wishes: dict[str, Any], **asked: Any) -> list[Hits]:
        """The hits of each question.

        Parameters
        ----------
        questions : sequence of str
        wishes : dict
            As for ``options``.
        **asked
            Further options of ``Retriever.retrieve``; its errors.
        """
        return self.retriever.retrieve(questions, **self.options(**wishes), **asked)
