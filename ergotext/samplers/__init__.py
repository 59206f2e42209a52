"""Samplers over an energy, registered by name when this package is imported.

- ``sampling``: ``sample``, the entry point; ``registry``, ``options``: samplers by name.
- ``base``, ``draws``, ``target``: what algorithms are built from; ``run``: the loop around chains.
- ``chains``, ``weighted``, ``search``, ``particle_chains``: the algorithms; ``checkpoint``: saved
  runs.
- ``result``, ``diagnostics``, ``texts``: what comes out.

>>> et.sample(et.fluency(lm) + et.length(14), "mh", chains=8, steps=300).best(3)
"""

from ergotext.samplers.base import Info, Sampler, State
from ergotext.samplers.chains.annealing import SimulatedAnnealing
from ergotext.samplers.chains.gibbs import Gibbs
from ergotext.samplers.chains.independence import Independence, SuffixResampling
from ergotext.samplers.chains.masked import MaskedGibbs, MaskedMetropolis
from ergotext.samplers.chains.metropolis import MetropolisHastings
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.chains.proposal import Moves, Proposal
from ergotext.samplers.chains.rewrite import Rewrite
from ergotext.samplers.chains.tempering import ParallelTempering
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.particle_chains.gibbs import ParticleGibbs
from ergotext.samplers.particle_chains.pimh import ParticleMetropolis
from ergotext.samplers.registry import SAMPLERS, check_fit, register, sampler_named
from ergotext.samplers.result import Result
from ergotext.samplers.run import Trace
from ergotext.samplers.sampling import sample
from ergotext.samplers.search.stochastic_beam import StochasticBeam
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.ais import AnnealedImportance
from ergotext.samplers.weighted.registered import SMC, Importance, Rejection
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import WeightedSampler, WeightedSamples

__all__ = [
    "SAMPLERS",
    "SMC",
    "AnnealedImportance",
    "Draws",
    "EditMoves",
    "Gibbs",
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
