"""Faults that published tries have, put into ours one at a time: each must be caught.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

import pytest

from ergotext.lm.trie import builder
from ergotext.lm.trie.states import TrieStates
from tests.faulty import load_with_fault
from tests.lm.trie.test_tree import SMALL, TokenTrie, check, model_of

FAULTS = {
    "20: keys that begin others are lost": (
        "trie.levels",
        ("np.append(True, shared[1:] < lengths[1:])",
         "np.append(True, shared[1:] < lengths[1:] - 1)"),
    ),
    "20: keys cannot end where others go on": (
        "trie.states",
        ("after[rows[found]] = self.target[edge[found]]",
         "after[rows[found]] = self.target[edge[found]]\n"
         "        after[after >= self.finished] = DEAD"),
    ),
    "21: a finished row begins anew": (
        "trie.states",
        ("following[at] += np.where(last, len(self.tail), 1)",
         "following[at] = np.where(last, ROOT, following[at] + 1)"),
    ),
    "21: a finished row goes on with the next key": (
        "trie.states",
        ("following[at] += np.where(last, len(self.tail), 1)", "following[at] += 1"),
    ),
    "21: a dead row is at the root": (
        "trie.states",
        ("return (states >= 0) & (states < self.nodes)", "return states < self.nodes"),
        ("nodes: Ints) -> tuple[Ints, Ints]:",
         "nodes: Ints) -> tuple[Ints, Ints]:\n        nodes = np.maximum(nodes, 0)"),
    ),
}  # fmt: skip

ROWS = [((1,), "a"), ((1, 2), "b"), ((1, 2, 3, 5), "c"), ((2, 8), "d"), ((1,), "e"), ((2, 1), None)]


def build() -> TokenTrie:
    return builder.build(ROWS, SMALL)


def test_without_a_fault() -> None:
    check(build(), model_of(ROWS))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *changes = FAULTS[fault]
    module = load_with_fault(f"lm.{name}", *changes)
    if name == "trie.levels":
        monkeypatch.setattr(builder, "Levels", module.Levels)
    else:
        for method, body in vars(module.TrieStates).items():
            if callable(body) and not method.startswith("__"):
                monkeypatch.setattr(TrieStates, method, body)
    with pytest.raises(AssertionError):
        check(build(), model_of(ROWS))
