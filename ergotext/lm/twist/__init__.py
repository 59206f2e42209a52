"""Twists: how well a text may end from where it stands, by sums over a small model of the rest.

``hazards`` asks a language model a few things about its own texts, ``backward`` sums over all ways
to go on that a model of those few numbers has, and ``keywords`` and ``lengths`` read the sums off
for the states of an automaton. Samplers weigh for whatever a twist says, so its errors cost speed
and never truth.
"""

from ergotext.lm.twist.compiled import compile_twist, has_twist
from ergotext.lm.twist.hazards import Hazards

__all__ = ["Hazards", "compile_twist", "has_twist"]
