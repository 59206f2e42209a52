"""The calibration of one's own base, stored beside its index."""

from __future__ import annotations

from pathlib import Path

from ergotext.errors import ModelError
from ergotext.lm.trie.header import IndexFile
from ergotext.tasks.retrieval.calibration import Calibration, calibration_file
from ergotext.tasks.retrieval.lookahead.learned import learned_digest


def origin(index: Path, model: str, lookahead: str) -> dict[str, str]:
    """What a calibration was fitted to: the digests of index and look-ahead."""
    learned = learned_digest(model) if lookahead in ("auto", "learned") else ""
    content = str(IndexFile.open(index).meta["content"])
    return {"index": content, "lookahead": learned or "strings"}


def own_calibration(
    index: Path, model: str, lookahead: str
) -> tuple[Calibration | None, str | None]:
    """The calibration beside an index, if there is one for this look-ahead, and a warning.

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
    if found.about.get("lookahead") != now["lookahead"]:
        return None, (
            f"{path} was fitted to another model or look-ahead and is not used: run ergotext "
            "calibrate again, or remove it"
        )
    if found.about.get("index") != now["index"]:
        return found, f"the index has changed since {path} was fitted: run ergotext calibrate again"
    return found, None
