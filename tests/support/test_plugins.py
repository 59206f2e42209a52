"""Functions of a user's own: what is told of their errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergotext.support.plugins import OwnCodeError, function_of


def test_an_error_in_no_line_of_the_file(tmp_path: Path) -> None:
    """A built-in function has no lines."""
    file = tmp_path / "mine.py"
    file.write_text("from math import sqrt\n", encoding="utf-8")
    function, _ = function_of(f"{file}:sqrt")
    with pytest.raises(OwnCodeError, match="failed outside of its lines: TypeError"):
        function(["a text"])
