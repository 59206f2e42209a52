"""Checks for an energy, an automaton or a sampler of one's own, each one call.

>>> import ergotext as et
>>> et.testing.check_energy(0.5 * Repeats(), [[5, 5, 5], [5, 6], []])
>>> et.testing.check_automaton(MyAutomaton())
>>> et.testing.check_sampler(MySampler)

A check returns nothing where all is well, and otherwise raises AssertionError with a sentence that
says what is wrong. What they are made of is here as well: a toy language model whose texts can all
be listed (``toy``), automata written as tables (``tables``), and every path that a sampler's draws
can take, with its probability (``exhaust``).
"""

from ergotext.testing.automaton import check_automaton
from ergotext.testing.energy import check_energy
from ergotext.testing.exhaust import every_run, paths_of_step, stationary, transitions
from ergotext.testing.sampler import check_sampler
from ergotext.testing.tables import Table
from ergotext.testing.toy import ToyFluency, ToyMasked, ToyProposer, ToyScorer, space, toy_energy

__all__ = [
    "Table",
    "ToyFluency",
    "ToyMasked",
    "ToyProposer",
    "ToyScorer",
    "check_automaton",
    "check_energy",
    "check_sampler",
    "every_run",
    "paths_of_step",
    "space",
    "stationary",
    "toy_energy",
    "transitions",
]
