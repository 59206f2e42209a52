"""The calibration of one's own base, stored beside its index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ergotext.errors import ModelError
from ergotext.lm.sources import source_of
from ergotext.lm.trie.header import IndexFile
from ergotext.tasks.retrieval.calibration import Calibration, calibration_file
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.origin import digest_of_lookahead, model_digest


def origin(index: Path, model: str, lookahead: Potential) -> dict[str, str]:
    """What a calibration was fitted to and with: digests of index, model and look-ahead."""
    return {
        "index": str(IndexFile.open(index).meta["content"]),
        "model": model_digest(source_of(model)),
        "lookahead": digest_of_lookahead(lookahead),
    }


def own_calibration(
    index: Path, model: str, lookahead: Potential
) -> tuple[Calibration | None, str | None]:
    """The calibration beside an index, if there is one for these, and a warning.

    Raises
    ------
    ModelError
        It cannot be read.
    """
    path = calibration_file(index)
    if not path.is_file():
        return None, None
    found, now = Calibration.load(path), origin(index, model, lookahead)
    if not found.about:
        raise ModelError(f"{path} does not say what it was fitted to: run ergotext calibrate again")
    for name, what in (("model", "model"), ("lookahead", "look-ahead")):
        if found.about.get(name) != now[name]:
            return None, (
                f"{path} was fitted with another {what} and is not used: run ergotext calibrate "
                "again, or remove it"
            )
    if found.about.get("index") != now["index"]:
        said = f"the index has changed since {path} was fitted: run ergotext calibrate again"
        return replace(found, sets=None), said
    return found, None
