"""Load the model that a command was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ergotext.support.threads import use_threads

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM
    from ergotext.lm.loading import Dtype


def load(model: str, device: str, dtype: str, threads: int | None) -> CausalLM:
    """Load the model that a command was given."""
    from ergotext.lm.loading import load_causal

    use_threads(threads)
    return load_causal(model, device=device, dtype=cast("Dtype", dtype))
