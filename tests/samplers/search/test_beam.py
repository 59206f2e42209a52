"""Beam search against enumeration, and against beam search without jumps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from ergotext.errors import InputError, ModelError
from ergotext.lm.automata import union
from ergotext.lm.batch import TokenBatch
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import EditableTrie, TokenTrie, build
from ergotext.samplers.search.beam import Found, beam
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding

END, PAD = 0, 5
ALPHABET = Alphabet(6, PAD, END)
PROMPTS = [(1,), (3, 2), (4, 4, 1)]

Key = tuple[int, ...]
keys = st.lists(st.integers(1, 4), min_size=1, max_size=6).map(tuple)
some_keys = st.sets(keys, min_size=1, max_size=40)


def trie_of(wanted: set[Key]) -> TokenTrie:
    return build([(key, None) for key in sorted(wanted)], ALPHABET)


def decoding(seed: int = 0) -> CausalDecoding:
    return CausalDecoding.of(ToyScorer(seed), END, PROMPTS)


def log_prob(prompt: Key, key: Key, seed: int = 0, allowed: set[Key] | None = None) -> float:
    """log p(key, end | prompt), of the model or of the model over the allowed tokens."""
    scorer = ToyScorer(seed)
    if allowed is None:
        scores = scorer.token_log_prob(TokenBatch.of([(*prompt, *key)]))[0]
        return float(scores[len(prompt) :].sum())
    total = 0.0
    for n, token in enumerate((*key, END)):
        row = TokenBatch.of([(*prompt, *key[:n])])
        law = scorer.next_log_prob(row, row.length)[0].exp()
        ways = {(*other, END)[n] for other in allowed if other[:n] == key[:n]}
        total += float((law[token] / law[list(ways)].sum()).log())
    return total


def best(prompt: Key, wanted: set[Key], **how: object) -> list[tuple[Key, float]]:
    scored = [(key, log_prob(prompt, key, **how)) for key in wanted]
    return sorted(scored, key=lambda pair: -pair[1])


def same(found: Found, expected: list[tuple[Key, float]]) -> None:
    assert [h.log_prob for h in found.hypotheses] == pytest.approx([p for _, p in expected])
    assert {h.tokens for h in found.hypotheses} == {key for key, _ in expected}


@settings(max_examples=60, deadline=None)
@given(some_keys, st.integers(0, 5), st.booleans())
def test_as_many_beams_as_keys_give_all_in_order(
    wanted: set[Key], seed: int, allowed: bool
) -> None:
    found = beam(
        decoding(seed), trie_of(wanted), k=len(wanted),
        normalised="allowed" if allowed else "vocabulary",
    )  # fmt: skip
    for prompt, result in zip(PROMPTS, found, strict=True):
        same(result, best(prompt, wanted, seed=seed, allowed=wanted if allowed else None))
        assert result.exact and result.complete


@settings(max_examples=100, deadline=None)
@given(some_keys, st.integers(0, 5), st.integers(1, 4), st.integers(0, 4))
def test_exact_means_exact(wanted: set[Key], seed: int, k: int, more: int) -> None:
    found = beam(decoding(seed), trie_of(wanted), k=k, beams=k + more)
    for prompt, result in zip(PROMPTS, found, strict=True):
        every = best(prompt, wanted, seed=seed)
        for hypothesis in result.hypotheses:
            assert hypothesis.log_prob == pytest.approx(dict(every)[hypothesis.tokens])
            assert hypothesis.score == hypothesis.log_prob
        if result.exact:
            assert [h.log_prob for h in result.hypotheses] == pytest.approx(
                [p for _, p in every[:k]]
            )
        if result.complete:
            assert len(result.hypotheses) == len(wanted)


class Forgetful(ToyScorer):
    """A law drawn anew for each row: what leads so far says nothing of what will lead."""

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        scores = torch.zeros(len(batch), batch.width + 1, dtype=torch.float64)
        for score, row in zip(scores, batch.rows(), strict=True):
            for n, token in enumerate((*row, END)):
                score[n] = self.law(row[:n])[token]
        return scores

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        rows = zip(batch.rows(), position.tolist(), strict=True)
        return torch.stack([self.law(row[:n]) for row, n in rows])

    def law(self, row: Key) -> Tensor:
        drawn = np.random.default_rng([self.seed, *row]).normal(size=5)
        return torch.from_numpy(2.5 * drawn).log_softmax(-1)


def plain_beam(scorer: ToyScorer, prompt: Key, wanted: set[Key], k: int, beams: int) -> list[float]:
    """Beam search token by token, finished sequences out of the contest."""
    finished: list[float] = []
    live = {(): 0.0}
    for n in range(8):
        ranked = []
        for begun, score in live.items():
            row = TokenBatch.of([(*prompt, *begun)])
            law = scorer.next_log_prob(row, row.length)[0].tolist()
            finished += [score + law[END]] if begun in wanted else []
            ways = {key[n] for key in wanted if key[:n] == begun and len(key) > n}
            ranked += [(score + law[token], (*begun, token)) for token in ways]
        live = {way: score for score, way in sorted(ranked, reverse=True)[:beams]}
    return sorted(finished, reverse=True)[:k]


def hard_contests() -> Iterator[tuple[Forgetful, set[Key], int]]:
    """Searches, found among thousands, in which who holds a place decides the result."""
    for number in (327, 673, 988, 4415):
        choose = random.Random(number)
        wanted = {
            tuple(choose.choices([1, 2, 3, 4], k=choose.randint(4, 7)))
            for _ in range(choose.randint(6, 30))
        }
        k = choose.randint(2, 3)
        yield Forgetful(choose.randint(0, 999)), wanted, k


def check_contests(search: Callable[..., list[Found]]) -> None:
    for scorer, wanted, k in hard_contests():
        found = search(CausalDecoding.of(scorer, END, [()]), trie_of(wanted), k=k)[0]
        plain = plain_beam(scorer, (), wanted, k, k)
        ours = [h.log_prob for h in found.hypotheses]
        assert all(a >= b - 1e-9 for a, b in zip(ours, plain, strict=True))


def test_hard_contests() -> None:
    check_contests(beam)


@settings(max_examples=150, deadline=None)
@given(some_keys, st.integers(0, 5), st.integers(1, 3), st.integers(0, 2))
def test_no_score_is_below_that_of_search_without_jumps(
    wanted: set[Key], seed: int, k: int, more: int
) -> None:
    found = beam(decoding(seed), trie_of(wanted), k=k, beams=k + more)
    for prompt, result in zip(PROMPTS, found, strict=True):
        plain = plain_beam(ToyScorer(seed), prompt, wanted, k, k + more)
        ours = [h.log_prob for h in result.hypotheses]
        assert len(ours) >= len(plain)
        assert all(a >= b - 1e-9 for a, b in zip(ours, plain, strict=False))


class Wish:
    """A potential that is the best wish among the keys still to be reached."""

    bound = True

    def __init__(self, trie: TokenTrie, wishes: dict[Key, float]) -> None:
        self.trie = trie
        self.wishes = np.array([wishes[key] for key in TokenTrie.keys(trie)])

    def __call__(self, inputs: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.float64]:
        low, high = self.trie.span(states)
        return np.array([self.wishes[a:b].max() for a, b in zip(low, high, strict=True)])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, st.floats(-3, 3), min_size=1, max_size=30), st.integers(1, 3))
def test_look_ahead_orders_the_results(wishes: dict[Key, float], k: int) -> None:
    trie = trie_of(set(wishes))
    for beams, sure in ((k, False), (len(wishes) + k, True)):
        found = beam(decoding(), trie, k=k, beams=beams, lookahead=Wish(trie, wishes))
        for prompt, result in zip(PROMPTS, found, strict=True):
            for h in result.hypotheses:
                assert h.log_prob == pytest.approx(log_prob(prompt, h.tokens))
                assert h.score == pytest.approx(h.log_prob + wishes[h.tokens])
            expected = sorted((log_prob(prompt, key) + w for key, w in wishes.items()))[::-1][:k]
            if result.exact or sure:
                assert [h.score for h in result.hypotheses] == pytest.approx(expected)


class Falling(Wish):
    """A potential of the token last read as well: it falls along what is jumped over."""

    def __call__(self, inputs: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.float64]:
        return super().__call__(inputs, states) - 2.0 * (states >= self.trie.finished)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, st.floats(-3, 3), min_size=1, max_size=30), st.integers(1, 3))
def test_the_potential_is_that_of_the_last_state(wishes: dict[Key, float], k: int) -> None:
    trie = trie_of(set(wishes))
    found = beam(decoding(), trie, k=k, lookahead=Falling(trie, wishes))
    for prompt, result in zip(PROMPTS, found, strict=True):
        expected = sorted((log_prob(prompt, key) + w - 2 for key, w in wishes.items()))[::-1][:k]
        for h in result.hypotheses:
            assert h.log_prob == pytest.approx(log_prob(prompt, h.tokens))
            assert h.score == pytest.approx(h.log_prob + wishes[h.tokens] - 2)
        if result.exact:
            assert [h.score for h in result.hypotheses] == pytest.approx(expected)


class Refusing(ToyScorer):
    """Token 2 is impossible behind token 1, and token 4 everywhere."""

    def __init__(self, seed: int = 0, value: float = -torch.inf) -> None:
        super().__init__(seed)
        self.table = self.table.clone()
        self.table[1, :, 2] = value
        self.table[:, :, 4] = value


@settings(max_examples=80, deadline=None)
@given(some_keys, st.integers(0, 3), st.booleans(), st.integers(0, 4))
def test_impossible_tokens_cost_no_other_key(
    wanted: set[Key], seed: int, allowed: bool, less: int
) -> None:
    k = max(1, len(wanted) - less)
    found = beam(
        CausalDecoding.of(Refusing(seed), END, [()]), trie_of(wanted), k=k,
        normalised="allowed" if allowed else "vocabulary",
    )[0]  # fmt: skip
    possible = {key for key in wanted if 4 not in key and "12" not in "".join(map(str, key))}
    if not allowed:
        scorer = Refusing(seed)
        every = {key: float(scorer.log_prob(TokenBatch.of([key]))[0]) for key in possible}
        best_k = sorted(every.values(), reverse=True)[:k]
        got = [h.log_prob for h in found.hypotheses]
        assert got == pytest.approx([every[h.tokens] for h in found.hypotheses])
        if found.exact:
            assert got == pytest.approx(best_k)
        assert found.exact or less
    assert len(found.hypotheses) <= len(possible) or allowed
    if not less:
        assert {h.tokens for h in found.hypotheses} >= possible and found.exact


def test_nan_is_no_dead_end() -> None:
    broken = CausalDecoding.of(Refusing(0, torch.nan), END, [()])
    with pytest.raises(ModelError, match="NaN"):
        beam(broken, trie_of({(4,)}), k=1)
    with pytest.raises(ModelError, match="NaN"):
        beam(broken, trie_of({(1, 2, 3), (3,)}), k=2)


@pytest.mark.parametrize(
    ("alphabet", "key", "message"),
    [(Alphabet(6, PAD, 3), (1,), "end token is 3"), (Alphabet(9, PAD, END), (8, 1), "token 8"),
     (Alphabet(9, PAD, END), (1, 8, 8), "token 8")],
)  # fmt: skip
def test_an_automaton_of_another_model(alphabet: Alphabet, key: Key, message: str) -> None:
    with pytest.raises(InputError, match=message):
        beam(decoding(), build([(key, None), ((1, 1), None)], alphabet), k=2)


def test_any_number_of_tokens_may_be_allowed() -> None:
    wanted = {(1, 2), (3,)}
    most, few = (beam(decoding(), trie_of(wanted), k=2, max_length=n)[0] for n in (10**20, 9))
    assert {h.tokens for h in most.hypotheses} == {h.tokens for h in few.hypotheses} == wanted


def test_what_the_model_has_no_room_for_is_let_go() -> None:
    wanted = {(1,), (1, 2), (1, 2, 3), (1, 2, 4), (2, 2, 2)}
    for longest in range(4):
        bounded = CausalDecoding.of(ToyScorer(), END, [()], longest)
        found = beam(bounded, trie_of(wanted), k=9)[0]
        assert {h.tokens for h in found.hypotheses} == {k for k in wanted if len(k) <= longest}
        assert found.complete == (longest == 3)


@settings(max_examples=40, deadline=None)
@given(some_keys, some_keys, st.integers(0, 3))
def test_a_changed_trie_is_searched_like_one_built_anew(
    old: set[Key], new: set[Key], seed: int
) -> None:
    trie = EditableTrie(trie_of(old))
    for key in sorted(new - old):
        trie.add(key)
    for key in sorted(old & new):
        trie.remove(key)
    wanted = old ^ new
    found = beam(decoding(seed), trie, k=len(wanted) + 1)
    for prompt, result in zip(PROMPTS, found, strict=True):
        same(result, best(prompt, wanted, seed=seed))


def test_a_dead_end_is_reported_and_nothing_made_up() -> None:
    found = beam(decoding(), build([], ALPHABET), k=2)
    assert [f.hypotheses for f in found] == [[], [], []]
    assert all(f.exact and f.complete for f in found)


def test_no_inputs() -> None:
    empty = CausalDecoding.of(ToyScorer(), END, [])
    assert beam(empty, trie_of({(1,)}), k=1) == []


def test_too_long_sequences_are_let_go_and_the_result_says_so() -> None:
    found = beam(decoding(), trie_of({(1,), (1, 2, 3, 3), (1, 2, 3, 4)}), k=3, max_length=3)
    for result in found:
        assert [h.tokens for h in result.hypotheses] == [(1,)]
        assert not result.exact and not result.complete


@dataclass(frozen=True)
class Prizes:
    """A potential of the last token alone: what follows may be worth more or less."""

    trie: TokenTrie
    bound: bool = False

    def __call__(self, inputs: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.float64]:
        reached = {int(self.trie.walk(key[:n])): key[:n] for key in self.trie.keys(())
                   for n in range(len(key) + 1)}  # fmt: skip
        ended = {int(self.trie.walk((*key, END))): key for key in self.trie.keys(())}
        return np.array([prize((reached | ended)[state]) for state in states.tolist()])


def prize(key: Key) -> float:
    return 9.0 if key == (2, 2, 3) else -2.0 * (key[-1:] == (2,)) - 0.5 * (key[-1:] == (1,))


def check_unbounded(search: Callable[..., list[Found]]) -> None:
    """A potential that may still rise cuts nothing, and proves nothing."""
    wanted = {(1,), (1, 3), (2, 2, 3), (2, 2, 4), (3, 1, 1), (3, 4), (4, 2), (4, 4, 4)}
    trie = trie_of(wanted)
    for seed in range(6):
        for k in (1, 2, 4, len(wanted)):
            found = search(decoding(seed), trie, k=k, lookahead=Prizes(trie))
            for prompt, result in zip(PROMPTS, found, strict=True):
                ranked = sorted(
                    ((log_prob(prompt, key, seed) + prize(key), key) for key in wanted),
                    reverse=True,
                )
                scores = [h.score for h in result.hypotheses]
                if k == len(wanted) or result.exact:
                    assert scores == pytest.approx([score for score, _ in ranked[:k]])
                assert result.exact == result.complete == (k == len(wanted))
                for h in result.hypotheses:
                    assert h.log_prob == pytest.approx(log_prob(prompt, h.tokens, seed))


def test_a_potential_that_is_no_bound() -> None:
    check_unbounded(beam)


def check_lengths(search: Callable[..., list[Found]]) -> None:
    """Keys of exactly ``max_length`` tokens are in, by a jump and by steps; longer ones out."""
    for wanted in ({(1,), (1, 2, 3), (2, 2, 2, 2)}, {(1, 2, 1), (1, 2, 2), (1, 2, 2, 1), (1, 2)}):
        for most in range(1, 6):
            short = {key for key in wanted if len(key) < most}
            found = search(decoding(), trie_of(wanted), k=9, max_length=most)
            for result in found:
                assert {h.tokens for h in result.hypotheses} == short
                assert result.complete == (short == wanted)
    # Each row has the room that its own prompt leaves.
    bounded = CausalDecoding.of(ToyScorer(), END, [(1,), (1, 1, 1)], 4)
    one, other = search(bounded, trie_of({(1, 2, 2), (1, 2, 1), (3,)}), k=9)
    assert {h.tokens for h in one.hypotheses} == {(1, 2, 2), (1, 2, 1), (3,)} and one.complete
    assert {h.tokens for h in other.hypotheses} == {(3,)} and not other.complete


def test_lengths_and_room() -> None:
    check_lengths(beam)


def check_completeness(search: Callable[..., list[Found]]) -> None:
    """All sequences were found, with not a place to spare: and it says so."""
    edited = EditableTrie(trie_of({(3,), (3, 1)}))
    edited.remove((3, 1))
    for automaton, count in (
        (union(trie_of({(3,)}), trie_of({(4,)})), 2),
        (union(trie_of({(3,), (1, 2)}), trie_of({(1,)})), 3),
        (edited, 1),
        (trie_of({(1,), (1, 2), (2, 1, 1)}), 3),
    ):
        for k in range(1, count + 2):
            for result in search(decoding(), automaton, k=k):
                assert len(result.hypotheses) == min(k, count)
                assert result.complete == (k >= count) and (result.exact or k < count)


def test_all_that_there_is_is_complete() -> None:
    check_completeness(beam)


def check_lone_tokens(search: Callable[..., list[Found]]) -> None:
    """Given that it is one of one, a token is certain: by a jump and by steps alike."""
    wanted = {(1, 2), (3,)}  # 2 behind 1 is impossible
    scorer = Refusing(0)
    first = scorer.next_log_prob(TokenBatch.of([()]), torch.tensor([0]))[0]
    certain = float(first[1] - torch.logsumexp(first[[1, 3]], 0))
    for automaton in (trie_of(wanted), union(trie_of(wanted))):
        found = search(
            CausalDecoding.of(scorer, END, [()]), automaton, k=2, normalised="allowed"
        )[0]  # fmt: skip
        scores = {h.tokens: h.log_prob for h in found.hypotheses}
        assert set(scores) == wanted and scores[1, 2] == pytest.approx(certain)


def test_a_lone_token_is_certain() -> None:
    check_lone_tokens(beam)


def test_an_unknown_way_to_normalise() -> None:
    with pytest.raises(InputError, match="'alowed'"):
        beam(decoding(), trie_of({(1,)}), k=1, normalised="alowed")


@pytest.mark.parametrize("how", [{"k": 0}, {"k": 2, "beams": 1}, {"k": 1, "max_length": 0}])
def test_impossible_sizes(how: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        beam(decoding(), trie_of({(1,)}), **how)
