from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import EditableTrie, TokenTrie, build, by_length
from tests.faulty import load_with_fault

PAD, END, SIZE = 0, 4, 9
ALPHABET = Alphabet(SIZE, PAD, END)
KEYS = st.sets(
    st.lists(st.sampled_from([1, 2, 3, 7, 8]), min_size=1, max_size=6).map(tuple),
    min_size=1,
    max_size=40,
)


def brute(keys: set[tuple[int, ...]], law: np.ndarray, k: int) -> list[float]:
    sums = [law[range(len(key)), key].sum() for key in keys if len(key) == len(law)]
    return sorted((float(s) for s in sums if s > -np.inf), reverse=True)[:k]


def check(
    module: ModuleType, keys: set[tuple[int, ...]], seed: int, k: int, ties: bool = False
) -> None:
    trie = build(sorted(keys), ALPHABET)
    search = module.KeysByLength(trie)
    assert search.lengths.tolist() == sorted({len(key) for key in keys})
    rng = np.random.default_rng(seed)
    for length in range(1, 8):
        law = rng.integers(-3, 1, (length, SIZE)) * 1.0 if ties else rng.normal(size=(length, SIZE))
        law[rng.random(law.shape) < 0.1] = -np.inf
        found = search.best(law, k)
        assert [score for score, _ in found] == pytest.approx(brute(keys, law, k))
        assert len({key for _, key in found}) == len(found)
        for score, key in found:
            assert key in keys and len(key) == length
            assert law[range(length), key].sum() == pytest.approx(score)


def check_among(module: ModuleType, keys: set[tuple[int, ...]], seed: int) -> None:
    """Of some keys, in their exact order, the best are found as if there were no others."""
    trie, rng = build(sorted(keys), ALPHABET), np.random.default_rng(seed)
    search, order = module.KeysByLength(trie), list(trie.keys())
    among = np.flatnonzero(rng.random(len(order)) < 0.4)
    some = {order[number] for number in among.tolist()}
    for length in range(1, 8):
        law = rng.normal(size=(length, SIZE))
        found = search.best(law, 3, among)
        assert {key for _, key in found} <= some
        assert [score for score, _ in found] == pytest.approx(brute(some, law, 3))


def check_all(module: ModuleType, worlds: list[set[tuple[int, ...]]]) -> None:
    for seed, keys in enumerate(worlds):
        check(module, keys, seed, k=3)
        check_among(module, keys, seed)


@settings(max_examples=60, deadline=None)
@given(KEYS, st.integers(0, 99), st.integers(1, 5), st.booleans(), st.sampled_from([1, 2, 4096]))
def test_the_best_of_each_length(
    keys: set[tuple[int, ...]], seed: int, k: int, ties: bool, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_length, "CHUNK", chunk)
        check(by_length, keys, seed, k, ties)
        check_among(by_length, keys, seed)


def large(count: int = 20_000) -> tuple[TokenTrie, list[tuple[int, ...]]]:
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 12, count)
    keys = sorted({tuple(rng.integers(5, 200, n).tolist()) for n in lengths.tolist()})
    return build(keys, Alphabet(200, PAD, END)), keys


def test_many_keys_and_few_openings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact, and where laws are peaked, most of the trie is never opened."""
    trie, keys = large()
    search, opened = by_length.KeysByLength(trie), []
    whole = TokenTrie.candidates
    monkeypatch.setattr(by_length, "CHUNK", 64)
    monkeypatch.setattr(
        TokenTrie,
        "candidates",
        lambda self, states: opened.append(len(states)) or whole(self, states),
    )
    rng = np.random.default_rng(0)
    for length in (2, 5, 9):
        law = 4 * rng.normal(size=(length, 200))
        sums = sorted(law[range(length), key].sum() for key in keys if len(key) == length)
        opened.clear()
        found = search.best(law, 3)
        assert [score for score, _ in found] == pytest.approx(sums[::-1][:3])
        assert sum(opened) < trie.nodes / 4


def test_keys_of_very_many_tokens() -> None:
    keys = {(1,) * n for n in (2, 62, 63, 64, 80)} | {(1,) * 70 + (2, 3)}
    search = by_length.KeysByLength(build(sorted(keys), ALPHABET))
    assert search.lengths.tolist() == [2, 62, 63, 64, 72, 80]
    law = np.full((90, SIZE), -1.0)
    for length in (1, 2, 61, 62, 63, 64, 65, 70, 72, 79, 80, 81):
        found = search.best(law[:length], 2)
        assert {key for _, key in found} == {key for key in keys if len(key) == length}


def test_an_empty_trie() -> None:
    search = by_length.KeysByLength(build([], ALPHABET))
    assert not len(search.lengths) and search.best(np.zeros((2, SIZE))) == []


@pytest.mark.parametrize(
    ("law", "k"),
    [
        (np.zeros((0, SIZE)), 1),
        (np.zeros(SIZE), 1),
        (np.zeros((2, SIZE - 1)), 1),
        (np.full((2, SIZE), np.nan), 1),
        (np.full((2, SIZE), np.inf), 1),
        (np.zeros((2, SIZE)), 0),
    ],
)
def test_laws_that_are_none(law: np.ndarray, k: int) -> None:
    with pytest.raises(InputError):
        by_length.KeysByLength(build([(1, 2)], ALPHABET)).best(law, k)


def test_a_trie_with_changes_is_compacted_first() -> None:
    with pytest.raises(InputError, match="compact"):
        by_length.KeysByLength(EditableTrie(build([(1,)], ALPHABET)))


FAULTS = {
    "the bound is too low": ("behind[level.depth] >", "behind[level.depth] - 1.0 >"),
    "25: the first found stay": ("heapq.heappushpop(found, one)", "pass"),
    "what waits is dropped": ("todo.append(level.only(order[CHUNK:]))", "pass"),
    "20: a key that begins others is lost": (
        "_take(found, deeper.score[ended], deeper.written[ended], k)", "pass"
    ),
    "keys of other lengths count": (
        "whole = (run[:, -1] == end) &", "whole = (run[:, -1] > -1) &"
    ),
    "a rest goes on into the next": ("& (run[:, :-1] != end).all(axis=1) ", ""),
    "a rest is read with the law of another place": (
        "np.arange(depth + 1, length)", "np.arange(depth, length - 1)"
    ),
    "bits of a tail are one too high": ("length = depth + tails\n", "length = depth + tails + 1\n"),
    "a key that is not among them ends where one goes on": (
        "ended = ended[self._leading_to(among, closed, np.arange(len(ended)))]", "pass"
    ),
    "any key at or behind the first will do": (
        "np.searchsorted(among, low) < np.searchsorted(among, high)",
        "np.searchsorted(among, low) < len(among)",
    ),
    "impossible keys are found": ("np.flatnonzero(score > -np.inf)", "np.arange(len(score))"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str) -> None:
    module = load_with_fault("lm.trie.by_length", FAULTS[fault])
    module.CHUNK = 2
    rng = np.random.default_rng(1)
    worlds = []
    for _ in range(20):
        lengths = rng.integers(1, 7, 40).tolist()
        worlds.append({tuple(rng.choice([1, 2, 3, 7, 8], n).tolist()) for n in lengths})
    with pytest.raises(AssertionError):
        check_all(module, worlds)
