"""Samplers over an energy. Importing this package registers them all."""

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
from ergotext.samplers.run import Result, Sample, Trace, sample
from ergotext.samplers.stochastic_beam import StochasticBeam
from ergotext.samplers.weighing import SMC, Importance, Rejection

__all__ = [
    "SAMPLERS",
    "SMC",
    "Draws",
    "Gibbs",
    "Importance",
    "Independence",
    "Info",
    "MaskedGibbs",
    "MaskedMetropolis",
    "MetropolisHastings",
    "Rejection",
    "Result",
    "Sample",
    "Sampler",
    "SeededDraws",
    "SimulatedAnnealing",
    "State",
    "SuffixResampling",
    "StochasticBeam",
    "Trace",
    "WeightedSampler",
    "check_fit",
    "register",
    "sample",
    "sampler_named",
]
