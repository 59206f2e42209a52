"""Simulated annealing: the Metropolis-Hastings kernel under a falling temperature."""

from __future__ import annotations

from typing import ClassVar

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, InputError
from ergotext.samplers.base import Info, Kind, Need, State, register
from ergotext.samplers.draws import Draws
from ergotext.samplers.edits import MOVES
from ergotext.samplers.metropolis import MetropolisHastings
from ergotext.samplers.proposals import EditMoves


@register("annealing", "simulated-annealing")
class SimulatedAnnealing:
    """Looks for the minimum of an energy; its states are no samples from exp(−E).

    The temperature falls geometrically from ``hot`` to ``cold`` over ``steps`` steps and stays
    there. Kirkpatrick, Gelatt and Vecchi 1983.

    Parameters
    ----------
    energy : Energy
    max_length : int
    steps : int
        Length of the schedule.
    hot, cold : float
        Temperatures of the first and the last step.
    """

    kind: ClassVar[Kind] = "optimiser"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})
    moves: ClassVar[tuple[str, ...]] = MOVES

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        steps: int = 300,
        hot: float = 1.2,
        cold: float = 0.3,
        moves: EditMoves | None = None,
    ) -> None:
        if not 0 < cold <= hot < float("inf"):
            raise InputError(f"temperatures must fall and stay positive, got {hot} to {cold}")
        self.kernel = MetropolisHastings(energy, max_length, moves=moves)
        self.steps, self.hot, self.cold = steps, hot, cold

    def temperature(self, step: int) -> float:
        """The temperature of a step, counted from 0."""
        share = min(1.0, step / max(1, self.steps - 1))
        return float(self.hot * (self.cold / self.hot) ** share)

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        return self.kernel.init(draws, chains, initial)

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        return self.kernel.step(draws, state, self.temperature(state.step))
