"""Search the best keys for questions and bound their probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.protocols import Decoding
from ergotext.lm.ragged import take_rows
from ergotext.lm.trie.keys import keys_through
from ergotext.lm.trie.restricted import BestAmong, RestrictedKeys
from ergotext.lm.trie.states import ROOT
from ergotext.lm.trie.tree import TokenTrie
from ergotext.samplers.search.beam import beam
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.retrieval.answers import Answers, Mass, ScoredKey, Tokens
from ergotext.tasks.retrieval.bearing import QuestionKey
from ergotext.tasks.retrieval.branch_and_bound import few_enough, proven_best
from ergotext.tasks.retrieval.probability import bounded_mass, exact_mass, keys_log_prob
from ergotext.tasks.retrieval.readers import QuestionReader
from ergotext.tasks.retrieval.request import Plan, QuestionGroup


class KeySearch:
    """Looks for the best keys of a trie.

    Parameters
    ----------
    reader : QuestionReader
    trie : TokenTrie

    Raises
    ------
    InputError
        The trie was built with another tokenizer than the reader's.
    """

    def __init__(self, reader: QuestionReader, trie: TokenTrie) -> None:
        own, built = reader.keys.alphabet, trie.alphabet
        if own != built:
            raise InputError(
                f"the index was built with another tokenizer ({built.fingerprint or 'none'}) than "
                f"this model's ({own.fingerprint}): build it with the model's "
                "tokenizer (ergotext index build: the option tokenizer)"
            )
        self.reader = reader
        self.trie = trie

    def check(self, plan: Plan) -> None:
        """Raise InputError for options that this search does not support."""
        if plan.threshold and not plan.prefixes and plan.calibration is None:
            raise InputError("a threshold needs probabilities: set prefixes to 1 or more")

    def __call__(self, group: QuestionGroup, plan: Plan) -> list[Answers]:
        """For each question the best of its candidates, or of all keys."""
        if not len(self.trie):
            return [Answers([], True, None)] * len(group.encoded)
        decoding = self.reader.read(group.encoded)
        potentials = group.potentials
        if len(self.trie) <= plan.prefixes and plan.calibration is None:
            return self._scored(decoding, group, potentials, plan)
        return self._searched(decoding, group, potentials, plan)

    def _searched(
        self,
        decoding: Decoding,
        group: QuestionGroup,
        potentials: list[Floats] | None,
        plan: Plan,
    ) -> list[Answers]:
        """The best that are proven so, or that beam search finds; bounds of the mass of all."""
        automaton: TokenTrie | RestrictedKeys = self.trie
        if group.paths is not None:
            automaton = RestrictedKeys(self.trie, group.paths, len(decoding))
        proven: list[list[ScoredKey] | None] = [None] * len(decoding)
        ahead = None
        if potentials is not None and group.candidates is not None:
            ordinals = [keys.ordinals for keys in group.candidates]
            proven = proven_best(
                decoding, automaton, ordinals, potentials, plan.k, plan.beams,
                None if plan.calibration is None else plan.temperature,
            )  # fmt: skip
            left = [
                values if best is None else np.full_like(values, -np.inf)
                for best, values in zip(proven, potentials, strict=True)
            ]
            ahead = BestAmong(automaton, ordinals, left)
        found = [(best, True) for best in proven if best is not None]
        if len(found) < len(proven):
            searched = beam(
                decoding, automaton, k=plan.k, beams=plan.beams, lookahead=ahead,
                max_length=self.trie.longest,
            )  # fmt: skip
            found = [
                ([ScoredKey(h.tokens, h.log_prob, h.score) for h in one.hypotheses], one.exact)
                if best is None
                else (best, True)
                for best, one in zip(proven, searched, strict=True)
            ]
        masses: list[Mass | None] = [None] * len(found)
        none = [math.nan] * len(found)
        if plan.calibration is not None and potentials is not None:
            # Keys that were proven no better than the best still weigh something.
            few = {
                number: best
                for number, best in enumerate(proven)
                if best is not None and few_enough(potentials[number])
            }
            for number, mass, share in self._joint(group, potentials, few, plan):
                masses[number], none[number] = mass, share
        elif plan.prefixes and plan.calibration is None:
            known = [{answer.tokens: answer.log_prob for answer in best} for best, _ in found]
            masses[:] = bounded_mass(
                decoding, self.trie, known, prefixes=plan.prefixes, temperature=plan.temperature
            )
        return [
            Answers(best if plan.least else best[: plan.k], exact, mass, none=share)
            for (best, exact), mass, share in zip(found, masses, none, strict=True)
        ]

    def _joint(
        self,
        group: QuestionGroup,
        potentials: Sequence[Floats],
        each: Mapping[int, Sequence[ScoredKey]],
        plan: Plan,
    ) -> Iterator[tuple[int, Mass, float]]:
        """What all candidates of questions and "none of these" weigh, and the share of "none"."""
        calibration = plan.calibration
        assert group.candidates is not None and calibration is not None
        assert plan.lookahead is not None
        scores = {n: np.array([answer.score for answer in best]) for n, best in each.items()}
        chosen = {}
        for number, best in each.items():
            keys = group.candidates[number]
            if best and calibration.weights and keys.mentions:
                first = np.flatnonzero(keys.ordinals == self.trie.ordinal(best[0].tokens))
                chosen[number] = QuestionKey(
                    keys.plain(group.questions[number]), keys, int(first[0])
                )
            else:
                yield number, exact_mass(scores[number] / plan.temperature), math.nan
        told = calibration.bearings(plan.lookahead, [*chosen.values()])
        for (number, choice), bearing in zip(chosen.items(), told, strict=True):
            mass = exact_mass(scores[number] / plan.temperature)
            potential = float(potentials[number][choice.key])
            odds = calibration.none_odds(choice, potential, scores[number], bearing)
            total = exact_mass(np.array([mass.low, mass.low + odds]))
            yield number, total, math.exp(mass.low + odds - total.low)

    def _scored(
        self, decoding: Decoding, group: QuestionGroup, potentials: list[Floats] | None, plan: Plan
    ) -> list[Answers]:
        """The best of all keys, each of them scored."""
        found = []
        for number, each in enumerate(self._every_log_prob(decoding)):
            keys = np.arange(len(each))
            if group.candidates is not None:
                keys = group.candidates[number].ordinals
            score = each[keys] + (0.0 if potentials is None else potentials[number])
            mass = exact_mass(each / plan.temperature)
            best = np.argsort(-score, kind="stable")[: plan.k]
            best = best[score[best] > -np.inf]
            answers = [
                ScoredKey(self._keys[key], float(each[key]), float(score[at]))
                for at, key in zip(best.tolist(), keys[best].tolist(), strict=True)
            ]
            found.append(Answers(answers, True, mass))
        return found

    def _every_log_prob(self, decoding: Decoding) -> Floats:
        """float64 [Q, N]: log p(key, end | question); -inf for keys the model has no room for."""
        _, ids, offsets = self._flat
        count, size = len(decoding), len(offsets) - 1
        row, key = np.repeat(np.arange(count), size), np.tile(np.arange(size), count)
        return keys_log_prob(decoding, row, *take_rows(ids, offsets, key)).reshape(count, size)

    @cached_property
    def _flat(self) -> tuple[Ints, Ints, Ints]:
        return keys_through(self.trie, np.array([ROOT]))

    @cached_property
    def _keys(self) -> list[Tokens]:
        return list(self.trie.keys())
