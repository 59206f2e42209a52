"""What a calibration was fitted with: digests of a model and of its look-ahead."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

BLOCK = 1 << 14
BLOCKS = 256
"""Parts of a file of weights that are read, spread over it evenly: 4 MB, whatever its size."""


def model_digest(source: Path | str) -> str:
    """Digest of the configuration and weights of a model's folder, or of a hub id's in the cache.

    Of large files only parts are read: training changes weights everywhere. Weights in other
    formats than safetensors are never loaded, so they do not count. A hub id that is not in the
    cache is its own digest.
    """
    folder = _folder(source)
    files = sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")])
    if not files:
        return str(source)
    told = blake2b(digest_size=8)
    for path in files:
        told.update(f"{path.name} {path.stat().st_size}".encode())
        with path.open("rb") as file:
            for at in _places(path.stat().st_size):
                file.seek(at)
                told.update(file.read(BLOCK))
    return told.hexdigest()


def _folder(source: Path | str) -> Path:
    """The folder of a model; of a hub id the revision in the cache, without any look at the hub."""
    if Path(source).is_dir():
        return Path(source)
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(str(source), "config.json", local_files_only=True)
    except (OSError, ValueError):
        found = None
    return Path(source) if found is None else Path(found).parent


def _places(size: int) -> list[int]:
    """Where blocks begin: everywhere, or at evenly spread places and the end."""
    if size <= BLOCK * BLOCKS:
        return list(range(0, size, BLOCK))
    return [number * (size - BLOCK) // (BLOCKS - 1) for number in range(BLOCKS)]


def digest_of_reader(reader: object) -> str:
    """``model_digest`` of what a reader was loaded from; empty if it is not known."""
    model = getattr(getattr(reader, "lm", None), "model", None)
    source = getattr(model, "name_or_path", "")
    return model_digest(source) if source else ""


def digest_of_lookahead(lookahead: object) -> str:
    """What a look-ahead says of itself (``digest``); empty if it says nothing."""
    return str(getattr(lookahead, "digest", ""))
