"""Load a look-ahead by name."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Literal, get_args

from ergotext.errors import InputError
from ergotext.lm.conversion import expanded
from ergotext.lm.sources import source_of
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.lookahead.fitted import Fitted
from ergotext.tasks.retrieval.lookahead.learned import Matched, matcher_folders
from ergotext.tasks.retrieval.lookahead.network import CONFIG, WEIGHTS
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.request import Decode

Name = Literal["auto", "learned", "strings", "none"]


def lookahead_named(name: str, model: str, decode: Decode = "beam") -> Potential | None:
    """The look-ahead of this name; ``auto`` is ``learned`` where the model brings one.

    A masked model's answers have none, so ``auto`` is ``none`` for ``decode`` "mlm".

    Raises
    ------
    InputError
        There is no such name, or nothing learned beside the model.
    ModelError
        What was learned is damaged.
    """
    if name not in get_args(Name):
        raise InputError(f"no look-ahead {name!r}; choose one of {', '.join(get_args(Name))}")
    if name == "none" or (name == "auto" and decode == "mlm"):
        return None
    if name == "strings" or (name == "auto" and _learned(model) is None):
        return StringMatch()
    return load_lookahead(model)


def load_lookahead(model: str) -> Matched:
    """The learned look-ahead that a model brings, by the model's name or folder.

    Raises
    ------
    InputError
        It brings none.
    ModelError
        What it brings is damaged.
    """
    return Matched.load(learned_folder(model))


def learned_folder(model: str) -> Path:
    """Folder of the look-ahead of a model; InputError if it has none."""
    folder = _learned(model)
    if folder is None:
        raise InputError(f"the model {model} has no look-ahead ({CONFIG}): use strings")
    return folder


def learned_digest(model: str) -> str:
    """Digest of a model's look-ahead and its scale; empty if there is none."""
    folder = _learned(model)
    if folder is None:
        return ""
    told = blake2b(str(Fitted.load(folder).scale).encode(), digest_size=8)
    for path in (each / name for each in matcher_folders(folder) for name in (CONFIG, WEIGHTS)):
        told.update(path.read_bytes() if path.is_file() else b"")
    return told.hexdigest()


def _learned(model: str) -> Path | None:
    """The folder of a model, if a look-ahead lies in it, or of a look-ahead alone."""
    alone = expanded(model)
    if (alone / CONFIG).is_file() and not (alone / "config.json").is_file():
        return alone
    folder = source_of(model)
    return folder if isinstance(folder, Path) and (folder / CONFIG).is_file() else None
