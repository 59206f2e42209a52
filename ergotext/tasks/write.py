"""Write fluent sentences with given keywords."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ergotext.errors import InputError
from ergotext.lm.energies.keywords import Keywords, keywords
from ergotext.lm.energies.term import Term
from ergotext.lm.energies.terms import Fluency, fluency, length
from ergotext.lm.text_scorer import TextScorer
from ergotext.samplers.options import check_window
from ergotext.samplers.progress import Progress
from ergotext.samplers.result import Result
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.support.words import Keyword
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import Demands, check_demands, default_context
from ergotext.tasks.request import sentence_with
from ergotext.tasks.searching import answers, chained, found_or_not, only

GROWN, MORE = 22, 12
"""Greatest length of texts that are grown, and tokens that it has beside the keywords'."""
TOKENS_A_WORD = 1.4
"""Tokens that a word takes where so many words are asked for."""


def write(
    words: Sequence[Keyword],
    lm: TextScorer,
    budget: Budget | None = None,
    demands: Demands | None = None,
    *,
    context: str | None = None,
    progress: Progress = True,
) -> Result | WeightedResult:
    """Look for fluent sentences in which every keyword occurs verbatim.

    Texts that are grown (smc) are drawn as the model's answers to a request for a sentence with
    these words (``request``). Their energy is −log p after the context, and −log p after the
    request: the first says how good a sentence is, the second how well the words go together in it.
    Chains have the first alone, and a length.

    Parameters
    ----------
    words : sequence of (str or sequence of str)
        Words, phrases, or alternatives of which one must occur.
    lm : CausalLM
    budget : Budget, optional
    demands : Demands, optional
    context : str, optional
        Text to condition on; by default a plain sentence, "" for none.
    progress : bool or callable
        As of ``et.sample``.

    Returns
    -------
    WeightedResult or Result
        Of particles or of chains; ``selection.chosen`` gives the n best.

    Raises
    ------
    InputError
        A keyword is empty or cannot be spelled, all of them are longer than ``max_length``, or they
        cannot stand together.
    ZeroWeightError
        No particle wrote all of them.
    """
    return only(write_all([words], lm, budget, demands, context=context, progress=progress))


def write_all(
    sets: Sequence[Sequence[Keyword]],
    lm: TextScorer,
    budget: Budget | None = None,
    demands: Demands | None = None,
    *,
    context: str | None = None,
    progress: Progress = True,
) -> Iterator[Result | WeightedResult | ZeroWeightError]:
    """``write`` for several keyword sets; all are checked before time is spent on the first.

    Where no particle wrote all words of a set, the error stands for its result, and the others go
    on.
    """
    b, asked = budget or Budget(), demands or Demands()
    check_demands(sets, asked, b)
    texts = [default_context(words) if context is None else context for words in sets]
    given = {text: fluency(lm, text, asked.end) for text in dict.fromkeys(texts)}
    problems = [
        problem_of(words, given[text], b, asked) for words, text in zip(sets, texts, strict=True)
    ]
    if not b.grows:
        return found_or_not(lambda problem: _edited(problem, b, progress), problems)
    after = context or ""
    return found_or_not(lambda one: _grown(one, lm, after, b, asked, progress), problems)


@dataclass(frozen=True)
class Problem:
    """Sentences to look for."""

    fluent: Fluency
    demanded: Keywords
    prior: Term | None
    max_length: int


def problem_of(
    words: Sequence[Keyword], fluent: Fluency, budget: Budget, demands: Demands
) -> Problem:
    """What ``write`` looks for; InputError if no text can be that."""
    demanded = keywords(
        words,
        not demands.in_order,
        without=demands.without,
        words_between=demands.words_between,
        one_line=True,
    ).bind(fluent.scorer)
    needed = sum(map(len, demanded.spelled))
    if not budget.grows:
        mean, most = demands.lengths_of_edits()
        problem = Problem(fluent, demanded, length(mean), most)
        check_window(fluent, most)
    else:
        window = demands.words_between
        usual = max(GROWN, needed + MORE)
        if window is not None:
            usual = max(needed + MORE, 4 + round(TOKENS_A_WORD * window[1]))
        most = usual if demands.max_length is None else demands.max_length
        problem = Problem(fluent, demanded, None, most)
        check_window(fluent, most)  # before an automaton of words that are too long is made
        needed = int(demanded.automaton.least(demanded.automaton.start(1))[0])
    if needed > problem.max_length:
        raise InputError(
            f"the keywords alone take {needed} tokens, but the maximum length is "
            f"{problem.max_length}; give fewer keywords, or raise the maximum to {needed} or more"
        )
    return problem


def _edited(problem: Problem, budget: Budget, progress: Progress) -> Result:
    assert problem.prior is not None
    energy = problem.fluent + problem.demanded + problem.prior
    return chained(energy, budget, problem.max_length, progress=progress)


def _grown(
    problem: Problem,
    lm: TextScorer,
    context: str,
    budget: Budget,
    demands: Demands,
    progress: Progress,
) -> WeightedResult:
    """Texts drawn as answers to a request, weighed by the energy."""
    most, demanded = problem.max_length, problem.demanded
    request = sentence_with(
        demanded.words, lm, most, context=context, end=demands.end, in_order=demands.in_order
    )
    return answers(request, problem.fluent, demanded, budget, most, progress=progress)
