"""Samplers over an energy, by name; each is imported when it is first used.

- ``sampling``: ``sample``, the entry point; ``catalog``, ``registry``,
  ``options``: samplers by name.
- ``base``, ``draws``, ``target``: what algorithms are built from; ``run``: the loop around chains.
- ``chains``, ``weighted``, ``search``, ``particle_chains``: the algorithms; ``checkpoint``: saved
  runs.
- ``result``, ``diagnostics``, ``texts``: what comes out.

>>> et.sample(et.fluency(lm) + et.length(14), "mh", chains=8, steps=300).best(3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ergotext.samplers.registry import check_fit, register, registered, sampler_named
from ergotext.support.lazily import getter

if TYPE_CHECKING:
    from ergotext.samplers.base import Info as Info
    from ergotext.samplers.base import Sampler as Sampler
    from ergotext.samplers.base import State as State
    from ergotext.samplers.chains.annealing import SimulatedAnnealing as SimulatedAnnealing
    from ergotext.samplers.chains.gibbs import Gibbs as Gibbs
    from ergotext.samplers.chains.independence import Independence as Independence
    from ergotext.samplers.chains.independence import SuffixResampling as SuffixResampling
    from ergotext.samplers.chains.masked import MaskedGibbs as MaskedGibbs
    from ergotext.samplers.chains.masked import MaskedMetropolis as MaskedMetropolis
    from ergotext.samplers.chains.metropolis import MetropolisHastings as MetropolisHastings
    from ergotext.samplers.chains.moves import EditMoves as EditMoves
    from ergotext.samplers.chains.proposal import Moves as Moves
    from ergotext.samplers.chains.proposal import Proposal as Proposal
    from ergotext.samplers.chains.rewrite import Rewrite as Rewrite
    from ergotext.samplers.chains.tempering import ParallelTempering as ParallelTempering
    from ergotext.samplers.draws import Draws as Draws
    from ergotext.samplers.draws import SeededDraws as SeededDraws
    from ergotext.samplers.particle_chains.gibbs import ParticleGibbs as ParticleGibbs
    from ergotext.samplers.particle_chains.pimh import ParticleMetropolis as ParticleMetropolis
    from ergotext.samplers.progress import Growth as Growth
    from ergotext.samplers.progress import Stage as Stage
    from ergotext.samplers.result import Result as Result
    from ergotext.samplers.run import Trace as Trace
    from ergotext.samplers.sampling import sample as sample
    from ergotext.samplers.search.stochastic_beam import StochasticBeam as StochasticBeam
    from ergotext.samplers.texts import Sample as Sample
    from ergotext.samplers.weighted.ais import AnnealedImportance as AnnealedImportance
    from ergotext.samplers.weighted.registered import SMC as SMC
    from ergotext.samplers.weighted.registered import Importance as Importance
    from ergotext.samplers.weighted.registered import Rejection as Rejection
    from ergotext.samplers.weighted.result import WeightedResult as WeightedResult
    from ergotext.samplers.weighted.samples import WeightedSampler as WeightedSampler
    from ergotext.samplers.weighted.samples import WeightedSamples as WeightedSamples

    SAMPLERS = registered()
    """All samplers by name: those that come with ergotext, and those registered since."""

_HOME = {
    "AnnealedImportance": "weighted.ais",
    "Draws": "draws",
    "EditMoves": "chains.moves",
    "Gibbs": "chains.gibbs",
    "Growth": "progress",
    "Importance": "weighted.registered",
    "Independence": "chains.independence",
    "Info": "base",
    "MaskedGibbs": "chains.masked",
    "MaskedMetropolis": "chains.masked",
    "MetropolisHastings": "chains.metropolis",
    "Moves": "chains.proposal",
    "ParallelTempering": "chains.tempering",
    "ParticleGibbs": "particle_chains.gibbs",
    "ParticleMetropolis": "particle_chains.pimh",
    "Proposal": "chains.proposal",
    "Rejection": "weighted.registered",
    "Result": "result",
    "Rewrite": "chains.rewrite",
    "SMC": "weighted.registered",
    "Sample": "texts",
    "Sampler": "base",
    "SeededDraws": "draws",
    "SimulatedAnnealing": "chains.annealing",
    "Stage": "progress",
    "State": "base",
    "StochasticBeam": "search.stochastic_beam",
    "SuffixResampling": "chains.independence",
    "Trace": "run",
    "WeightedResult": "weighted.result",
    "WeightedSampler": "weighted.samples",
    "WeightedSamples": "weighted.samples",
    "sample": "sampling",
}
__all__ = [
    "SAMPLERS",
    "SMC",
    "AnnealedImportance",
    "Draws",
    "EditMoves",
    "Gibbs",
    "Growth",
    "Importance",
    "Independence",
    "Info",
    "MaskedGibbs",
    "MaskedMetropolis",
    "MetropolisHastings",
    "Moves",
    "ParallelTempering",
    "ParticleGibbs",
    "ParticleMetropolis",
    "Proposal",
    "Rejection",
    "Result",
    "Rewrite",
    "Sample",
    "Sampler",
    "SeededDraws",
    "SimulatedAnnealing",
    "Stage",
    "State",
    "StochasticBeam",
    "SuffixResampling",
    "Trace",
    "WeightedResult",
    "WeightedSampler",
    "WeightedSamples",
    "check_fit",
    "register",
    "sample",
    "sampler_named",
]

_getter = getter(__name__, _HOME)


def __getattr__(name: str) -> object:
    return registered() if name == "SAMPLERS" else _getter(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
