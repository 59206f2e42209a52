"""Training settings, and the record written beside the model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from ergotext.errors import InputError
from ergotext.support.files import write_text
from ergotext.support.records import Count, Positive, Share, Whole, record
from ergotext.support.untrusted import read_json
from ergotext.tasks.training.examples import Shares

Objective = Literal["cross-entropy", "listwise", "policy", "zeroth-order"]
OBJECTIVES = get_args(Objective)
RECORD = "training.json"
_MAY_CHANGE = ("steps", "every", "patience", "dev_limit")
"""Settings that a run may be resumed with others of."""


@record
class Shape:
    """The size of a T5 with gated GELU and one embedding for input and output.

    Parameters
    ----------
    d_model, d_ff : int
    num_layers : int
        Of the encoder, and as many of the decoder.
    num_heads : int
        Each of ``d_model / num_heads``.
    dropout_rate : float
    """

    d_model: Count = 256
    d_ff: Count = 512
    num_layers: Count = 3
    num_heads: Count = 4
    dropout_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def __post_init__(self) -> None:
        if self.d_model % self.num_heads:
            raise InputError(
                f"d_model ({self.d_model}) must be a multiple of num_heads ({self.num_heads})"
            )


@record
class Settings:
    """Settings of a training run.

    Parameters
    ----------
    steps : int
        Batches.
    batch_size : int
        Examples in each.
    learning_rate : float
        Of the plateau.
    warm_up, cool_down : float
        Shares of the steps in which the rate rises and falls.
    objective : str
        One of ``OBJECTIVES``; what the last three do is said in ``objectives``.
    rivals : int
        Most keys among which a question's answer is chosen.
    radius : float
        How far zeroth-order steps look to both sides.
    seed : int
    dev_limit : int
        Dev questions that early stopping goes by: the first so many.
    every : int
        Steps between scores, each with a checkpoint.
    patience : int
        Scores in succession that may be no better than the best.
    shares : Shares
    shape : Shape
        Of a model that starts from scratch.

    Raises
    ------
    InputError
        A number is out of its range.
    """

    steps: Count = 20_000
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    warm_up: Share = 0.02
    cool_down: Share = 0.3
    objective: Objective = "cross-entropy"
    rivals: Annotated[int, Field(ge=2)] = 16
    radius: Positive = 1e-3
    seed: Whole = 0
    dev_limit: Count = 500
    every: Count = 500
    patience: Count = 10
    shares: Shares = field(default_factory=Shares)
    shape: Shape = field(default_factory=Shape)

    def __post_init__(self) -> None:
        if self.warm_up + self.cool_down > 1:
            raise InputError(
                f"warm_up ({self.warm_up}) and cool_down ({self.cool_down}) are fractions of the "
                "run: together at most 1"
            )


@dataclass(frozen=True)
class Record:
    """Record of a run: its settings and data.

    Parameters
    ----------
    folder : Path
        Of the network.
    name : str
        Of the file.
    settings : dict of str to dict
        The settings by name, below what they are called.
    data : dict of str to str
        Digests of what was trained on.
    """

    folder: Path
    name: str
    settings: dict[str, dict[str, Any]]
    data: dict[str, str]

    @property
    def about(self) -> dict[str, Any]:
        """Settings and data by name, as they are read back."""
        (settings,) = self.settings.values()
        told: dict[str, Any] = json.loads(json.dumps({**settings, **self.data}))
        return told

    def write(self, **known: Any) -> None:
        """Write the file, with more that is known."""
        told = {**self.settings, "data": self.data, **known}
        write_text(self.folder / self.name, json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    def check(self) -> None:
        """Whether the run in the folder is this one.

        Raises
        ------
        InputError
            There is no run, or it was started with other settings or data.
        """
        (kind,) = self.settings
        try:
            told = read_json(self.folder / self.name)
            before = {**told[kind], **told["data"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.folder} contains no run to resume ({self.name}): give the folder of a "
                "run, or start without resume in an empty one"
            ) from error
        check_same(f"the run in {self.folder}", before, self.about, _MAY_CHANGE)


def check_same(
    run: str, before: Mapping[str, Any], now: Mapping[str, Any], may_change: Sequence[str] = ()
) -> None:
    """InputError if a run was started with other settings or data, or with more of them."""
    for name in {**before, **now}:
        was, is_now = (told.get(name, "nothing") for told in (before, now))
        if name not in may_change and was != is_now:
            raise InputError(
                f"{run} was started with {name} = {was}, not {is_now}: use the same value, or "
                "another folder"
            )


def claim(folder: Path, resume: bool) -> None:
    """Create the folder of a run; it must be empty.

    Raises
    ------
    InputError
        It cannot be made or written, or is not empty.
    """
    held = _made(folder)
    if RECORD in held and not resume:
        raise InputError(f"{folder} contains a run; continue it with resume, or use another folder")
    if held and not resume:
        raise InputError(f"{folder} is not empty and contains no run: use another folder")


def claim_file(folder: Path, result: str, parts: Sequence[str], resume: bool) -> None:
    """Make a folder for a run that ends with the file ``result``; other files are left alone.

    Raises
    ------
    InputError
        It cannot be made or written, or holds the result, or parts of a run that is not resumed.
    """
    held = set(_made(folder))
    if result in held:
        raise InputError(f"{folder} already contains {result}: use another folder, or remove it")
    found = next((part for part in parts if part in held), None)
    if found is not None and not resume:
        raise InputError(f"{folder} contains {found} of another run; continue that run with resume")


def _made(folder: Path) -> list[str]:
    """The names in a folder, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = [one.name for one in folder.iterdir()]
    except OSError as error:
        raise InputError(f"cannot create the folder {folder} ({error.strerror})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"the folder {folder} is not writable: use another one")
    return held
