"""What the built-in energies refuse."""

from __future__ import annotations

import pytest

import ergotext as et


def test_the_name_of_a_model_is_no_model() -> None:
    with pytest.raises(et.InputError, match=r"load it, et\.load\('tiny-causal'\)"):
        et.fluency("tiny-causal")  # type: ignore[arg-type]  # as people write it
