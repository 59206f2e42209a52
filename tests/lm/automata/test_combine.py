from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.automata import Substrings, intersection, union
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import build
from tests.lm.automata.worlds import LATIN, PAD, Row, check_protocol, language

keys = st.lists(st.sampled_from([1, 2, 6]), min_size=1, max_size=4).map(tuple)
key_sets = st.lists(st.sets(keys, max_size=12), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(key_sets, st.none() | st.lists(st.sampled_from([1, 2, 6]), min_size=1, max_size=6))
def test_sets(parts: list[set[Row]], passage: list[int] | None) -> None:
    automata: list[Automaton] = [
        build([(key, None) for key in sorted(part)], LATIN.alphabet) for part in parts
    ]
    sets = list(parts)
    if passage:
        automata.append(Substrings(passage, LATIN.alphabet))
        n = len(passage)
        sets.append({tuple(passage[i:j]) for i in range(n) for j in range(i + 1, n + 1)})
    for combined, expected in (
        (union(*automata), set.union(*sets)),
        (intersection(*automata), set.intersection(*sets)),
    ):
        assert language(combined, 6) == expected
        check_protocol(combined, PAD, 10, most=5)


def test_combinations_can_be_combined() -> None:
    tries = [build([((t,), None), ((t, 6), None)], LATIN.alphabet) for t in (1, 2)]
    both = union(*tries)
    assert language(intersection(both, Substrings([2, 6, 1], LATIN.alphabet)), 3) == {
        (1,), (2,), (2, 6)
    }  # fmt: skip


def test_what_cannot_be_combined() -> None:
    trie = build([((1,), None)], LATIN.alphabet)
    with pytest.raises(InputError, match="end tokens"):
        union(trie, build([((1,), None)], Alphabet(10, 0, 5)))
    with pytest.raises(InputError, match="paddings"):
        intersection(trie, build([((1,), None)], Alphabet(10, 5, 4)))
    one, other = (Alphabet(10, 0, 5, name) for name in ("one", "other"))
    with pytest.raises(InputError, match=r"different tokenizers \(one, other\)"):
        union(build([((1,), None)], one), build([((1,), None)], other))
    assert language(union(*(build([((1,), None)], a) for a in (one, Alphabet(10, 0, 5)))), 2)
    with pytest.raises(InputError, match="no automaton to combine"):
        union()
