from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.loading import load
from ergotext.samplers.draws import SeededDraws
from ergotext.tasks.diagnose.continuations import Continuations, continued
from ergotext.tasks.diagnose.laws import top_k, whole
from ergotext.tasks.diagnose.repeats import distinct_n, joined, rep_n, repeats
from ergotext.tasks.diagnose.repetition import repetition
from ergotext.tasks.diagnose.transitions import OTHERS, Contexts, Transitions
from tests.faulty import load_with_fault
from tests.tasks.diagnose.worlds import Markov, markov


def chain_of(chain: Markov, mean_length: float = math.inf) -> Transitions:
    """The chain of a Markov world, from one context for each of its tokens."""
    size = chain.size
    law = chain.law.exp().numpy()
    likely = np.tile(np.arange(1, size), (size - 1, 1))
    everywhere = Contexts(np.arange(1, size), likely, law[1:, 1:], law[1:, 0])
    first = Contexts(np.array([1]), likely[:1], law[1:2, 1:], law[1:2, 0])
    return Transitions.estimated(everywhere, first, mean_length)


def comes_back(matrix: np.ndarray, state: int) -> float:
    """The probability of ever coming back, by solving for the hits from every other state."""
    others = [j for j in range(len(matrix)) if j != state]
    inner = np.eye(len(others)) - matrix[np.ix_(others, others)]
    hit = np.linalg.solve(inner, matrix[others, state])
    return float(matrix[state, state] + matrix[state, others] @ hit)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mean_length", [math.inf, 5.0])
def test_returns_of_a_markov_model_are_exact(seed: int, mean_length: float) -> None:
    world = markov(1, seed=seed)
    chain = chain_of(world, mean_length)
    kept = world.law.exp().numpy()[1:, 1:] * (1 - 1 / mean_length)
    assert np.allclose(chain.matrix[:-1, :-1], kept) and np.allclose(chain.matrix[:-1, -1], 0)
    exact = [comes_back(kept, i) for i in range(len(kept))]
    assert chain.returns[:-1] == pytest.approx(exact, abs=1e-12)
    assert chain.repetition()[0] == pytest.approx(np.mean(exact), abs=1e-12)
    powers = sum(np.linalg.matrix_power(kept, k) for k in range(3000))
    assert chain.visits[:-1] == pytest.approx(chain.start[:-1] @ powers, abs=1e-9)
    assert bool((chain.bound() >= chain.returns - 1e-12).all())


def test_a_cycle_by_hand() -> None:
    """1 → 2 → 1 …, each step ends with probability 0.1: back with 0.81."""
    matrix = np.array([[0.0, 0.9], [0.9, 0.0]])
    chain = Transitions(((1,), (2,)), matrix, np.array([1.0, 0.0]))
    assert chain.returns == pytest.approx([0.81, 0.81])
    assert chain.visits == pytest.approx([1 / 0.19, 0.9 / 0.19])
    assert chain.bound() == pytest.approx([1.0, 1.0])


def test_inflow_counts_each_state_before_once() -> None:
    """Everything leads to state 2, and state 0 is met far more often than state 1."""
    last = np.array([1, 1, 1, 1, 2, 3])
    likely = np.tile([1, 2, 3], (6, 1))
    probability = np.array([[0.1, 0.1, 0.8]] * 4 + [[0.05, 0.05, 0.5]] + [[0.6, 0.3, 0.05]])
    contexts = Contexts(last, likely, probability, 1 - probability.sum(1))
    chain = Transitions.estimated(contexts, contexts, math.inf)
    mean, share = chain.inflow(0.4)
    assert mean[2] == pytest.approx((0.8 + 0.5 + 0.05) / 3) and share[2] == pytest.approx(2 / 3)
    assert mean[0] == pytest.approx((0.1 + 0.05 + 0.6) / 3) and share[0] == pytest.approx(1 / 3)


def test_tokens_never_met_share_a_state() -> None:
    likely = np.array([[5, 7, 9], [5, 7, 9]])
    probability = np.array([[0.5, 0.2, 0.2], [0.1, 0.3, 0.4]])
    contexts = Contexts(np.array([5, 7]), likely, probability, np.array([0.1, 0.1]))
    chain = Transitions.estimated(contexts, contexts, math.inf)
    assert chain.tokens == ((5,), (7,), OTHERS)
    # 0.2 and 0.4 of token 9, and 0.1 of what is not among the likeliest in the second context.
    assert chain.matrix[:2] == pytest.approx(np.array([[0.5, 0.2, 0.2], [0.1, 0.3, 0.5]]))
    assert chain.matrix[2] == pytest.approx([0.3, 0.25, 0.35])
    assert chain.own.tolist() == [True, True, False]


