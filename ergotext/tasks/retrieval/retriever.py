"""Retriever: answer questions with the most probable entries of an index."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.file import load, notes_of
from ergotext.lm.trie.schema import TITLES, TRIPLES, Schema
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.bars import bar
from ergotext.support.threads import use_threads
from ergotext.support.words import check_texts, counted
from ergotext.tasks.retrieval.bearing import QuestionKey
from ergotext.tasks.retrieval.calibration import UNFITTED, Calibration
from ergotext.tasks.retrieval.candidates import Candidates, Potential, Spotter, every_key
from ergotext.tasks.retrieval.coverage import members
from ergotext.tasks.retrieval.masked import MaskedSearch
from ergotext.tasks.retrieval.origin import digest_of_lookahead, digest_of_reader
from ergotext.tasks.retrieval.readers import reader_of
from ergotext.tasks.retrieval.request import Decode, Plan, QuestionGroup
from ergotext.tasks.retrieval.results import (
    Answers,
    Hit,
    Hits,
    Mass,
    ScoredKey,
    doubted,
    lettering,
    taken,
    withheld,
)
from ergotext.tasks.retrieval.search import KeySearch
from ergotext.tasks.retrieval.shortlist import potentials_of, shortlisted
from ergotext.tasks.retrieval.two_steps import EntryPath, TwoSteps

if TYPE_CHECKING:
    from ergotext.lm.loading import Dtype

PREFIXES = 2048
"""Default number of key prefixes to expand to bound a probability."""
WIDEST = 0.1
"""Maximum gap between the bounds of a probability that is given as one number."""
USUAL = 64
"""Usual length of a question in tokens; batches of longer ones are smaller."""
NO_SUBJECT = "no subject of the index occurs in the question"
NAMELESS = (
    "this index was built without names, so subjects are found only as it writes them: build it "
    "again (ergotext index build)"
)
MOST_WEIGHED = 1 << 20
"""Maximum number of keys for a look-ahead over all keys."""
AT_ONCE = 8
"""Batches that are answered together, so that questions of like length meet."""


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
    ) -> list[Hits]:
        """The ``k`` best entries for each question, best first.

        Parameters
        ----------
        questions : sequence of str
        k, beams : int
            Number of answers, and beam width (default 10 or ``k``) or, for a masked model, the keys
            of each length that are scored twice. There may be fewer answers than ``k``.
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
            the score is of mention, look-ahead and model. It is exact to ``search.NEGLIGIBLE``,
            and NaN of questions with more than 1,024 candidates.
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
            A set is never empty: it holds an entry or "none of these".
        batch_size : int
            Questions per batch.

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
        found = self.run(questions, plan.checked())
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

    def run(self, questions: Sequence[str], plan: Plan) -> list[Hits]:
        """``retrieve`` by a plan that is checked."""
        self.search.check(plan)
        check_texts(questions, "questions")
        empty = ("the question is empty",)
        found = [Hits(notes=empty, answer_set=plan.answer_set(none=True)) for _ in questions]
        for group in self._groups(questions, plan):
            for number, hits in zip(group.numbers, self._answered(group, plan), strict=True):
                found[number] = hits
        return found

    def _groups(self, questions: Sequence[str], plan: Plan) -> Iterator[QuestionGroup]:
        """Questions of like length, those without a subject apart; empty ones are left out."""
        room = self.trie.longest
        read = {n: self.reader.encode(q, room) for n, q in enumerate(questions) if q.strip()}
        order = sorted((n for n in read if read[n]), key=lambda n: len(read[n]))
        while order:
            most = max(1, plan.batch_size * USUAL // max(USUAL, len(read[order[-1]])))
            numbers, order = order[-most:], order[:-most]
            asked = [questions[n] for n in numbers]
            encoded = [read[n] for n in numbers]
            if not plan.spans:
                each = potentials = None
                if plan.lookahead is not None:
                    each = [self._every_key()] * len(asked)
                    potentials = potentials_of(plan.lookahead, asked, each)
                yield QuestionGroup(numbers, asked, encoded, each, None, potentials)
                continue
            found = shortlisted(self.spotter, asked, plan.lookahead)
            some = np.array([len(one) > 0 for one in found.candidates])
            places = np.cumsum(some) - 1
            paths = replace(found.paths, input=places[found.paths.input])
            for has in (True, False):
                rows = np.flatnonzero(some == has).tolist()
                if rows:
                    yield QuestionGroup(
                        [numbers[row] for row in rows],
                        [asked[row] for row in rows],
                        [encoded[row] for row in rows],
                        [found.candidates[row] for row in rows] if has else None,
                        paths if has else None,
                        [found.potentials[row] for row in rows]
                        if has and found.potentials is not None
                        else None,
                        searched=has,
                    )

    def _every_key(self) -> Candidates:
        """All keys as candidates of a question."""
        if len(self.trie) > MOST_WEIGHED:
            raise InputError(
                f"a look-ahead over all {counted(len(self.trie), 'key')} would take too long: "
                "restrict the search to subjects in the question"
            )
        return self._every

    def _answered(self, group: QuestionGroup, plan: Plan) -> Iterator[Hits]:
        if not group.searched:
            for question in group.questions:
                notes = self._unanswered(question)
                yield Hits(notes=notes, restricted=True, answer_set=plan.answer_set(none=True))
            return
        answers = self.search(group, plan)
        paths = self._paths(group, answers, plan)
        for number, found in enumerate(answers):
            keys = None if group.candidates is None else group.candidates[number]
            mentions = () if keys is None else keys.mentions
            together = plan.calibration is not None and keys is not None
            best, inside, none = found.best, False, found.none
            if plan.least is not None:
                best, inside = _members(found, plan)
            hits = [self._hit(one, found.mass, plan.temperature, together, keys) for one in best]
            if number in paths:
                likely, none = paths[number]
                hits += [self._path_hit(*one) for one in likely]
                hits = sorted(hits, key=lambda hit: -hit.probability)[: plan.k]
            notes = taken(hits[:1]) + lettering(mentions) + found.notes
            if (why := withheld(hits, none, plan.threshold)) is not None:
                notes += (why,)
                hits = []
            elif plan.coverage is None:
                notes += doubted(hits, none)
            sure = plan.answer_set(inside)
            yield Hits(hits, found.exact, mentions, notes, plan.spans, none, sure)

    def _unanswered(self, question: str) -> tuple[str, ...]:
        """Why there is no answer, and the subjects that may be meant."""
        if self.nameless:
            return NO_SUBJECT, NAMELESS
        names = ", ".join(map(repr, self.spotter.suggestions(question)))
        return (f"{NO_SUBJECT}; the nearest: {names}" if names else NO_SUBJECT,)

    @property
    def nameless(self) -> bool:
        """Whether the index has triples, and nothing to find subjects by that are misspelt."""
        return self.triples and self.trie.names is None

    def _hit(
        self,
        answer: ScoredKey,
        mass: Mass | None,
        temperature: float,
        together: bool,
        keys: Candidates | None,
    ) -> Hit:
        assert self.trie.tokenizer is not None
        text = self.trie.tokenizer.decode(answer.tokens)
        fields = self.schema.fields(text)
        weight = (answer.score if together else answer.log_prob) / temperature
        low, high = (math.nan, math.nan) if mass is None else mass.share(weight)
        middle = (low + high) / 2 if high - low <= WIDEST else math.nan
        values, text = self.trie.objects(answer.tokens), "\t".join(fields.values())
        mention = None
        if keys is not None and len(keys) and keys.mentions:
            ordinal = self.trie.ordinal(answer.tokens)
            at = np.flatnonzero(keys.ordinals == ordinal)
            mention = keys.mentions[int(keys.mention[at[0]])] if len(at) else None
        return Hit(text, fields, values, answer.score, answer.log_prob, middle, low, high, mention)

    def _paths(
        self, group: QuestionGroup, answers: Sequence[Answers], plan: Plan
    ) -> Mapping[int, tuple[list[tuple[EntryPath, float]], float]]:
        """Answers of two steps, of questions that may ask for them (``TwoSteps.shares``)."""
        if plan.calibration is None or plan.lookahead is None or plan.least is not None:
            return {}
        steps = TwoSteps(self.spotter, self.schema, plan.lookahead, plan.calibration)
        return steps.shares(group, answers)

    def _path_hit(self, path: EntryPath, share: float) -> Hit:
        first, second = (self._entry(one, share) for one in (path.first, path.second))
        return replace(first, values=[path.value], then=second)

    def _entry(self, choice: QuestionKey, share: float) -> Hit:
        """An entry of a path, whose probability is the share of all of it."""
        mention = choice.mention
        assert mention is not None
        key = f"{mention.subject}\t{choice.keys.rests[choice.key]}"
        fields, nan = self.schema.fields(key), math.nan
        values, text = choice.keys.values(choice.key), "\t".join(fields.values())
        return Hit(text, fields, values, nan, nan, share, share, share, mention)

    @cached_property
    def _digest(self) -> str:
        return digest_of_reader(self.reader)

    @cached_property
    def spotter(self) -> Spotter:
        return Spotter(self.trie, self.triples, len(self.schema.key))

    @cached_property
    def _every(self) -> Candidates:
        written, columns = Written.by(self.reader.keys), len(self.schema.key)
        return every_key(self.trie, written, self.triples, columns)


def _members(found: Answers, plan: Plan) -> tuple[list[ScoredKey], bool]:
    """The entries of an answer set, and whether "none of these" is in it."""
    assert plan.least is not None
    if found.mass is None:  # nothing is known of their probabilities
        return found.best[:1], not found.best
    shares = [found.mass.share(one.score / plan.temperature)[0] for one in found.best]
    count, none = members(shares, found.none, plan.least)
    return found.best[:count], none


def opened(
    model: str,
    index: Path,
    *,
    prompt: str | None,
    device: str,
    dtype: Dtype,
    threads: int | None,
    decode: Decode = "beam",
) -> Retriever:
    """A retriever by the names of its model and its index; errors as ``load`` and ``Retriever``."""
    from ergotext.lm.loading import load as load_model

    load(index)  # says at once if there is none
    use_threads(threads)
    found = load_model(model, device=device, dtype=dtype)
    return Retriever(found, index, prompt=prompt, decode=decode)


def answers(
    retriever: Retriever,
    questions: Sequence[str],
    *,
    lookahead: Potential | None,
    anywhere: bool,
    batch_size: int,
    **asked: Any,
) -> Iterator[tuple[str, Hits]]:
    """Each question with its answers, in order, as soon as they are found.

    Subjects are restricted to those in the question, and the look-ahead counts; ``anywhere`` lifts
    both. All else is as for ``Retriever.retrieve``.
    """
    spans = retriever.triples and not anywhere
    ahead = lookahead if spans else None
    step = AT_ONCE * batch_size
    with bar(desc="answering", total=len(questions), unit="question") as shown:
        for first in range(0, len(questions), step):
            some = questions[first : first + step]
            found = retriever.retrieve(
                some, spans=spans, lookahead=ahead, batch_size=batch_size, **asked
            )
            shown.update(len(some))
            yield from zip(some, found, strict=True)
