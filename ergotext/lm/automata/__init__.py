"""Automata: sets of token sequences that constrain samplers, searches and ``generate``.

- ``grammars``: regular expressions, JSON schemas (``schema``) and grammars, through llguidance.
- ``slots``: parts of a schema or grammar that are any key of an index (``slot_source``).
- ``literals``: one of some texts; ``keywords``: texts with all of some words; ``spans``,
  ``substrings``: parts of a passage.
- ``combine``: union and intersection; ``explored``: an automaton from two functions.
- ``logits_processor``: any of them for ``generate`` of transformers; ``prefix_function``: a trie as
  its ``prefix_allowed_tokens_fn``; ``generated_rows``: what both share.

All of them, and the tries, implement ``lm.protocols.Automaton``; an automaton of your
own subclasses ``AutomatonBase``.

>>> automaton = regex(r"[0-9]{4}-[0-9]{2}", Pieces.of(tokenizer))
"""

from ergotext.lm.automata.combine import intersection, union
from ergotext.lm.automata.grammars import grammar, json_schema, regex
from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.automata.literals import choices
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.spans import TextSpans
from ergotext.lm.automata.substrings import Substrings
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.protocols import Automaton, Classes

__all__ = [
    "Automaton",
    "AutomatonBase",
    "Classes",
    "KeywordCoverage",
    "Pieces",
    "Substrings",
    "TextSpans",
    "choices",
    "grammar",
    "intersection",
    "json_schema",
    "regex",
    "union",
]
