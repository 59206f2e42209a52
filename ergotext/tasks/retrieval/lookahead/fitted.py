"""Temperature and scale fitted to a model and its look-ahead, saved in the model's folder."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ergotext.errors import ModelError
from ergotext.lm.sources import source_of
from ergotext.support.files import write_text
from ergotext.support.untrusted import check_types, read_json

NAME = "retriever.json"


@dataclass(frozen=True)
class Fitted:
    """Fitted parameters of a model.

    Parameters
    ----------
    scale : float
        What a nat of the learned look-ahead counts beside one of the model's log-probability.
        Encoder-decoders that were trained for minutes know little that the look-ahead does not.
    temperature : float
        T of the model's own probabilities.
    """

    scale: float = 10.0
    temperature: float = 1.0

    @classmethod
    def of(cls, model: str) -> Fitted:
        """Parameters in the folder of a model, or the defaults.

        Raises
        ------
        ModelError
            What lies there cannot be read.
        """
        folder = source_of(model)
        return cls() if isinstance(folder, str) else cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Fitted:
        """Load what ``save`` wrote, or the defaults."""
        path = folder / NAME
        if not path.is_file():
            return cls()
        try:
            told = read_json(path, raises=ModelError, advice="fit it again")
            check_types(told, dict.fromkeys(asdict(cls()), float), optional=asdict(cls()))
            found = cls(**told)
            usable = all(value > 0 and math.isfinite(value) for value in asdict(found).values())
        except (ValueError, OverflowError) as error:
            raise ModelError(f"cannot read {path} ({error}): fit it again") from error
        if not usable:
            raise ModelError(f"{path} contains numbers that are not above 0: fit it again")
        return found

    def save(self, folder: Path) -> None:
        """Write ``retriever.json``."""
        write_text(folder / NAME, json.dumps(asdict(self)) + "\n")


def temperature_for(model: str, asked: float | None, calibrated: bool) -> float | None:
    """The given temperature or, by default, that of the model's own probabilities.

    None leaves it to the calibration, where probabilities are ``calibrated``.
    """
    return asked if asked is not None or calibrated else Fitted.of(model).temperature