def texts(chain: Transitions, length: int) -> dict[tuple[int, ...], float]:
    """The probability of every text, by its tokens, of at most ``length`` of them."""
    ends = 1 - chain.matrix.sum(1)
    found: dict[tuple[int, ...], float] = {}
    for n in range(1, length + 1):
        for way in itertools.product(range(len(chain.matrix)), repeat=n):
            tokens = sum((chain.tokens[i] for i in way), ())
            if len(tokens) > length:
                continue
            steps = [chain.matrix[i, j] for i, j in itertools.pairwise(way)]
            p = float(chain.start[way[0]] * np.prod(steps) * ends[way[-1]])
            if p > 1e-15:
                assert tokens not in found, "a text is cut up in one way only"
                found[tokens] = p
    return found


def small(seed: int) -> Transitions:
    chain = chain_of(markov(1, size=4, seed=seed))
    return Transitions(chain.tokens[:-1], chain.matrix[:-1, :-1], chain.start[:-1])


@pytest.mark.parametrize("pairs", [[(0, 1)], [(2, 0), (0, 1)], [(0, 1), (3, 2)]])
def test_merging_changes_no_text(pairs: list[tuple[int, int]]) -> None:
    chain = small(1)
    before = texts(chain, 4)
    for one, two in pairs:
        chain = chain.merged(one, two)
    after = texts(chain, 4)
    assert after.keys() == before.keys()
    assert max(abs(after[text] - before[text]) for text in before) < 1e-12


