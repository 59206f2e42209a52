"""Answer questions with the entries of an index.

- ``retriever``: the class ``Retriever``; ``request``, ``results``: what goes in and comes out;
  ``loading``: as the commands use it.
- ``grouping``, ``shortlist``: questions of like length, and the keys each may be answered with.
- ``search``, ``branch_and_bound``, ``probability``: the best keys, and their probabilities
  (``answers``).
- ``entries``, ``two_steps``, ``coverage``, ``notes``: hits of these keys, paths of two entries,
  answer sets, and what to say about them.
- ``calibration``, ``none_features``, ``bearing``, ``nesting``: how likely "none of these" is.
- ``linking``, ``mention_table``, ``marked``: marked mentions of texts, linked to titles.
- ``readers``, ``masked``: how a model reads questions; ``candidates``, ``lookahead``: which keys
  are likely before the model is run.

>>> et.Retriever(et.load("tiny-retriever"), "facts.ergo").retrieve(["Where is Mount Fuji?"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergotext.tasks.retrieval.candidates import Candidates as Candidates
    from ergotext.tasks.retrieval.candidates import Potential as Potential
    from ergotext.tasks.retrieval.linking import LinkedMention as LinkedMention
    from ergotext.tasks.retrieval.linking import link as link
    from ergotext.tasks.retrieval.lookahead.learned import load_lookahead as load_lookahead
    from ergotext.tasks.retrieval.lookahead.strings import StringMatch as StringMatch
    from ergotext.tasks.retrieval.mention_table import MentionTable as MentionTable
    from ergotext.tasks.retrieval.results import Hit as Hit
    from ergotext.tasks.retrieval.results import Hits as Hits
    from ergotext.tasks.retrieval.retriever import Retriever as Retriever

_HOME = {
    "Candidates": "candidates",
    "Hit": "results",
    "Hits": "results",
    "LinkedMention": "linking",
    "MentionTable": "mention_table",
    "Potential": "candidates",
    "Retriever": "retriever",
    "StringMatch": "lookahead.strings",
    "link": "linking",
    "load_lookahead": "lookahead.learned",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Import on first use: a part of a retriever need not wait for all of it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
