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
    from ergotext.lm import trie as _trie
    from ergotext.lm.batch import TokenBatch as TokenBatch
    from ergotext.lm.causal import CausalLM as CausalLM
    from ergotext.lm.characters import Alphabet as Alphabet
    from ergotext.lm.characters import CharacterTokenizer as CharacterTokenizer
    from ergotext.lm.custom import custom as custom
    from ergotext.lm.embedding import load_encoder as load_encoder
    from ergotext.lm.embedding import similarity as similarity
    from ergotext.lm.energy import Term as Term
    from ergotext.lm.fast_tokenizer import FastTokenizer as FastTokenizer
    from ergotext.lm.fast_tokenizer import load_tokenizer as load_tokenizer
    from ergotext.lm.loading import load as load
    from ergotext.lm.logits import AutomatonLogitsProcessor as AutomatonLogitsProcessor
    from ergotext.lm.masked import MaskedLM as MaskedLM
    from ergotext.lm.matches import matches as matches
    from ergotext.lm.overlap import difference as difference
    from ergotext.lm.overlap import kept_words as kept_words
    from ergotext.lm.protocols import ErgotextError as ErgotextError
    from ergotext.lm.protocols import InputError as InputError
    from ergotext.lm.protocols import ModelError as ModelError
    from ergotext.lm.score import score as score
    from ergotext.lm.seq2seq import Seq2SeqLM as Seq2SeqLM
    from ergotext.lm.template import template as template
    from ergotext.lm.terms import fluency as fluency
    from ergotext.lm.terms import keywords as keywords
    from ergotext.lm.terms import length as length
    from ergotext.lm.terms import pseudo_likelihood as pseudo_likelihood
    from ergotext.lm.trie import EditableTrie as EditableTrie
    from ergotext.lm.trie import TokenTrie as TokenTrie
    from ergotext.lm.trie.device import DeviceTrie as DeviceTrie
    from ergotext.lm.trie.lookahead import BestKey as BestKey
    from ergotext.samplers import Result as Result
    from ergotext.samplers import WeightedResult as WeightedResult
    from ergotext.samplers import sample as sample
    from ergotext.samplers.beam import beam as beam
    from ergotext.tasks.candidates import Candidates as Candidates
    from ergotext.tasks.candidates import Potential as Potential
    from ergotext.tasks.hits import Hit as Hit
    from ergotext.tasks.hits import Hits as Hits
    from ergotext.tasks.lookaheads import load_lookahead as load_lookahead
    from ergotext.tasks.read import SpanReader as SpanReader
    from ergotext.tasks.retrieve import Retriever as Retriever
    from ergotext.tasks.string_match import StringMatch as StringMatch

    build_trie, build_trie_from_lines = _trie.build, _trie.build_from_lines
    load_trie, save_trie, verify_trie = _trie.load, _trie.save, _trie.verify

_HOME = {
    "Alphabet": "lm.characters",
    "AutomatonLogitsProcessor": "lm.logits",
    "BestKey": "lm.trie.lookahead",
    "TokenBatch": "lm.batch",
    "CausalLM": "lm.causal",
    "CharacterTokenizer": "lm.characters",
    "Term": "lm.energy",
    "custom": "lm.custom",
    "DeviceTrie": "lm.trie.device",
    "EditableTrie": "lm.trie",
    "FastTokenizer": "lm.fast_tokenizer",
    "TokenTrie": "lm.trie",
    "build_trie": "lm.trie:build",
    "build_trie_from_lines": "lm.trie:build_from_lines",
    "difference": "lm.overlap",
    "kept_words": "lm.overlap",
    "load_encoder": "lm.embedding",
    "similarity": "lm.embedding",
    "load_lookahead": "tasks.lookaheads",
    "load_tokenizer": "lm.fast_tokenizer",
    "load_trie": "lm.trie:load",
    "save_trie": "lm.trie:save",
    "verify_trie": "lm.trie:verify",
    "fluency": "lm.terms",
    "template": "lm.template",
    "keywords": "lm.terms",
    "length": "lm.terms",
    "pseudo_likelihood": "lm.terms",
    "load": "lm.loading",
    "matches": "lm.matches",
    "MaskedLM": "lm.masked",
    "ErgotextError": "lm.protocols",
    "InputError": "lm.protocols",
    "ModelError": "lm.protocols",
    "Seq2SeqLM": "lm.seq2seq",
    "score": "lm.score",
    "Result": "samplers",
    "WeightedResult": "samplers",
    "sample": "samplers",
    "beam": "samplers.beam",
    "Candidates": "tasks.candidates",
    "Potential": "tasks.candidates",
    "Hit": "tasks.hits",
    "Hits": "tasks.hits",
    "Retriever": "tasks.retrieve",
    "StringMatch": "tasks.string_match",
    "SpanReader": "tasks.read",
}
"""Where each name is; behind a colon, what it is called there."""
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Import on first use, so that ``ergotext --help`` need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'ergotext' has no attribute {name!r}")
    module, _, other = _HOME[name].partition(":")
    return getattr(import_module(f"ergotext.{module}"), other or name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
