"""Tokens that can never be the argmax: planted ones are found, and no others."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest
import torch

from ergotext.errors import InputError
from ergotext.tasks.diagnose.argmax.check import decide, layer_of, unargmaxable
from ergotext.tasks.diagnose.argmax.decided import Decided, Outcome
from ergotext.tasks.diagnose.argmax.layer import OutputLayer
from ergotext.tasks.diagnose.argmax.search import reflected, whitened, won
from ergotext.tasks.diagnose.argmax.workers import solved
from tests.tasks.diagnose.argmax.planted import Layer, in_the_plane, on_the_line, planted

LATE = 4e9
LAYERS: dict[str, Layer] = {
    **{f"plane {seed}": in_the_plane(seed) for seed in range(3)},
    **{f"line with bias {seed}": on_the_line(seed) for seed in range(3)},
    "2000 by 32": planted(0, 2000, 32, 12),
    "500 by 16 with bias": planted(1, 500, 17, 8, bias=True),
}


def decided(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Decided:
    found = Decided(OutputLayer(weight, bias))
    decide(found, 120)
    return found


def tokens(found: Decided, outcome: Outcome) -> set[int]:
    return set((found.outcome == outcome).nonzero()[:, 0].tolist())


def model(weight: torch.Tensor, bias: torch.Tensor | None = None) -> SimpleNamespace:
    return SimpleNamespace(projection=SimpleNamespace(weight=weight, bias=bias))


@pytest.mark.parametrize("name", LAYERS)
def test_exactly_the_planted_tokens_are_found(name: str) -> None:
    weight, bias, never = LAYERS[name]
    found = decided(weight, bias)
    assert tokens(found, Outcome.NEVER) == never
    assert len(tokens(found, Outcome.ARGMAXABLE)) == len(weight) - len(never)
    assert bool((found.radius[sorted(never)] <= 1e-6).all())


@pytest.mark.parametrize("name", LAYERS)
def test_directions_are_hidden_states_that_make_the_token_the_argmax(name: str) -> None:
    weight, bias, never = LAYERS[name]
    layer = OutputLayer(weight, bias)
    every = torch.arange(len(weight))
    first = torch.cat(list(won(layer, every, LATE)))
    assert not set(first.tolist()) & never
    for part, directions in reflected(layer, every, LATE):
        assert not set(part.tolist()) & never
        hidden = directions.double()
        if bias is not None:
            hidden = hidden[:, :-1] / hidden[:, -1:]
        logits = hidden @ weight.T + (0.0 if bias is None else bias)
        assert torch.equal(logits.argmax(1), part)


def test_token_that_needs_a_large_hidden_state_because_of_its_bias() -> None:
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert len(tokens(decided(weight, torch.tensor([-100.0, 0.0, 0.0, 0.0])), Outcome.NEVER)) == 0
    # Without a hidden state's help, the lower of two equal weights never wins.
    twins = torch.cat([weight, weight[:1]])
    bias = torch.tensor([0.0, 0.0, 0.0, 0.0, -0.5])
    assert tokens(decided(twins, bias), Outcome.NEVER) == {4}


def test_tokens_with_one_row_are_only_ever_tied() -> None:
    weight, _, never = in_the_plane(0)
    corner = next(i for i in range(len(weight)) if i not in never)
    found = decided(torch.cat([weight, weight[corner][None]]))
    assert tokens(found, Outcome.TIED) == {corner, len(weight)}
    assert tokens(found, Outcome.NEVER) == never
    report = unargmaxable(model(torch.tensor([[0.0], [0.0], [1.0], [-0.0], [-1.0]])), minutes=1)
    assert [(one.id, one.same_row_as) for one in report.tied] == [(0, 1), (1, 0), (3, 0)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_numbers_are_taken_as_they_are_stored(dtype) -> None:
    weight, bias, never = planted(2, 300, 8, 5)
    assert bias is None and tokens(decided(weight.float()), Outcome.NEVER) == never
    found = decided(weight.to(dtype))
    again = decided(weight.to(dtype).double())
    assert torch.equal(found.outcome, again.outcome)


def test_nearly_equal_rows_are_told_apart() -> None:
    weight = torch.eye(4).repeat(2, 1)
    weight[4:] *= 1 - 2**-20  # inside of an edge between a corner and one more
    weight = torch.cat([weight, torch.zeros(1, 4)])
    found = decided(weight)
    assert tokens(found, Outcome.NEVER) == {4, 5, 6, 7}
    assert tokens(found, Outcome.ARGMAXABLE) == {0, 1, 2, 3, 8}


def test_a_limit_of_0_minutes_decides_nothing_and_says_so() -> None:
    report = unargmaxable(model(torch.eye(3)), minutes=0)
    assert report.argmaxable == 0 and [one.id for one in report.undecided] == [0, 1, 2]
    assert "the time limit is 0 minutes" in report.text()
    assert "the time limit is 0 minutes" in report.markdown()


def test_what_is_decided_is_kept_and_gone_on_from(tmp_path, monkeypatch) -> None:
    weight, _, never = planted(3, 400, 8, 6)
    layer, file = OutputLayer(weight), tmp_path / "argmax.decided"
    first = Decided(layer, file)
    for part in won(layer, torch.arange(200), LATE):
        first.win(part)
    one = min(never)
    first.outcome[one], first.radius[one] = Outcome.NEVER, 0.0
    first.win(torch.tensor([max(set(range(400)) - never)]), whitened(layer, torch.tensor([7])))
    first.save()
    second = Decided(layer, file)
    assert torch.equal(second.outcome, first.outcome) and float(second.radius[one]) == 0.0
    assert second.directions.keys() == first.directions.keys()
    asked: list[int] = []

    def seen(rows, left, *more):
        asked.extend(left)
        return solved(rows, left, *more)

    monkeypatch.setattr("ergotext.tasks.diagnose.argmax.check.solved", seen)
    decide(second, 120)
    assert asked and one not in asked and tokens(second, Outcome.NEVER) == never
    assert torch.equal(Decided(layer, file).outcome, second.outcome)
    with pytest.raises(InputError, match="about another model"):
        Decided(OutputLayer(weight + 1), file)
    file.write_bytes(b"no such file")
    with pytest.raises(InputError, match="no file of decided tokens"):
        Decided(layer, file)


def test_the_time_limit_is_kept() -> None:
    weight, bias, _ = planted(4, 4000, 200, 300)
    found, began = Decided(OutputLayer(weight, bias)), time.time()
    decide(found, 3.0)
    assert time.time() - began < 20 and len(found.open())


@pytest.mark.parametrize(
    ("weight", "bias", "said"),
    [
        (torch.zeros(3), None, "output matrix of floating-point numbers"),
        (torch.zeros(3, 2, dtype=torch.int64), None, "floating-point"),
        (torch.zeros(3, 2), torch.zeros(4), "the bias has shape"),
        (torch.tensor([[1.0], [math.nan]]), None, "NaN or infinite"),
        (torch.ones(2, 1), torch.tensor([0.0, -math.inf]), "NaN or infinite"),
    ],
)
def test_layers_that_cannot_be(weight, bias, said: str) -> None:
    with pytest.raises(InputError, match=said):
        OutputLayer(weight, bias)


def test_models_without_an_output_matrix_and_limits_that_cannot_be() -> None:
    encoder = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match="Linear model has no output matrix"):
        layer_of(encoder)
    for minutes in (-1, math.nan, math.inf):
        with pytest.raises(InputError, match="time limit"):
            unargmaxable(model(torch.eye(2)), minutes)
    with pytest.raises(InputError, match="at least one process"):
        unargmaxable(model(torch.eye(2)), workers=0)
