"""Make the twist of a target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.automata.template import TemplateAutomaton
from ergotext.lm.protocols import Automaton, NextTokenScorer, Twist
from ergotext.lm.twist.hazards import Hazards
from ergotext.lm.twist.keywords import KeywordTwist
from ergotext.lm.twist.lengths import LengthTwist
from ergotext.lm.twist.templates import TemplateTwist
from ergotext.support.arrays import Floats, Ints


def has_twist(automaton: Automaton) -> bool:
    """Whether more than lengths is known of this kind of automaton."""
    return isinstance(automaton, KeywordCoverage | TemplateAutomaton)


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
    lengths = np.arange(max_length + 1)
    log_length = np.zeros(max_length + 1) if by_length is None else -by_length(lengths)
    vocabulary = getattr(scorer, "vocabulary", None)
    if isinstance(automaton, KeywordCoverage) and vocabulary is not None:
        return KeywordTwist(automaton, vocabulary, hazards, log_length)
    if isinstance(automaton, TemplateAutomaton) and vocabulary is not None:
        return TemplateTwist(automaton, vocabulary, hazards, log_length)
    return LengthTwist(automaton, hazards, log_length)
