"""ergotext: text as a sample from an energy.

>>> import ergotext as et
>>> lm = et.load("smollm2")
>>> energy = et.fluency(lm) + et.keywords(["summer", "beach"]) + et.length(14)
>>> result = et.sample(energy, sampler="annealing", chains=8, steps=300, seed=0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergotext.lm.batch import TokenBatch as TokenBatch
    from ergotext.lm.causal import CausalLM as CausalLM
    from ergotext.lm.energy import Term as Term
    from ergotext.lm.energy import custom as custom
    from ergotext.lm.loading import load as load
    from ergotext.lm.protocols import ErgotextError as ErgotextError
    from ergotext.lm.protocols import InputError as InputError
    from ergotext.lm.protocols import ModelError as ModelError
    from ergotext.lm.seq2seq import Seq2SeqLM as Seq2SeqLM
    from ergotext.lm.terms import fluency as fluency
    from ergotext.lm.terms import keywords as keywords
    from ergotext.lm.terms import length as length
    from ergotext.samplers import Result as Result
    from ergotext.samplers import sample as sample
    from ergotext.samplers.beam import beam as beam

_HOME = {
    "TokenBatch": "lm.batch",
    "CausalLM": "lm.causal",
    "Term": "lm.energy",
    "custom": "lm.energy",
    "fluency": "lm.terms",
    "keywords": "lm.terms",
    "length": "lm.terms",
    "load": "lm.loading",
    "ErgotextError": "lm.protocols",
    "InputError": "lm.protocols",
    "ModelError": "lm.protocols",
    "Seq2SeqLM": "lm.seq2seq",
    "Result": "samplers",
    "sample": "samplers",
    "beam": "samplers.beam",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Import on first use, so that ``ergotext --help`` need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'ergotext' has no attribute {name!r}")
    return getattr(import_module(f"ergotext.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
