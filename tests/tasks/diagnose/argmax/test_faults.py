"""Faults put into the search, one at a time: the checks see each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.faulty import load_with_fault
from tests.tasks.diagnose.argmax.planted import in_the_plane, on_the_line, planted

LATE = 4e9
ROOM = "tasks.diagnose.argmax."
LAYERS = [
    in_the_plane(1),
    on_the_line(1),
    planted(8, 300, 9, 12),
    planted(9, 300, 9, 12, bias=True),
]


def layer_check(layer_type) -> None:
    """A direction counts if, and only if, it makes its token the only argmax."""
    for weight, bias, _ in LAYERS:
        layer = layer_type(weight, bias)
        directions = layer.rows[:50].double() - layer.rows.double().mean(0)
        if bias is not None:
            directions[::2, -1] = directions[::2, -1].abs() + 0.1
        rows = weight if bias is None else torch.cat([weight, bias[:, None]], 1)
        scores = directions @ rows.double().T
        top = scores.topk(2, 1)
        upward = torch.ones(50, dtype=torch.bool) if bias is None else directions[:, -1] >= 0
        for guess in (torch.arange(50), top.indices[:, 0], top.indices[:, 1]):
            wins = (top.indices[:, 0] == guess) & upward
            assert torch.equal(layer.argmaxed(directions, guess), wins)
    # 0.1 + 0.2 against 0.3: a lead that rounding alone makes is none.
    close = layer_type(torch.tensor([[0.1, 0.2], [0.3, 0.0]], dtype=torch.float64))
    ones = torch.ones(1, 2, dtype=torch.float64)
    assert not close.argmaxed(ones, torch.tensor([0])) and not close.argmaxed(
        ones, torch.tensor([1])
    )
    equal = layer_type(torch.tensor([[1.0, -0.0], [1.0, 0.0], [2.0, 0.0]]))
    assert equal.tied.tolist() == [True, True, False]
    shifted = layer_type(torch.rand(40, 3) + 1000)
    assert float(shifted.centred.mean().abs()) < 1e-3


def search_check(search, layer_type) -> None:
    """No token that is never the argmax is won, and the others are within some steps."""
    for weight, bias, never in LAYERS:
        layer = layer_type(weight, bias)
        every = torch.arange(len(weight))
        first = set(torch.cat(list(search.won(layer, every, LATE))).tolist())
        parts = list(search.reflected(layer, every, LATE))
        won = set(torch.cat([tokens for tokens, _ in parts]).tolist())
        assert not (first | won) & never
        assert len(won) >= 0.8 * (len(weight) - len(never))
        if weight.shape[1] > 2 and bias is None:
            assert len(first) >= 0.8 * (len(weight) - len(never))  # points of a sphere
        for tokens, directions in parts:
            assert bool(layer.argmaxed(directions, tokens).all())
    # A difference of the last bit is no proof in single precision.
    near = torch.tensor([[1.0, 0.0], [1.0 - 2**-24, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert torch.cat(list(search.won(layer_type(near), torch.arange(2), LATE))).tolist() == []


def program_check(program) -> None:
    """Each token is decided, and rightly, by each solver."""
    for weight, bias, never in LAYERS:
        parts = [weight.numpy()] + ([] if bias is None else [bias.numpy()[:, None]])
        rows = np.hstack(parts)
        for token in [*sorted(never)[:6], *sorted(set(range(len(rows))) - never)[:8]]:
            found = program.solve(rows, token, bias is not None, LATE)
            assert (found.radius is not None) == (token in never)
            assert (found.direction is not None) == (token not in never)
    # The solver decides whether a proof needs it: at most -x_t, and x_t, for x_t from 0 to 1.
    sure = np.ones(1)
    assert program._bound(np.array([[0.0, 1.0]]), sure, True) == 0.0
    assert program._bound(np.array([[0.0, -1.0]]), sure, True) == 1.0
    rows = np.array([[1.0, 0.0, -100.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    assert program.solve(rows, 0, True, LATE).direction is not None
    normals = (rows[1:] - rows[0]) / np.linalg.norm(rows[1:] - rows[0], axis=1)[:, None]
    for solver in (program.least_squares, program.largest_ball):
        assert solver(normals, True, 60.0)[0][-1] >= -1e-12


LAYER_FAULTS = {
    "sign of the bias": ("bias.detach().to(exact)[:, None]", "-bias.detach().to(exact)[:, None]"),
    "no margin": ("met: Tensor = own - others > slack * (", "met: Tensor = own - others > 0 * ("),
    "a tie counts": ("met: Tensor = own - others > slack", "met: Tensor = own - others > -slack"),
    "a direction downwards counts": ("met &= directions[:, -1] >= 0", "pass"),
    "the centre is not subtracted": ("(part.double() - mean).float()", "part.float()"),
    "-0 differs from 0": ("(self.rows + 0.0)", "self.rows"),
    "the token is its own rival": ("scores[here, tokens[here] - start] = -torch.inf", "pass"),
}
SEARCH_FAULTS = {
    "no margin": ("    return slack\n", "    return 0 * slack\n"),
    "a tenth of the step": ("torch.maximum(-2 * gap", "torch.maximum(-0.02 * gap"),
    "reflected away": ("at + step[:, None] * apart", "at - step[:, None] * apart"),
    "the bias entry may be negative": ("if layer.has_bias:", "if False:"),
    "not whitened, and not centred": (
        "layer.centred[tokens] @ layer.whitening", "layer.rows[tokens].float()"
    ),
}  # fmt: skip
PROGRAM_FAULTS = {
    "normals turned round": ("(rows[active].astype(np.float64) - own) /", "(own - rows[active]) /"),
    "every bound proves it": ("<= RADIUS:", "<= 1.0:"),
    "no bound proves it": ("<= RADIUS:", "<= 0.0:"),
    "rows are never added": ("fresh = np.setdiff1d(worst[margin[worst] < 0], active)",
                             "fresh = worst[:0]"),
    "the token stands in its own way": ("margin[token] = np.inf", "margin[token] = -1.0"),
    "the bias entry is free": ("columns = np.column_stack([columns, -np.eye(len(columns))[-2]])",
                               "pass"),
    "the bound forgets that the bias entry is not negative": (
        "np.abs(mixed[:-1]).sum() + max(0.0, -mixed[-1])", "np.abs(mixed).sum()"
    ),
}  # fmt: skip


def test_the_checks_pass_without_a_fault() -> None:
    from ergotext.tasks.diagnose.argmax import program, search
    from ergotext.tasks.diagnose.argmax.layer import OutputLayer

    layer_check(OutputLayer)
    search_check(search, OutputLayer)
    program_check(program)


@pytest.mark.parametrize("fault", LAYER_FAULTS)
def test_fault_of_the_layer_is_seen(fault: str) -> None:
    faulty = load_with_fault(ROOM + "layer", LAYER_FAULTS[fault])
    with pytest.raises(AssertionError):
        layer_check(faulty.OutputLayer)


@pytest.mark.parametrize("fault", SEARCH_FAULTS)
def test_fault_of_the_search_is_seen(fault: str) -> None:
    from ergotext.tasks.diagnose.argmax.layer import OutputLayer

    faulty = load_with_fault(ROOM + "search", SEARCH_FAULTS[fault])
    with pytest.raises(AssertionError):
        search_check(faulty, OutputLayer)


@pytest.mark.parametrize("fault", PROGRAM_FAULTS)
def test_fault_of_the_program_is_seen(fault: str) -> None:
    faulty = load_with_fault(ROOM + "program", PROGRAM_FAULTS[fault])
    with pytest.raises(AssertionError):
        program_check(faulty)
