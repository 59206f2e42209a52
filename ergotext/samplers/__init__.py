"""Samplers over an energy. Importing this package registers them all."""

from ergotext.samplers import annealing, metropolis
from ergotext.samplers.base import SAMPLERS, Info, Sampler, State, register, sampler_named
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.run import Result, Sample, Trace, sample

__all__ = [
    "SAMPLERS",
    "Draws",
    "Info",
    "Result",
    "Sample",
    "Sampler",
    "SeededDraws",
    "State",
    "Trace",
    "annealing",
    "metropolis",
    "register",
    "sample",
    "sampler_named",
]
