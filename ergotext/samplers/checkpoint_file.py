"""The file of a checkpoint: safetensors with a header in JSON, replaced as a whole.

Whatever ends the process, the file that is there is the last one or the one before, whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ergotext.lm.protocols import ErgotextError

FORMAT = 1
_KEY = "ergotext checkpoint"


class CheckpointError(ErgotextError, RuntimeError):
    """A checkpoint that is broken, or of another run than the one that is to go on from it."""


def write(path: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Put a checkpoint in the place of the one before; it is on the disk thereafter.

    Raises
    ------
    CheckpointError
        It cannot be written. The one before is still there.
    """
    # Clones: tensors that share memory are refused.
    whole = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    told = {**header, "format": FORMAT}
    told["digest"] = _digest(told, whole)
    try:
        _replace(path, save(whole, {_KEY: json.dumps(told)}))
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be written ({error.strerror or error}); make room for "
            f"it, or name another file"
        ) from error


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors.

    Raises
    ------
    CheckpointError
        It is no checkpoint, or a broken one.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint, or is broken ({error}); begin anew with another file"
        ) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(
            f"the checkpoint {path} is of another version of ergotext; begin anew with another file"
        )
    if header.pop("digest", None) != _digest(header, tensors):
        raise CheckpointError(
            f"the checkpoint {path} is damaged: its checksum differs; begin anew with another file"
        )
    return header, tensors


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {list(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, so that at every moment one of them is there whole."""
    part = path.with_name(f".{path.name[:100]}.part")  # a kill leaves one behind, no more
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
