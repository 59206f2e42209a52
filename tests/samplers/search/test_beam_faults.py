"""Faults of beam searches, put into ours one at a time: a test must see each."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ergotext.samplers.search import beam as beam_module
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding
from tests.faulty import load_with_fault
from tests.samplers.search import test_beam
from tests.samplers.search.test_beam import PROMPTS, Key, best, log_prob, plain_beam, trie_of

FAULTS = {
    "the first token of a rest is not counted": (
        "samplers.search.tails",
        ("gains: Floats = np.cumsum(table, axis=1)[inside]",
         "gains: Floats = (np.cumsum(table, axis=1) - table[:, :1])[inside]"),
    ),
    "a jump gives up its place at once": (
        "samplers.search.beam",
        ("ranks, offsets).only(plain)", "ranks, offsets).only(plain & False)"),
    ),
    "places that jumps free are not favoured to what plain search holds": (
        "samplers.search.beam",
        ("np.where(plain, np.inf, chosen)", "chosen"),
    ),
    "what was let go is forgotten": (
        "samplers.search.beam",
        ("np.maximum.at(self.lost, inputs[gone], rank[gone])", "pass"),
    ),
    "what was beaten is forgotten": (
        "samplers.search.beam",
        ("self.cut[inputs[low]] = True", "pass"),
    ),
    "allowed tokens share one normaliser": (
        "samplers.search.beam",
        ("- total.log()[rows]", "- total.sum().log()"),
    ),
    "every potential is taken for a bound": (
        "samplers.search.beam",
        ("return self.lookahead is None or self.lookahead.bound", "return True"),
    ),
    "a proof is given without a bound": (
        "samplers.search.beam",
        ("(self._bounded and lost <= worst)", "lost <= worst"),
    ),
    "sequences may be one token too long": (
        "samplers.search.beam",
        ("for left in range(max_length, 0, -1)", "for left in range(max_length + 1, 0, -1)"),
    ),
    "the shortest room is that of all rows": (
        "samplers.search.beam",
        ("fits(self.automaton, state, room[row] - 1)",
         "fits(self.automaton, state, np.full(len(row), room.min() - 1))"),
        ("rank, trusted, room[row])", "rank, trusted, np.full(len(row), room.min()))"),
    ),
    "a last end token counts as let go": (
        "samplers.search.beam",
        ("going[going] = ~self._beaten(self.input[row[going]], rank[going])",
         "going &= ~self._beaten(self.input[row], rank)"),
    ),
    "a lone token that is impossible is none": (
        "samplers.search.beam",
        (".masked_fill(alone, 0.0)", ""),
        ("(logits == -torch.inf) & ~alone", "logits == -torch.inf"),
    ),
    "scores are divided by the length": (
        "samplers.search.beam",
        ("self.finished.add(self.input[row], reached[last], ranks[last],",
         "n = np.diff(offsets) + 1\n        self.finished.add("
         "self.input[row], reached[last] / n, ranks[last],"),
    ),
    "the end token is not scored": (
        "samplers.search.beam",
        ("reached + potential, offsets[1:] - 1",
         "reached + potential, np.maximum(offsets[1:] - 2, 0)"),
    ),
}  # fmt: skip


TALL: set[Key] = {(1,), (2, 3, 3), (2, 3, 4), (2, 4, 3), (2, 4, 4)}


def check(beam: Any, rounds: int = 30) -> None:
    """Random tries, searched with too few beams and with enough; as in ``test_beam``."""
    test_beam.check_contests(beam)
    choose = random.Random(0)
    test_beam.check_unbounded(beam)
    test_beam.check_lengths(beam)
    test_beam.check_completeness(beam)
    test_beam.check_lone_tokens(beam)
    for seed in range(5):
        tall = beam(CausalDecoding.of(ToyScorer(seed), 0, PROMPTS), trie_of(TALL), k=1, beams=5)
        assert not any(one.complete for one in tall)
    for seed in range(rounds):
        wanted: set[Key] = {
            tuple(choose.choices([1, 2, 3, 4], k=choose.randint(1, 6)))
            for _ in range(choose.randint(1, 30))
        }
        trie, k = trie_of(wanted), choose.randint(1, 3)
        decoding = CausalDecoding.of(ToyScorer(seed % 5), 0, PROMPTS)
        few = beam(decoding, trie, k=k)
        allowed = beam(decoding, trie, k=len(wanted), normalised="allowed")
        for prompt, result, over in zip(PROMPTS, few, allowed, strict=True):
            every = best(prompt, wanted, seed=seed % 5)
            got = [h.log_prob for h in result.hypotheses]
            assert got == pytest.approx([dict(every)[h.tokens] for h in result.hypotheses])
            if result.exact:
                assert got == pytest.approx([p for _, p in every[:k]])
            assert not result.complete or len(got) == len(wanted)
            plain = plain_beam(ToyScorer(seed % 5), prompt, wanted, k, k)
            assert all(a >= b - 1e-9 for a, b in zip(got, plain, strict=True))
            h = over.hypotheses[-1]
            expected = log_prob(prompt, h.tokens, seed % 5, wanted)
            assert h.log_prob == pytest.approx(expected)


def test_without_a_fault() -> None:
    check(test_beam.beam)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *changes = FAULTS[fault]
    faulty = load_with_fault(name, *changes)
    if name == "samplers.search.tails":
        monkeypatch.setattr(beam_module, "Rests", faulty.Rests)
        faulty = beam_module
    with pytest.raises((AssertionError, ValueError, IndexError)):
        check(faulty.beam)
