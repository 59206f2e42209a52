"""Make the twist of a target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.automata.template import TemplateAutomaton
from ergotext.lm.protocols import Automaton, NextTokenScorer, Placed, Twist
from ergotext.lm.trie.tree import TokenTrie
from ergotext.lm.twist.hazards import Categorical, Hazards
from ergotext.lm.twist.keywords import KeywordTwist
from ergotext.lm.twist.lengths import LengthTwist
from ergotext.lm.twist.listed import MOST, MOST_LOOKED, ListedTwist, listed
from ergotext.lm.twist.templates import TemplateTwist
from ergotext.lm.twist.walks import learned
from ergotext.support.arrays import Floats, Ints


def has_twist(automaton: Automaton) -> bool:
    """Whether more than lengths is known of this kind of automaton."""
    return isinstance(automaton, KeywordCoverage | TemplateAutomaton)


def is_listed(automaton: Automaton) -> bool:
    """Whether it is known to accept so few texts that the model scores them all: a short trie."""
    return isinstance(automaton, TokenTrie) and 0 < len(automaton) <= MOST


def compile_twist(
    automaton: Automaton,
    scorer: NextTokenScorer,
    max_length: int,
    hazards: Hazards,
    *,
    by_length: Callable[[Ints], Floats] | None = None,
) -> Twist:
    """The twist that these allow.

    Parameters
    ----------
    automaton : Automaton
    scorer : NextTokenScorer
    max_length : int
    hazards : Hazards
        Of the scorer, to the power that the target has of it.
    by_length : callable, optional
        Energy in nats of texts of these lengths: what the target has of it.
    """
    log_length = _log_length(max_length, by_length)
    vocabulary = getattr(scorer, "vocabulary", None)
    if isinstance(automaton, KeywordCoverage) and vocabulary is not None:
        return KeywordTwist(automaton, vocabulary, hazards, log_length)
    if isinstance(automaton, TemplateAutomaton) and vocabulary is not None:
        return TemplateTwist(automaton, vocabulary, hazards, log_length)
    return LengthTwist(automaton, hazards, log_length)


def learn_twist(
    automaton: Automaton,
    scorer: NextTokenScorer,
    max_length: int,
    categorical: Categorical,
    *,
    power: float = 1.0,
    by_length: Callable[[Ints], Floats] | None = None,
) -> Twist:
    """The twist of an automaton by what the model says inside it.

    The exact one where it accepts few texts, else one of texts that the model writes
    (``walks.learned``).

    Parameters
    ----------
    automaton : Automaton
    scorer : NextTokenScorer
    max_length : int
    categorical : callable
        The draws that the texts are written by, of a seed of their own.
    power : float
        α: the target has p^α.
    by_length : callable, optional
        Energy in nats of texts of these lengths: what the target has of it.
    """
    log_length = _log_length(max_length, by_length)
    most = MOST_LOOKED if isinstance(automaton, Placed) else MOST
    texts = listed(automaton, max_length, most)
    if texts is not None:
        return ListedTwist(automaton, texts, scorer, log_length, power)
    return learned(automaton, scorer, log_length, categorical, power=power)


def _log_length(max_length: int, by_length: Callable[[Ints], Floats] | None) -> Floats:
    """float64 [L + 1]: nats for a text of each length."""
    if by_length is None:
        return np.zeros(max_length + 1)
    return -by_length(np.arange(max_length + 1))
