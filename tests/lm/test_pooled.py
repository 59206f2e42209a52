"""Several models as one: the geometric mean of what they say."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm import pooled as module
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding import reduced
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.endings.sentence import sentence_end
from ergotext.lm.energies.terms import Fluency
from ergotext.lm.pooled import Pooled
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.samplers import sample
from ergotext.testing.toy import ToyScorer
from tests.faulty import load_with_fault

ROWS = [(5, 6, 7), (9,), (), (8, 5)]


def two(lm: CausalLM) -> list[EndingScorer]:
    """The same model after two contexts, ended by sentences."""
    rule = sentence_end(lm.vocabulary, lm.end_id)
    return [EndingScorer(lm.given(context), rule) for context in ("It is.", "A dog")]


def check_mean(made: Pooled, parts: Sequence[EndingScorer]) -> None:
    batch, position = TokenBatch.of(ROWS), torch.tensor([1, 1, 0, 2])
    edits = (TokenBatch.of(ROWS[:2]), torch.tensor([1, 0]), torch.tensor([2, 1]))
    tokens = torch.tensor([[5, 9], [7, 6]])

    def mean(of) -> torch.Tensor:
        return sum(map(of, parts)) / len(parts)

    close = torch.testing.assert_close
    close(made.log_prob(batch), mean(lambda one: one.log_prob(batch)))
    close(made.token_log_prob(batch), mean(lambda one: one.token_log_prob(batch)))
    close(made.next_log_prob(batch, position), mean(lambda one: one.next_log_prob(batch, position)))
    found = made.candidate_log_prob(*edits, tokens, 2)
    close(found, mean(lambda one: one.candidate_log_prob(*edits, tokens, 2)))
    close(made.token_log_prob(batch).sum(1), made.log_prob(batch))
    assert bool((made.next_log_prob(batch, position).exp().sum(1) <= 1 + 1e-9).all())
    # What it is made of keeps its numbers.
    again = [one.next_log_prob(batch, position) for one in parts]
    made.next_log_prob(batch, position)
    for before, one in zip(again, parts, strict=True):
        assert torch.equal(before, one.next_log_prob(batch, position))


def test_it_is_the_mean(placed_lm: CausalLM) -> None:
    parts = two(placed_lm)
    check_mean(Pooled(parts), parts)
    check_mean(Pooled([*parts, parts[0]]), [*parts, parts[0]])
    assert Pooled(parts).decode(TokenBatch.of(ROWS)) == parts[0].decode(TokenBatch.of(ROWS))
    assert Pooled(parts).longest_text == parts[0].longest_text < parts[1].longest_text + 10
    assert Pooled(parts).given("x").scorers[1].context == tuple(placed_lm.vocabulary.encode("x"))


def test_what_cannot_be_pooled(placed_lm: CausalLM) -> None:
    with pytest.raises(InputError, match="at least one"):
        Pooled([])
    other = CausalLM(placed_lm.model, placed_lm.vocabulary, placed_lm.start_id, 2)
    with pytest.raises(InputError, match="end tokens"):
        Pooled([placed_lm, other])
    shorter = Vocabulary(placed_lm.vocabulary.tokenizer, 429)
    fewer = CausalLM(placed_lm.model, placed_lm.vocabulary, placed_lm.start_id, 1)
    fewer.vocabulary = shorter
    with pytest.raises(InputError, match="tokenizers"):
        Pooled([placed_lm, fewer])


def test_it_proposes_in_lower_precision(
    placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduced, "_fastest", lambda: "bfloat16")
    whole = Pooled(two(placed_lm))
    lower = whole.in_precision("auto")
    assert (whole.precision, lower.precision) == ("float32", "bfloat16")
    assert lower is whole.in_precision("auto") and whole.in_precision("float32") is whole
    batch = TokenBatch.of(ROWS[:2])
    difference = (whole.log_prob(batch) - lower.log_prob(batch)).abs()
    assert 0 < float(difference.max()) < 0.5
    whole.forget()


class AskedOnce(ToyScorer):
    """Fails where it is asked while it answers."""

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__(seed=1)
        self._reader = self.lock = lock

    def log_prob(self, batch: TokenBatch) -> torch.Tensor:
        assert self.lock.acquire(blocking=False), "two threads read with one memory"
        time.sleep(0.02)
        self.lock.release()
        return super().log_prob(batch)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def check_memories(pool: ModuleType) -> None:
    one = AskedOnce(threading.Lock())
    for both in ([one, one], [one, AskedOnce(one.lock)], [pool.Pooled([one]), one]):
        pool.Pooled(both).log_prob(TokenBatch.of([(2,)]))


@pytest.mark.usefixtures("two_threads")
def test_models_with_one_memory_are_asked_in_turn(placed_lm: CausalLM) -> None:
    check_memories(module)
    both = two(placed_lm)
    assert Pooled(both)._apart and Pooled([both[0].lm, both[1]])._apart
    assert not Pooled([both[0], both[0].lm])._apart
    with pytest.raises(AssertionError, match="one memory"):
        check_memories(load_with_fault("lm.pooled", ("if self._apart else", "if True else")))


def check_sampling(pool: ModuleType) -> None:
    """log Z and a mean of smc beside the sum over all texts."""
    parts = [ToyScorer(seed=1), ToyScorer(seed=2)]
    energy = Fluency(pool.Pooled(parts))
    letters = parts[0].allowed.nonzero()[:, 0].tolist()
    texts = [t for n in range(4) for t in itertools.product(letters, repeat=n)]
    batch = TokenBatch.of(texts)
    log_p = sum(one.log_prob(batch) for one in parts) / 2
    found = sample(energy, sampler="smc", n=20_000, max_length=3, seed=1, progress=False)
    assert abs(found.log_z - float(log_p.logsumexp(0))) < 4 * found.log_z_stderr
    assert found.log_z_stderr < 0.02
    mean = float((log_p.softmax(0) * batch.length).sum())
    weight = found.samples.log_weight.softmax(0)
    assert abs(float((weight * found.samples.batch.length).sum()) - mean) < 0.05


def test_samples_of_it_are_weighed_with_what_is_lost() -> None:
    check_sampling(module)


FAULTS = {
    "a sum": ("total.div_(len(self.scorers))", "total"),
    "the first alone": (
        "for one in others:\n            total",
        "for one in ():\n            total",
    ),
    "normalised": (
        "return self._mean(lambda one: one.next_log_prob(batch, position))",
        "return self._mean(lambda one: one.next_log_prob(batch, position)).log_softmax(1)",
    ),
    "in place": ("total = total + one", "total += one"),
    "of other places": (
        "self._mean(lambda one: one.token_log_prob(batch))",
        "self._mean(lambda one: one.token_log_prob(batch).flip(0))",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seen(placed_lm: CausalLM, name: str) -> None:
    faulty = load_with_fault("lm.pooled", FAULTS[name])
    with pytest.raises((AssertionError, InputError, RuntimeError)):
        check_mean(faulty.Pooled(two(placed_lm)), two(placed_lm))
