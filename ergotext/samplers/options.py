"""Validate the options of samplers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.protocols import Energy
from ergotext.samplers.registry import Registered, name_of
from ergotext.support.suggestions import meant


def check_whole(least: int = 1, **numbers: object) -> None:
    """Raise InputError unless each is an integer of at least ``least``, and a count is possible."""
    for name, value in numbers.items():
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{name} must be an integer of at least {least}, got {value!r:.60}")
        if least > 0 and isinstance(value, int) and value > sys.maxsize:
            raise InputError(f"{name} must be at most {sys.maxsize:,}, got {value!r:.60}")


def check_counts(**numbers: object) -> None:
    """Raise InputError unless each is an integer of at least 1; None is refused too."""
    for name, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be an integer of at least 1, got {value!r:.60}")


def check_window(energy: Energy, max_length: int) -> None:
    """Refuse texts that a model of the energy could not read, before any is written.

    Raises
    ------
    InputError
        ``max_length`` is more than the window of a model leaves for a text (``longest_text``).
    """
    for model in (energy.scorer, energy.masked):
        most = getattr(model, "longest_text", None)
        if most is not None and max_length > most:
            raise InputError(
                f"max_length is {max_length}, but the model's context window leaves only "
                f"{max(0, most)} tokens for a text; lower max_length or shorten the context"
            )


def check_new(checkpoint: Path, resume: bool) -> None:
    """Raise InputError for a checkpoint that exists or is a folder."""
    if checkpoint.is_dir():
        raise InputError(f"the checkpoint {checkpoint} is a folder; give a file name")
    if checkpoint.exists() and not resume:
        raise InputError(
            f"the checkpoint {checkpoint} already exists; continue from it (resume), or use "
            "another file"
        )


def options_of(
    sampler: Registered, given: Mapping[str, Any], others: Collection[str] = ()
) -> Collection[str]:
    """The options of a sampler; InputError if others are given.

    ``others`` are names that stand beside the options, for one of which a wrong one may be meant.
    """
    known = signature(sampler).parameters
    if wrong := [name for name in given if name not in known]:
        options = [name for name in known if name != "energy"]
        raise InputError(
            f"the sampler {name_of(sampler)} has no option {', '.join(wrong)}; its options are "
            f"{', '.join(options)}{meant(wrong[0], [*options, *others])}"
        )
    return known


def made(sampler: Registered, energy: Energy, max_length: int, options: Mapping[str, Any]) -> Any:
    """The sampler with its options; one of a wrong type is an InputError."""
    from ergotext.samplers.validation import checked  # with torch, which counts do not need

    try:
        # Those that come along look at the energy themselves; others may not.
        return sampler(checked(energy), max_length=max_length, **options)
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"cannot make the sampler {name_of(sampler)} with {dict(options)!r:.200}: {error}"
        ) from error


def plain(options: Mapping[str, Any], other: Callable[[Any], object]) -> dict[str, Any]:
    """Options as JSON has them; plain values with names (dataclasses) by name and field.

    ``other`` says what stands for anything else.
    """

    def told(value: Any) -> object:
        if is_dataclass(value) and not isinstance(value, type):
            named = {field.name: getattr(value, field.name) for field in fields(value)}
            return {type(value).__name__: named}
        return other(value)

    found: dict[str, Any] = json.loads(json.dumps(options, default=told))
    return found


def refused(value: Any) -> object:
    """Raise InputError: the option has no JSON form."""
    raise InputError(
        f"{value!r:.80} is an object, which a checkpoint cannot compare when the run resumes; give "
        "a name or a number instead, or drop checkpoint"
    )
