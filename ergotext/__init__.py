"""ergotext: text as a sample from an energy.

>>> import ergotext as et
>>> lm = et.load("smollm2")
>>> energy = et.fluency(lm) + et.keywords(["summer", "beach"]) + et.length(14)
>>> result = et.sample(energy, sampler="annealing", chains=8, steps=300, seed=0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ergotext.support.lazily import getter

if TYPE_CHECKING:
    from ergotext import samplers as samplers
    from ergotext import testing as testing
    from ergotext.errors import ErgotextError as ErgotextError
    from ergotext.errors import InputError as InputError
    from ergotext.errors import ModelError as ModelError
    from ergotext.lm import automata as automata
    from ergotext.lm import trie as _trie
    from ergotext.lm.automata.logits_processor import (
        AutomatonLogitsProcessor as AutomatonLogitsProcessor,
    )
    from ergotext.lm.batch import TokenBatch as TokenBatch
    from ergotext.lm.causal import CausalLM as CausalLM
    from ergotext.lm.energies.embedding import load_encoder as load_encoder
    from ergotext.lm.energies.embedding import similarity as similarity
    from ergotext.lm.energies.keywords import keywords as keywords
    from ergotext.lm.energies.matches import matches as matches
    from ergotext.lm.energies.overlap import difference as difference
    from ergotext.lm.energies.overlap import kept_words as kept_words
    from ergotext.lm.energies.template import template as template
    from ergotext.lm.energies.term import Term as Term
    from ergotext.lm.energies.terms import custom as custom
    from ergotext.lm.energies.terms import fluency as fluency
    from ergotext.lm.energies.terms import length as length
    from ergotext.lm.energies.terms import pseudo_likelihood as pseudo_likelihood
    from ergotext.lm.index_keys import key_of as key_of
    from ergotext.lm.loading import load as load
    from ergotext.lm.masked import MaskedLM as MaskedLM
    from ergotext.lm.score import score as score
    from ergotext.lm.seq2seq import Seq2SeqLM as Seq2SeqLM
    from ergotext.lm.tokenizers.characters import Alphabet as Alphabet
    from ergotext.lm.tokenizers.characters import CharacterTokenizer as CharacterTokenizer
    from ergotext.lm.tokenizers.fast import FastTokenizer as FastTokenizer
    from ergotext.lm.tokenizers.loading import load_tokenizer as load_tokenizer
    from ergotext.lm.trie import EditableTrie as EditableTrie
    from ergotext.lm.trie import TokenTrie as TokenTrie
    from ergotext.lm.trie.device import DeviceTrie as DeviceTrie
    from ergotext.lm.trie.lookahead import BestKey as BestKey
    from ergotext.samplers import Result as Result
    from ergotext.samplers import WeightedResult as WeightedResult
    from ergotext.samplers import sample as sample
    from ergotext.samplers.search.beam import beam as beam
    from ergotext.tasks import retrieval as retrieval
    from ergotext.tasks.generation.generate import generate as generate
    from ergotext.tasks.read import SpanReader as SpanReader
    from ergotext.tasks.report.saving import report as report
    from ergotext.tasks.retrieval.candidates import Candidates as Candidates
    from ergotext.tasks.retrieval.candidates import Potential as Potential
    from ergotext.tasks.retrieval.lookahead.learned import load_lookahead as load_lookahead
    from ergotext.tasks.retrieval.lookahead.strings import StringMatch as StringMatch
    from ergotext.tasks.retrieval.results import Hit as Hit
    from ergotext.tasks.retrieval.results import Hits as Hits
    from ergotext.tasks.retrieval.retriever import Retriever as Retriever

    build_trie, build_trie_from_lines = _trie.build, _trie.build_from_lines
    load_trie, save_trie, verify_trie = _trie.load, _trie.save, _trie.verify

_HOME = {
    "Alphabet": "lm.tokenizers.characters",
    "AutomatonLogitsProcessor": "lm.automata.logits_processor",
    "BestKey": "lm.trie.lookahead",
    "TokenBatch": "lm.batch",
    "CausalLM": "lm.causal",
    "CharacterTokenizer": "lm.tokenizers.characters",
    "Term": "lm.energies.term",
    "custom": "lm.energies.terms",
    "DeviceTrie": "lm.trie.device",
    "EditableTrie": "lm.trie",
    "FastTokenizer": "lm.tokenizers.fast",
    "TokenTrie": "lm.trie",
    "build_trie": "lm.trie:build",
    "build_trie_from_lines": "lm.trie:build_from_lines",
    "difference": "lm.energies.overlap",
    "kept_words": "lm.energies.overlap",
    "load_encoder": "lm.energies.embedding",
    "similarity": "lm.energies.embedding",
    "load_lookahead": "tasks.retrieval.lookahead.learned",
    "load_tokenizer": "lm.tokenizers.loading",
    "load_trie": "lm.trie:load",
    "save_trie": "lm.trie:save",
    "verify_trie": "lm.trie:verify",
    "fluency": "lm.energies.terms",
    "template": "lm.energies.template",
    "keywords": "lm.energies.keywords",
    "length": "lm.energies.terms",
    "pseudo_likelihood": "lm.energies.terms",
    "generate": "tasks.generation.generate",
    "key_of": "lm.index_keys",
    "load": "lm.loading",
    "matches": "lm.energies.matches",
    "MaskedLM": "lm.masked",
    "ErgotextError": "errors",
    "InputError": "errors",
    "ModelError": "errors",
    "Seq2SeqLM": "lm.seq2seq",
    "score": "lm.score",
    "Result": "samplers",
    "WeightedResult": "samplers",
    "sample": "samplers",
    "beam": "samplers.search.beam",
    "Candidates": "tasks.retrieval.candidates",
    "Potential": "tasks.retrieval.candidates",
    "Hit": "tasks.retrieval.results",
    "Hits": "tasks.retrieval.results",
    "Retriever": "tasks.retrieval.retriever",
    "StringMatch": "tasks.retrieval.lookahead.strings",
    "SpanReader": "tasks.read",
    "report": "tasks.report.saving",
}
"""Module of each name; after a colon, its name there."""
_ROOMS = {
    "automata": "lm.automata",
    "retrieval": "tasks.retrieval",
    "samplers": "samplers",
    "testing": "testing",
}
"""Packages whose own names are public as well: ``et.samplers.MetropolisHastings``."""
__all__ = sorted([*_HOME, *_ROOMS])
_getter = getter(__name__, _HOME)


def __getattr__(name: str) -> object:
    """Import on first use, so that ``ergotext --help`` need not wait for torch."""
    if name in _ROOMS:
        return import_module(f"ergotext.{_ROOMS[name]}")
    return _getter(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
