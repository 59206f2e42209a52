"""Twists: how well a text may end from where it stands, by sums over a small model of the rest.

``hazards`` asks a language model a few things about its own texts, ``backward`` sums over all ways
to go on that a model of those few numbers has, and ``keywords``, ``templates`` and ``lengths`` read
the sums off for the states of an automaton. In any other automaton ``walks`` lets the model write,
``places`` sums over the ways that it was seen to take, and ``automata`` reads these sums off; where
an automaton accepts few texts, ``listed`` scores them all. Samplers weigh for whatever a twist
says, so its errors cost speed and never truth.
"""

from ergotext.lm.twist.compiled import compile_twist, has_twist, is_listed, learn_twist
from ergotext.lm.twist.hazards import Hazards

__all__ = ["Hazards", "compile_twist", "has_twist", "is_listed", "learn_twist"]
