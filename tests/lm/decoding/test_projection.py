"""The blocked projection against the plain one, by each of its ways to multiply."""

from __future__ import annotations

import pytest
import torch

from ergotext.lm.decoding import projection
from ergotext.lm.decoding.projection import Projection


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("softcap", "scale"), [(None, 1.0), (2.0, 1.0), (None, 0.25)])
def test_blocks_add_up(
    onednn: bool,
    dtype: torch.dtype,
    softcap: float | None,
    scale: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projection, "ROWS", 3)
    monkeypatch.setattr(projection, "COLUMNS", 7)
    monkeypatch.setattr(projection, "ONEDNN", onednn and projection.ONEDNN)
    draw = torch.Generator().manual_seed(0)
    weight, bias, hidden = (
        torch.randn(shape, generator=draw).to(dtype) for shape in ((40, 8), (40,), (5, 8))
    )
    ours = Projection(weight, 3 * bias, softcap, scale)
    logits = (hidden.double() @ weight.double().T + 3 * bias.double()) * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    slack = 1e-5 if dtype == torch.float32 else 0.1
    targets = torch.tensor([0, 39, 7, 6, 13])
    for value, expected in (
        (ours.log_z(hidden), logits.logsumexp(-1)),
        (ours.logits(hidden), logits),
        (ours.target_logits(hidden, targets), logits[torch.arange(5), targets]),
    ):
        torch.testing.assert_close(value.double(), expected, atol=slack, rtol=0)