FAULTS = [
    ("matrix[:, size] = matrix[:, one] * follows", "matrix[:, size] = self.matrix[0, one]"),
    ("        matrix[:, one] *= rest\n", "\n"),
    ("matrix[size] = matrix[two]", "matrix[size] = matrix[one]"),
    ("        start[one] *= rest\n", "\n"),
    ("        matrix[one, two] = 0.0\n", "\n"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_merging_are_noticed(fault: tuple[str, str]) -> None:
    faulty = load_with_fault("tasks.diagnose.transitions", fault)
    chain = small(1)
    wrong = faulty.Transitions(chain.tokens, chain.matrix, chain.start).merged(0, 1)
    before = texts(chain, 3)
    try:
        after = texts(wrong, 3)
    except AssertionError:
        return
    assert any(after.get(text, 0.0) != pytest.approx(p, abs=1e-9) for text, p in before.items())


@pytest.mark.parametrize(
    "fault",
    [
        ("np.diag(self._visits), 0.0", "self._visits.sum(1), 0.0"),
        ("np.eye(len(self.matrix)) - self.matrix", "np.eye(len(self.matrix)) - self.matrix.T"),
        (
            "return cls(tokens, matrix * (1 - 1 / mean_length), start)",
            "return cls(tokens, matrix, start)",
        ),
    ],
)
def test_faults_of_the_chain_are_noticed(
    fault: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = load_with_fault("tasks.diagnose.transitions", fault)
    here = globals()
    for name in ("Contexts", "Transitions"):
        monkeypatch.setitem(here, name, getattr(faulty, name))
    with pytest.raises(AssertionError):
        test_returns_of_a_markov_model_are_exact(0, 5.0)


def test_merging_a_certain_pair_and_a_state_with_itself() -> None:
    chain = Transitions(((1,), (2,)), np.array([[0.0, 1.0], [0.5, 0.0]]), np.array([1.0, 0.0]))
    merged = chain.merged(0, 1)
    assert merged.start == pytest.approx([0, 0, 1]) and merged.matrix[2] == pytest.approx(
        [0, 0, 0.5]
    )
    assert merged.returns[2] == pytest.approx(0.5) and chain.returns[0] == pytest.approx(0.5)
    with pytest.raises(InputError, match="cannot be merged with itself"):
        chain.merged(1, 1)


def test_rebalancing_takes_the_pairs_above() -> None:
    chain = small(2)
    merged, merges = chain.rebalanced(0.25, 3)
    assert 0 < len(merges) <= 3 and len(merged.tokens) == len(chain.tokens) + len(merges)
    assert all(share > 0.25 for _, _, share in merges)
    assert chain.rebalanced(1.0, 3) == (chain, [])


def test_measures_by_hand() -> None:
    text = [1, 2, 1, 2, 3]
    assert [rep_n(text, n) for n in (1, 2, 3, 4, 6)] == pytest.approx([0.4, 0.25, 0, 0, 0])
    assert distinct_n([text, [3, 1]], 1) == pytest.approx(3 / 7)
    assert distinct_n([text, [1, 2]], 2) == pytest.approx(3 / 5) and distinct_n([[1]], 2) == 1
    found = repeats("x", [text, [1, 2, 3, 4, 5]])
    assert found.rep[0] == pytest.approx(0.2) and found.stderr == pytest.approx([0.2, 0.125, 0, 0])


def test_one_text_has_no_standard_error() -> None:
    assert repeats("x", [[1, 1]]).stderr is None


def test_pairs_are_joined_from_left_to_right() -> None:
    text = [(1,), (1,), (2,), (3,), (1,)]
    assert joined(text, [((1,), (2,))]) == [(1,), (1, 2), (3,), (1,)]
    assert joined(text, [((1,), (2,)), ((1, 2), (3,))]) == [(1,), (1, 2, 3), (1,)]
    assert joined([(1,), (1,), (1,)], [((1,), (1,))]) == [(1, 1), (1,)]


def test_continuations_never_end_and_record_the_law() -> None:
    world, ids = markov(3, end=4.0), [[1], [1], [1]]
    found = continued(SeededDraws(0), world, ids, whole, 6)
    assert isinstance(found, Continuations) and not (found.tokens == 0).any()
    law = world.law.exp()
    last = torch.cat([torch.ones(3, 1, dtype=torch.int64), found.tokens[:, :-1]], 1)
    assert torch.allclose(found.ends, law[last, 0])
    noted = law[last].gather(2, found.likely)
    assert torch.allclose(found.probability, noted.masked_fill(found.likely == 0, 0))


def test_penalty_is_that_of_the_paper() -> None:
    """Greedy over a two-way tie: what was written, or stood in the prompt, is not written again."""
    logits = torch.tensor([[-9, 3.0, 2.9, -1], [-9, 3.0, 2.9, -1], [-9, 3.0, 2.9, -1]]).double()
    world = Markov(torch.cat([logits, logits[:1]]) - 3.0, torch.tensor([3]))  # logits() adds 3
    plain = continued(SeededDraws(0), world, [[3]], top_k(1), 4).tokens.tolist()
    assert plain == [[1, 1, 1, 1]]
    less = continued(SeededDraws(0), world, [[3]], top_k(1), 4, 1.2).tokens.tolist()
    assert less == [[1, 2, 1, 1]]  # 3 / 1.2 = 2.5 < 2.9, then both are penalised alike
    known = continued(SeededDraws(0), world, [[1]], top_k(1), 1, 1.2).tokens.tolist()
    assert known == [[2]]
    last = continued(SeededDraws(0), world, [[1, 2]], top_k(1), 1, 40.0).tokens.tolist()
    assert last == [[1]]  # −1 stays below 3 / 40; divided and not multiplied, it would too


@pytest.fixture(scope="module")
def tiny() -> CausalLM:
    return load("tiny-causal")


def test_report(tiny: CausalLM) -> None:
    prompts = ["The sun", "", "A dog ran after"]
    report, again = (repetition(tiny, prompts, length=8, seed=3) for _ in range(2))
    first, second = report.as_dict(), again.as_dict()
    assert first.pop("seconds") and second.pop("seconds") and first == second
    assert json.loads(json.dumps(first)) == first
    by_name = {one.name: one for one in report.decoders}
    assert by_name["greedy, penalty 1.2"].rep[0] <= by_name["greedy"].rep[0]
    assert 0 <= report.chain.over_states <= report.chain.bound <= 1
    assert len(report.inflow) == 10 and all(0 <= one.share <= 1 for one in report.inflow)
    assert "high-inflow tokens" in report.text() and "(3 prompts, 8 tokens each" in report.text()
    assert repetition(tiny, ["The sun"], length=1).decoders[0].rep == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 0}, "length must be an integer of at least 1"),
        ({"p": 0.0}, "p must be between 0 and 1"),
        ({"penalty": 0.5}, "penalty at least 1"),
        ({"prompts": []}, "there are no prompts"),
        ({"length": 1 << 20}, "exceed the .* that the model's window leaves"),
    ],
)
def test_bad_input(tiny: CausalLM, change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        repetition(tiny, **{"prompts": ["The sun"], **change})
    assert "\n" not in str(caught.value)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(InputError, match="MaskedLM does not write text from left to right"):
        repetition(load("tiny-masked"))
