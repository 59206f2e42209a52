"""The twisted proposal: the model's next token, by how well the text may end after it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton, Twist
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.twists import psi_of
from ergotext.samplers.weighted.choices import Choice, Dense, Step, drawn
from ergotext.support.arrays import Ints


@dataclass(frozen=True)
class Twisted:
    """v ~ p(v)ψ(v)/c with c = Σ p(v)ψ(v), weight c/ψ(v).

    The 1/ψ(v) is given when the next token is drawn: until then the row stands for p·ψ.

    Parameters
    ----------
    twist : Twist
        Of the same automaton as the target.

    References
    ----------
    Naesseth, Lindsten and Schön 2019, "Elements of sequential Monte Carlo", section 3; Zhao et al.
    2024, "Probabilistic inference in language models via twisted sequential Monte Carlo".
    """

    twist: Twist

    def look(self, log_prob: Tensor, automaton: Automaton, states: Ints, left: int) -> Choice:
        psi = psi_of(self.twist, states, left, log_prob.shape[1])
        return Dense(log_prob, psi, automaton, states)

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        if not isinstance(automaton, FeasibleAutomaton):
            raise InputError(
                "a twist must know how many tokens are left: give a FeasibleAutomaton, or use look"
            )
        return drawn(draws, self.look(log_prob, automaton, states, automaton.room))
