"""Samplers over an energy. Importing this package registers them all."""

from ergotext.samplers.annealing import SimulatedAnnealing
from ergotext.samplers.base import SAMPLERS, Info, Sampler, State, register, sampler_named
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.metropolis import MetropolisHastings
from ergotext.samplers.run import Result, Sample, Trace, sample

__all__ = [
    "SAMPLERS",
    "Draws",
    "Info",
    "MetropolisHastings",
    "Result",
    "Sample",
    "Sampler",
    "SeededDraws",
    "SimulatedAnnealing",
    "State",
    "Trace",
    "register",
    "sample",
    "sampler_named",
]
