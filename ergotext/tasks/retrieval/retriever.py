"""Retriever: answer questions with the most probable entries of an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import get_args

from ergotext.errors import InputError
from ergotext.lm.trie.file import load, notes_of
from ergotext.lm.trie.schema import TITLES, TRIPLES, Schema
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.bars import PATIENCE, ticking
from ergotext.support.words import check_texts
from ergotext.tasks.retrieval.answers import Answers
from ergotext.tasks.retrieval.calibration import UNFITTED, Calibration
from ergotext.tasks.retrieval.candidates import Potential, Spotter
from ergotext.tasks.retrieval.entries import Entries
from ergotext.tasks.retrieval.grouping import Grouping
from ergotext.tasks.retrieval.masked import MaskedSearch
from ergotext.tasks.retrieval.origin import digest_of_lookahead, digest_of_reader
from ergotext.tasks.retrieval.readers import reader_of
from ergotext.tasks.retrieval.request import Decode, Plan, QuestionGroup
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.search import KeySearch
from ergotext.tasks.retrieval.two_steps import EntryPath, TwoSteps

PREFIXES = 2048
"""Default number of key prefixes to expand to bound a probability."""


class Retriever:
    """Finds the entries of an index that answer a question, by a model's probability of their keys.

    Parameters
    ----------
    model : Seq2SeqLM, CausalLM, MaskedLM or QuestionReader
        From ``load``; a masked model for ``decode="mlm"``, and only for it.
    index : path or TokenTrie
        Built with the model's own tokenizer.
    prompt : str, optional
        Prompt template with ``{question}`` and, for a masked model, ``{answer}`` for the blanks. By
        default the question alone for an encoder-decoder, ``readers.PROMPT`` for a causal model and
        ``masked_keys.PROMPT`` for a masked one.
    triples : bool, optional
        Whether keys are triples (subject, predicate, meaning). By default the schema noted in the
        index file counts; False for a trie in memory.
    decode : "beam" or "mlm"
        Whether the model writes keys token by token, or a ``MaskedLM`` fills in the blanks after
        a question (``masked.MaskedSearch``).

    Raises
    ------
    InputError
        There is no such index, it was built with another tokenizer than the model's, or the model
        cannot answer questions with this ``decode``.
    IndexFileError
        The index is damaged.
    """

    def __init__(
        self,
        model: object,
        index: str | Path | TokenTrie,
        *,
        prompt: str | None = None,
        triples: bool | None = None,
        decode: Decode = "beam",
    ) -> None:
        if decode not in get_args(Decode):
            raise InputError(f"decode must be {' or '.join(get_args(Decode))}, got {decode!r}")
        noted = None
        if isinstance(index, (str, Path)):
            trie = load(index)
            noted = Schema.noted(notes_of(index))
        else:
            trie = settled(index)
        if noted is None or triples not in (None, noted.mention is not None):
            noted = TRIPLES if triples else TITLES
        self.schema = noted
        self.triples = noted.mention is not None
        self.search: KeySearch | MaskedSearch
        if decode == "mlm":
            self.search = MaskedSearch(model, trie, prompt)
        else:
            self.search = KeySearch(reader_of(model, prompt), trie)
        self.reader = self.search.reader
        self.trie = replace(trie, tokenizer=self.reader.keys)
        self.grouping = Grouping(self.reader, self.trie, self.schema)
        self.entries = Entries(self.trie, self.schema)

    def retrieve(
        self,
        questions: Sequence[str],
        k: int = 5,
        *,
        beams: int | None = None,
        lookahead: Potential | None = None,
        spans: bool | None = None,
        prefixes: int = PREFIXES,
        temperature: float | None = None,
        model_probability: bool = False,
        calibration: Calibration | None = None,
        threshold: float | None = None,
        coverage: float | None = None,
        batch_size: int = 32,
        progress: bool = True,
    ) -> list[Hits]:
        """The ``k`` best entries for each question, best first.

        Parameters
        ----------
        questions : sequence of str
            The texts of the questions.
        k : int
            Number of answers to each; there may be fewer.
        beams : int, optional
            Beam width (10, or ``k``) or, for a masked model, the keys of each length that are
            scored twice.
        lookahead : Potential, optional
            Potentials of keys, in nats, added to their log-probability.
        spans : bool, optional
            Search only entries whose subject (or, for plain lines, the line itself) occurs in the
            question; the default for triples. Subjects in other letters, misspelt or shortened
            ones, and entries one of whose objects occurs there count too (``Mention.kind``). If
            there is none, there is no answer, and the notes name the nearest subjects; False
            searches all entries.
        prefixes : int
            Maximum number of key prefixes to expand per question to bound the probabilities: more
            are slower and give closer bounds. If the index has no more keys than this, the
            probabilities are exact. With 0 there are none.
        temperature : float, optional
            T of the probabilities, p^(1/T). By default that of the calibration and, for the
            model's own probability, 1.
        model_probability : bool
            Give the model's own probability, normalised over all keys of the index, with bounds;
            without a look-ahead there is no other. By default, the probability is that of all that
            is known: exp(score / T) over all candidates and "none of these" (``Hits.none``), where
            the score is of mention, look-ahead and model. It is exact to 1e-4 of the best
            candidate's weight, and NaN of questions with more than 1,024 candidates.
        calibration : Calibration, optional
            Temperature, and how likely "none of these" is. By default that of the look-ahead.
        threshold : float, optional
            Return no answer unless the first hit is certainly at least this probable. By default,
            there is no answer where "none of these" has a probability of 0.5 or more; with 0 there
            is always one.
        coverage : float, optional
            Give answer sets, of any size, instead of ``k`` answers: the right entry is in the set
            of this share of questions, on average over questions like those that the calibration
            was measured on (``coverage.SetScores``; ``Hits.answer_set`` says what is promised).
            A set is never empty: it holds an entry or "none of these". It holds no answers of two
            steps.
        batch_size : int
            Questions per batch.
        progress : bool
            Show how many questions are answered, on a terminal or in a notebook, if it takes more
            than two seconds.

        Raises
        ------
        InputError
            Questions are one text or no texts of valid Unicode, a number is out of its range, the
            look-ahead gives other than a number a candidate; what is asked for takes
            probabilities or a look-ahead, which ``decode="mlm"`` has not; the calibration was
            fitted with another model or look-ahead, or cannot promise the coverage.
        ModelError
            The model gives NaN.
        """
        restricted = self.triples if spans is None else spans
        width = max(k, 10) if beams is None else beams
        if calibration is not None and model_probability:
            raise InputError(
                "the model's own probability has no calibration: drop calibration or "
                "model_probability"
            )
        note = self.misfit(calibration, lookahead)
        if note and calibration is not None:
            raise InputError(note)
        if calibration is None and lookahead is not None and not model_probability:
            calibration = UNFITTED if note else getattr(lookahead, "calibration", UNFITTED)
        if None not in (coverage, temperature, calibration):
            raise InputError(
                "answer sets (coverage) take the temperature of their calibration: drop "
                "temperature or coverage"
            )
        if temperature is None:
            temperature = 1.0 if calibration is None else calibration.temperature
        plan = Plan(
            k, width, lookahead, prefixes, temperature, threshold, batch_size, restricted,
            calibration, coverage,
        )  # fmt: skip
        found = self.run(questions, plan.checked(), progress)
        if note and not model_probability:
            for hits in found:
                hits.notes += (note,)
        return found

    def misfit(self, calibration: Calibration | None, lookahead: Potential | None) -> str:
        """A line that says with what a calibration was not fitted; empty if it is all right.

        Without a calibration, it is that of the look-ahead.
        """
        own = getattr(lookahead, "calibration", None) if calibration is None else calibration
        if own is None or not own.about:
            return ""
        what = own.misfit(self._digest, digest_of_lookahead(lookahead))
        if not what:
            return ""
        use = "probabilities are not calibrated" if calibration is None else "fit one with this"
        return f"the calibration was fitted with another {what}: {use} (ergotext calibrate)"

    def run(self, questions: Sequence[str], plan: Plan, progress: bool = False) -> list[Hits]:
        """``retrieve`` by a plan that is checked."""
        self.search.check(plan)
        check_texts(questions, "questions")
        empty = ("the question is empty",)
        found = [Hits(notes=empty, answer_set=plan.answer_set(none=True)) for _ in questions]
        with ticking(
            desc="answering", total=len(questions), unit="question", delay=PATIENCE,
            progress=progress,
        ) as shown:  # fmt: skip
            for group in self.grouping(questions, plan):
                for number, hits in zip(group.numbers, self._answered(group, plan), strict=True):
                    found[number] = hits
                    shown.update()
        return found

    def _answered(self, group: QuestionGroup, plan: Plan) -> Iterator[Hits]:
        if not group.searched:
            for question in group.questions:
                notes = self.grouping.unanswered(question)
                yield Hits(notes=notes, restricted=True, answer_set=plan.answer_set(none=True))
            return
        answers = self.search(group, plan)
        paths = self._paths(group, answers, plan)
        for number, found in enumerate(answers):
            keys = None if group.candidates is None else group.candidates[number]
            yield self.entries.hits(found, plan, keys, paths.get(number))

    def _paths(
        self, group: QuestionGroup, answers: Sequence[Answers], plan: Plan
    ) -> Mapping[int, tuple[list[tuple[EntryPath, float]], float]]:
        """Answers of two steps, of questions that may ask for them (``TwoSteps.shares``)."""
        if plan.calibration is None or plan.lookahead is None or plan.least is not None:
            return {}
        steps = TwoSteps(self.spotter, self.schema, plan.lookahead, plan.calibration)
        return steps.shares(group, answers)

    @cached_property
    def _digest(self) -> str:
        return digest_of_reader(self.reader)

    @property
    def spotter(self) -> Spotter:
        """Finds the subjects of the index in questions."""
        return self.grouping.spotter

    @property
    def nameless(self) -> bool:
        """Whether the index has triples, and nothing to find subjects by that are misspelt."""
        return self.grouping.nameless
