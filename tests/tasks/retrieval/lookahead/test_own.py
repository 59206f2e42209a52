"""Where the calibration of one's own base stands."""

from pathlib import Path

import pytest

from ergotext.tasks.retrieval.calibration import calibration_file
from ergotext.tasks.retrieval.lookahead.own import own_calibration


@pytest.mark.parametrize(
    ("index", "file"),
    [
        ("a/kb.ergo", "a/kb.calibration.json"),
        ("kb", "kb.calibration.json"),
        ("a.b.c", "a.b.calibration.json"),
    ],
)
def test_stands_beside_the_index(index: str, file: str) -> None:
    assert calibration_file(Path(index)) == Path(file)


@pytest.mark.parametrize("index", ["", ".", "..", "/"])
def test_paths_without_a_name_have_none(index: str) -> None:
    assert own_calibration(Path(index), "tiny-retriever", "auto") == (None, None)
