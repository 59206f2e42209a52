"""Sets of token sequences: by expression, schema, grammar, keywords or passage, and combined.

All of them, and the tries, are walked through one protocol, ``lm.protocols.Automaton``; an
automaton of one's own subclasses ``AutomatonBase``.
"""

from ergotext.lm.automata.combine import intersection, union
from ergotext.lm.automata.grammars import grammar, json_schema, regex
from ergotext.lm.automata.keywords import KeywordCoverage
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
    "grammar",
    "intersection",
    "json_schema",
    "regex",
    "union",
]
