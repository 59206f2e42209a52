"""Gradients of the objectives, against autograd of the plain formula and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ergotext.tasks.training.examples import Example
from ergotext.tasks.training.seq2seq.choices import Choices
from ergotext.tasks.training.seq2seq.objectives import (
    cross_entropy,
    expected_score,
    listwise,
    log_prob_of,
    log_softmax_by,
    shortfall,
    zeroth_order_gradient,
)
from ergotext.tasks.training.seq2seq.scoring import Batch, Coder
from tests.tiny_t5 import t5_of, tokenizer_of

ROW = torch.tensor([0, 1, 0, 0, 1, 2])
WORTH = torch.tensor([0.0, 1.0, 1.0, 0.25, 0.5, 0.75], dtype=torch.float64)


def logits() -> Tensor:
    return torch.tensor([0.3, -1.0, 2.0, 500.0, -800.0, 7.0], dtype=torch.float64) / 10


def test_softmax_is_within_rows() -> None:
    found = log_softmax_by(logits(), ROW, 3)
    for number in range(3):
        at = number == ROW
        assert torch.allclose(found[at], logits()[at].log_softmax(0), atol=1e-12)


def test_the_gradient_of_the_expected_score_is_the_policy_gradient() -> None:
    """Σ p (R − Σ p R) ∂ log p, with log p the log-probabilities that were put in."""
    values = logits().requires_grad_()
    expected_score(values, WORTH, ROW, 3).sum().backward()
    for number in range(3):
        at = number == ROW
        share = logits()[at].softmax(0)
        mean = share @ WORTH[at]
        assert torch.allclose(values.grad[at], share * (WORTH[at] - mean), atol=1e-12)


def test_it_agrees_with_finite_differences() -> None:
    values = (logits() / 50).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: expected_score(v, WORTH, ROW, 3), values)


def mild(model: nn.Module) -> nn.Module:
    """Smaller weights: a loss that is no cliff."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.4)
    return model


@pytest.fixture(scope="module")
def toy() -> tuple[nn.Module, Batch]:
    tokenizer = tokenizer_of(["苹果产地颜色是什么"])
    model = mild(t5_of(tokenizer)).double()
    batch = Coder(tokenizer).batch(
        ["苹果是什么颜色", "产地"], ["苹果\t颜色", "苹果\t产地", "果\t颜色", "产\t地", "地\t产"]
    )
    rest = {
        "row": torch.tensor([0, 0, 0, 1, 1]),
        "true": torch.tensor([0, 3]),
        "worth": torch.tensor([1.0, 0.3, 0.0, 1.0, 0.0]),
        "log_chance": torch.zeros(5),
    }
    return model, {**batch, **rest}


@pytest.mark.parametrize("loss", [listwise, shortfall])
def test_gradients_of_a_whole_model(loss: object, toy: tuple[nn.Module, Batch]) -> None:
    """Along a random direction, by central differences; dropout is off."""
    model, batch = toy
    assert callable(loss)
    model.zero_grad()
    loss(model, batch).backward()
    parameters = [p for p in model.parameters() if p.grad is not None]
    torch.manual_seed(3)
    way = [torch.randn_like(p) for p in parameters]
    slope = sum(float((p.grad * w).sum()) for p, w in zip(parameters, way, strict=True))

    def at(step: float) -> float:
        with torch.no_grad():
            for p, w in zip(parameters, way, strict=True):
                p.add_(step * w)
            value = loss(model, batch).item()
            for p, w in zip(parameters, way, strict=True):
                p.sub_(step * w)
        return value

    # T5 takes its norms in float32, so steps may not be much smaller.
    assert slope == pytest.approx((at(1e-4) - at(-1e-4)) / 2e-4, rel=1e-2) and abs(slope) > 1e-2


def test_what_is_written_is_normalised_per_token(toy: tuple[nn.Module, Batch]) -> None:
    """log p(key) is the sum over its tokens and the end, of which cross-entropy is the mean."""
    model, batch = toy
    coder = Coder(tokenizer_of(["苹果产地颜色是什么"]))
    one = coder.batch(["苹果是什么颜色"], ["苹果\t产地"])
    tokens = len("苹果\t产地") + 1
    with torch.no_grad():
        found, mean = log_prob_of(model, batch)[1], cross_entropy(model, one)
    assert float(found) == pytest.approx(-tokens * float(mean), rel=1e-6)


def test_listwise_is_cross_entropy_and_the_share_of_the_true_key(
    toy: tuple[nn.Module, Batch],
) -> None:
    model, batch = toy
    with torch.no_grad():
        scores, loss = log_prob_of(model, batch), listwise(model, batch)
    first, second = scores[:3].log_softmax(0)[0], scores[3:].log_softmax(0)[0]
    length = [len("苹果\t颜色") + 1, len("产\t地") + 1]
    plain = -(scores[0] + scores[3]) / sum(length)
    assert float(loss) == pytest.approx(float(plain - (first + second) / 2))


def test_zeroth_order_steps_are_the_gradient_on_average() -> None:
    """Of a cubic: within five standard errors of autograd, and θ is as it was."""
    theta = nn.Parameter(torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def value() -> Tensor:
        return (theta**3).sum() * 0.1 + theta[0] * theta[1]

    before = theta.detach().clone()
    value().backward()
    assert theta.grad is not None
    true = theta.grad.clone()
    found = []
    for seed in range(4000):
        middle = zeroth_order_gradient([theta, frozen], value, seed, 1e-4)
        found.append(theta.grad.clone())
    assert torch.allclose(theta, before, atol=1e-12) and frozen.grad is None
    assert middle.item() == pytest.approx(value().item(), abs=1e-6)
    each = torch.stack(found)
    error = each.std(0) / math.sqrt(len(each))
    assert bool(((each.mean(0) - true).abs() < 5 * error).all())


def test_zeroth_order_of_a_straight_line_is_exact_along_its_noise() -> None:
    slope = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    theta = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    zeroth_order_gradient([theta], lambda: slope @ theta, 7, 0.1)
    noise = torch.randn(4, generator=torch.Generator().manual_seed(7)).double()
    assert torch.allclose(theta.grad, (slope @ noise) * noise, rtol=1e-9)


def test_objectives_learn(toy: tuple[nn.Module, Batch]) -> None:
    """Twenty steps of each on one batch raise the expected score."""
    _, batch = toy
    for loss in (listwise, shortfall):
        model = t5_of(tokenizer_of(["苹果产地颜色是什么"]), seed=1)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        first = shortfall(model, batch).item()
        for _ in range(20):
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
        assert shortfall(model, batch).item() < first - 0.05


def test_true_keys_are_there_once(little_choices: Choices) -> None:
    examples = [
        Example("苹果产自哪里？", "苹果\t产地\t水果"),
        Example("苹果有什么新鲜的", "苹果\t新鲜"),
    ]
    batch = little_choices(examples, 0)
    worth = batch["worth"][batch["true"]]
    assert worth.tolist() == [1.0, 1.0] and batch["log_chance"][batch["true"]].tolist() == [0, 0]
    labels = {tuple(row) for row in batch["labels"][batch["row"] == 0].tolist()}
    assert len(labels) == int((batch["row"] == 0).sum())
    assert int(batch["row"].bincount().max()) <= 4
