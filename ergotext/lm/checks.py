"""Verify a loaded model: every weight present, used and finite."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ergotext.errors import InputError, ModelError
from ergotext.support.untrusted import json_of, read_json

_HARMLESS = re.compile(
    # What is on top of a model or beside it, and its language modelling never reads: pooler, heads
    # that tell whether sentences follow one another, and buffers that older versions have saved.
    r"(^|\.)(pooler|seq_relationship|sop_classifier)\.|(^|\.)(position_ids|masked_bias)$|inv_freq$"
    r"|(^|\.)(en|de)coder\.version$"
)
_HEADS = re.compile(
    r"^(cls|lm_head|mlm_head|classifier|qa_outputs|score|vocab_\w+|\w+_predictions)\."
)
_MOST_HEADER = 100_000_000
"""Bytes, as safetensors has it."""
_LAYERS = re.compile(r"(^|_)(layers?|blocks)$")


def check_whole(
    info: dict[str, Any], name: str, *, body: bool = False, buffers: Collection[str] = ()
) -> None:
    """Raise ModelError if weights are missing (and so random) or unused.

    If only the head is missing, as in an encoder that was trained to embed texts: InputError.

    Parameters
    ----------
    info : dict
        transformers' ``output_loading_info``.
    name : str
        Of the model.
    body : bool
        Whether the model was loaded without its head, whose weights may be there all the same.
    buffers : collection of str
        What the model computes by itself: older versions have saved some of it.
    """
    absent = list(info.get("missing_keys", ()))
    if absent and all(_HEADS.search(key) for key in absent):
        raise InputError(
            f"the model {name} has no output matrix (such as {absent[0]}), so it writes no tokens; "
            "use a model with a language-modelling head"
        )
    if absent:
        raise ModelError(
            f"the model {name} lacks {len(absent)} of its weights (such as {absent[0]}); download "
            "or install it again"
        )
    unused = [key for key in sorted(info.get("unexpected_keys", ())) if not _HARMLESS.search(key)]
    unused = [key for key in unused if key not in buffers and not (body and _HEADS.search(key))]
    if unused:
        raise ModelError(
            f"the model {name} has {len(unused)} weights that its config.json does not describe "
            f"(such as {unused[0]}), so its output would be wrong: fix config.json (number of "
            "layers, biases), or download the model again"
        )


def check_numbers(weights: Iterable[tuple[str, Tensor]], name: str) -> None:
    """ModelError if a weight is NaN or infinite; one pass over them, without a copy."""
    for key, weight in weights:
        if weight.is_floating_point() and weight.numel():
            low, high = torch.aminmax(weight.detach())  # NaN if any is
            if not (math.isfinite(low) and math.isfinite(high)):
                kind = "NaN" if math.isnan(low) else "infinite"
                raise ModelError(
                    f"the model {name} has a weight that is {kind} ({key}): download it again, or "
                    "train it again with a lower learning rate"
                )


def check_model(model: nn.Module, info: dict[str, Any], name: str, *, body: bool = False) -> None:
    """``check_whole`` of a loaded model, and ``check_numbers`` of all that was saved of it."""
    buffers = {key for key, _ in model.named_buffers()}
    check_whole(info, name, body=body, buffers=buffers)
    check_numbers(model.named_parameters(), name)
    saved = model.state_dict().keys()
    check_numbers(
        # -inf in one forbids a token (Marian's final_logits_bias); in a weight it is a fault.
        ((key, one.clamp(min=0.0)) for key, one in model.named_buffers() if key in saved),
        name,
    )


def misfit(folder: Path, model: nn.Module) -> str:
    """Find a weight whose shape differs from the model that config.json describes."""
    described = model.state_dict()
    for file in sorted(folder.glob("*.safetensors")):
        for key, shape in shapes_of(file).items():
            if key in described and tuple(described[key].shape) != shape:
                return (
                    f"its weight {key} is of shape {list(shape)}, and by its config.json of "
                    f"{list(described[key].shape)}: fix config.json, or download the model again"
                )
    return (
        "the shapes of its weights differ from its config.json: fix that, or download the model "
        "again"
    )


def check_folder(folder: Path) -> None:
    """ModelError if config.json is malformed, or has more layers than there are weights.

    So a folder of a few bytes is refused before a model of 10^8 layers is built.
    """
    path = folder / "config.json"
    config = read_json(path, raises=ModelError, advice="download the model again")
    files = [*folder.glob("*.safetensors")]
    if not files:
        return  # transformers says which files it looks for
    try:
        weights = sum(len(shapes_of(file)) for file in files)
    except ModelError as error:
        raise ModelError(f"cannot load the model {folder}: {error}") from error
    for key, count in _numbers(config):
        if _LAYERS.search(key) and count > weights:
            raise ModelError(
                f"cannot load the model {folder}: {path.name} says {key} = {count:,}, but the "
                f"folder contains {weights:,} weights; fix it, or download the model again"
            )


def check_tokenizer(tokenizer: Any, name: str) -> None:
    """ModelError if its settings are of types that fail on the first text."""
    longest = tokenizer.model_max_length
    if not isinstance(longest, int | float) or isinstance(longest, bool) or not longest > 0:
        raise ModelError(
            f"the tokenizer of {name} says model_max_length = {longest!r:.40} in "
            "tokenizer_config.json, which is not a number above 0: fix it, or download the model "
            "again"
        )


def shapes_of(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a safetensors file, by name, from its header.

    Raises
    ------
    ModelError
        It is no whole safetensors file.
    """
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > _MOST_HEADER:
                raise ValueError("it does not start with a header")
            header = json_of(stream.read(size), unique=True)
        shapes = {
            key: tuple(told["shape"]) for key, told in header.items() if key != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file} is not a complete safetensors file ({error}): download or train the model "
            "again"
        ) from error
    return shapes


def _numbers(config: Any, key: str = "") -> Iterable[tuple[str, int]]:
    """Every integer in a configuration, with its name."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield from _numbers(value, name)
    elif isinstance(config, int):
        yield key, config
