"""Spans of texts that name subjects of a trie, and how each names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.trie.restricted import Paths
from ergotext.lm.trie.states import ROOT
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats, Ints


class Naming(IntEnum):
    """How a span names a subject."""

    EXACT = 0
    OTHER = 1
    """in other letters"""
    NEAR = 2
    """misspelt, or a part of it"""
    VALUE = 3
    """by a value that few keys have"""


EVIDENCE = ("length", "mass", "score", "equal", "extra", "share", "begins", "ends")
"""What is known of a span and the subject that it is written like.

``length``: characters of the folded subject. ``mass``: what the grams in common weigh, in nats. Of
``NEAR`` ones, ``score``: what the alignment is worth, of what it could be; ``equal``: the share of
the subject's characters that stand in the span; ``extra``: the share of the span's that do not
stand in the subject; ``share``: that of the mass in what all grams of the subject weigh;
``begins``, ``ends``: whether both begin and end alike. Of a ``VALUE``, its ``length`` alone.
"""


_COLUMNS = ("text", "start", "stop", "token", "state", "kind")


@dataclass(frozen=True, eq=False)
class Spotted:
    """Spans of texts, each with a state that all keys go through that it may mean.

    Parameters
    ----------
    text, start, stop : int64 [n]
        The span ``texts[text][start:stop]``, by rising text, start and stop.
    token, state : int64 [n]
        What closes the span (a tab, maybe with what stands after it, or the end of the key), and
        the state after it. The same span elsewhere in a text has the same state.
    kind : int8 [n]
        A ``Naming`` each. Of a ``VALUE`` the state is that of one whole key.
    evidence : float64 [n, len(EVIDENCE)]
    paths : Paths
        How these states are reached; the number of the text is that of the input.
    """

    text: Ints
    start: Ints
    stop: Ints
    token: Ints
    state: Ints
    kind: NDArray[np.int8]
    evidence: Floats
    paths: Paths

    @property
    def other(self) -> NDArray[np.bool_]:
        """bool [n]: whether the index writes the subject in other letters."""
        other: NDArray[np.bool_] = self.kind == Naming.OTHER
        return other

    def of(self, texts: Sequence[int]) -> Spotted:
        """Those of some texts, by rising number; the first of these is text 0 of the result."""
        numbers = np.array(texts, dtype=np.int64)
        rows, edges = (np.isin(one, numbers) for one in (self.text, self.paths.input))
        columns = {name: getattr(self, name)[rows] for name in (*_COLUMNS, "evidence")}
        columns["text"] = np.searchsorted(numbers, columns["text"])
        paths = Paths(*(part[edges] for part in vars(self.paths).values()))
        paths = replace(paths, input=np.searchsorted(numbers, paths.input))
        return Spotted(**columns, paths=paths)

    def and_also(self, more: Spotted) -> Spotted:
        """All of both, of the same texts; they have no span of one kind and state in common."""
        both = {
            name: np.concatenate([getattr(self, name), getattr(more, name)])
            for name in (*_COLUMNS, "evidence")
        }
        order = np.lexsort([both[name] for name in reversed(_COLUMNS)])
        edges = np.concatenate([_edges_of(one.paths) for one in (self, more)])
        paths = Paths(*np.unique(edges, axis=0).T.copy())
        return Spotted(**{name: part[order] for name, part in both.items()}, paths=paths)


@dataclass(frozen=True, eq=False)
class FoundSpans:
    """Spans [n, 3] (text, start, stop), and the tokens [n, d] that write them and close them.

    Negative tokens are none.
    """

    span: Ints
    path: Ints
    kind: Naming = Naming.EXACT
    evidence: Floats = field(default_factory=lambda: np.zeros((0, len(EVIDENCE))))
    """[n, len(EVIDENCE)]; zero where there are no rows"""


def spotted_by(trie: TokenTrie, found: Sequence[FoundSpans]) -> Spotted:
    """All that was found, each once, with the paths to it."""
    spans, edges = [np.zeros((0, 6), dtype=np.int64)], [np.zeros((0, 4), dtype=np.int64)]
    evidence = [np.zeros((0, len(EVIDENCE)))]
    found = [one for one in found if len(one.span)]
    if found:
        span = np.concatenate([one.span for one in found])
        kind = np.repeat([int(one.kind) for one in found], [len(one.span) for one in found])
        token, state, steps = walked(trie, _together([one.path for one in found]))
        spans.append(np.column_stack([span, token, state, kind]))
        edges += [np.column_stack([span[row, 0], *step]) for row, *step in steps]
    for one in found:
        some = one.evidence if len(one.evidence) else np.zeros((len(one.span), len(EVIDENCE)))
        evidence.append(some)
    span, first = np.unique(np.concatenate(spans), axis=0, return_index=True)
    edge = np.unique(np.concatenate(edges), axis=0)
    text, start, stop, token, state, kind = span.T.copy()
    told = np.concatenate(evidence)[first]
    paths = Paths(*edge.T.copy())
    return Spotted(text, start, stop, token, state, kind.astype(np.int8), told, paths)


def walked(trie: TokenTrie, path: Ints) -> tuple[Ints, Ints, list[tuple[Ints, Ints, Ints, Ints]]]:
    """Where paths [n, d] of tokens lead, all side by side.

    Returns
    -------
    token, state : int64 [n]
        The last token of each, and the state after it.
    steps : list of int64 arrays (row, node, token, target)
        The edges that they go along, a column of ``path`` a time.
    """
    last, state = np.full(len(path), -1), np.full(len(path), ROOT, dtype=np.int64)
    steps = []
    for column in path.T:
        row = np.flatnonzero(column >= 0)
        target = trie.advance(state[row], column[row])
        steps.append((row, state[row], column[row], target))
        last[row], state[row] = column[row], target
    return last, state, steps


def _edges_of(paths: Paths) -> Ints:
    """int64 [E, 4]."""
    return np.column_stack(list(vars(paths).values()))


def _together(paths: Sequence[Ints]) -> Ints:
    """Paths of any lengths in one array."""
    width = max(path.shape[1] for path in paths)
    return np.concatenate(
        [np.pad(path, ((0, 0), (0, width - path.shape[1])), constant_values=-1) for path in paths]
    )
