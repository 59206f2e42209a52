"""What is known of each token so far, and the file that keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ergotext.errors import InputError
from ergotext.support.files import replacing
from ergotext.tasks.diagnose.argmax.layer import OutputLayer
from ergotext.tasks.diagnose.argmax.program import Solved


class Outcome(IntEnum):
    """What is known of a token."""

    UNDECIDED = 0
    ARGMAXABLE = 1
    TIED = 2
    """Another token has the same row, so that neither is ever the only argmax."""
    NEVER = 3


class Decided:
    """The outcome of each token of a layer.

    Parameters
    ----------
    layer : OutputLayer
    file : Path, optional
        Where it is kept. If the file is there, what it says is known from the start.

    Attributes
    ----------
    outcome : int8 [V]
    radius : float64 [V]
        Of tokens that are never the argmax: the bound that was proven, at most 1e-6; else NaN.
    directions : dict
        Of argmaxable tokens that were hard to decide: a direction that makes them the argmax.

    Raises
    ------
    InputError
        The file cannot be read, or is about another layer.
    """

    def __init__(self, layer: OutputLayer, file: Path | None = None) -> None:
        self.layer, self.file = layer, file
        self.outcome = torch.zeros(len(layer), dtype=torch.int8)
        self.radius = torch.full((len(layer),), torch.nan, dtype=torch.float64)
        self.directions: dict[int, Tensor] = {}
        if file is not None and file.exists():
            self._load(file)

    def open(self) -> Tensor:
        """int64 [n]: tokens that are undecided."""
        return (self.outcome == Outcome.UNDECIDED).nonzero()[:, 0]

    def tie(self) -> None:
        """Tokens that share a row are decided by that."""
        self.outcome[self.layer.tied] = Outcome.TIED

    def win(self, tokens: Tensor, directions: Iterable[Tensor] = ()) -> None:
        """These are argmaxable, by these directions if they are to be kept."""
        self.outcome[tokens.cpu()] = Outcome.ARGMAXABLE
        self.directions |= {
            token: direction.double().cpu()
            for token, direction in zip(tokens.tolist(), directions, strict=False)
        }

    def solve(self, token: int, solved: Solved) -> None:
        """What was proven of one token, if anything was."""
        if solved.direction is not None:
            self.win(torch.tensor([token]), [torch.from_numpy(solved.direction)])
        elif solved.radius is not None:
            self.outcome[token] = Outcome.NEVER
            self.radius[token] = solved.radius

    def save(self) -> None:
        """Replace the file, if there is to be one."""
        if self.file is None:
            return
        width = self.layer.rows.shape[1]
        kept = [*self.directions.values()] or [torch.zeros(0, width, dtype=torch.float64)]
        tensors = {
            "outcome": self.outcome,
            "radius": self.radius,
            "tokens": torch.tensor([*self.directions], dtype=torch.int64),
            "directions": torch.stack(kept).view(-1, width),
        }
        with replacing(self.file) as part:
            save_file(tensors, part, {"layer": self.layer.fingerprint})

    def _load(self, file: Path) -> None:
        try:
            with safe_open(file, "pt") as opened:
                told = opened.metadata() or {}
                if told.get("layer") != self.layer.fingerprint:
                    raise InputError(
                        f"{file} is about another model or number format; give another file"
                    )
                self.outcome = opened.get_tensor("outcome")
                self.radius = opened.get_tensor("radius")
                tokens = opened.get_tensor("tokens").tolist()
                self.directions = dict(zip(tokens, opened.get_tensor("directions"), strict=True))
        except InputError:
            raise
        except Exception as error:  # whatever safetensors makes of a broken file
            raise InputError(
                f"{file} is no file of decided tokens ({error}); give another file"
            ) from error
        if len(self.outcome) != len(self.layer) or len(self.radius) != len(self.layer):
            raise InputError(f"{file} is damaged; remove it to begin anew")
