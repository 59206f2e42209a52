"""Samplers over an energy. Importing this package registers them all."""

from ergotext.samplers.ais import AnnealedImportance
from ergotext.samplers.annealing import SimulatedAnnealing
from ergotext.samplers.base import (
    SAMPLERS,
    Info,
    Sampler,
    State,
    WeightedSampler,
    check_fit,
    register,
    sampler_named,
)
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.gibbs import Gibbs
from ergotext.samplers.independence import Independence, SuffixResampling
from ergotext.samplers.masked_lm import MaskedGibbs, MaskedMetropolis
from ergotext.samplers.metropolis import MetropolisHastings
from ergotext.samplers.result import Result
from ergotext.samplers.run import Trace
from ergotext.samplers.sampling import sample
from ergotext.samplers.stochastic_beam import StochasticBeam
from ergotext.samplers.tempering import ParallelTempering
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighing import SMC, Importance, Rejection
from ergotext.samplers.weighted_result import WeightedResult

__all__ = [
    "SAMPLERS",
    "SMC",
    "AnnealedImportance",
    "Draws",
    "Gibbs",
    "Importance",
    "Independence",
    "Info",
    "MaskedGibbs",
    "MaskedMetropolis",
    "MetropolisHastings",
    "ParallelTempering",
    "Rejection",
    "Result",
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
    "check_fit",
    "register",
    "sample",
    "sampler_named",
]
