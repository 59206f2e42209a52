"""The number of CPU threads of torch."""

from __future__ import annotations


def use_threads(count: int | None) -> None:
    """Let torch compute with ``count`` CPU threads; None leaves the choice to torch."""
    if count is not None:
        import torch

        torch.set_num_threads(count)
