"""Export chains as a labelled DataTree for ArviZ and xarray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ergotext.samplers.catalog import Kind
from ergotext.samplers.run import Trace
from ergotext.samplers.texts import Feature
from ergotext.support.arrays import Floats
from ergotext.support.extras import needed


class OfChains(Protocol):
    """What is read of a ``Result``."""

    @property
    def trace(self) -> Trace: ...
    @property
    def energy(self) -> Tensor: ...
    @property
    def warm_up(self) -> int: ...
    @property
    def sampler(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def stopped(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def seed(self) -> int | None: ...
    def feature(self, of: Feature) -> Floats: ...


def datatree(result: OfChains, features: Mapping[str, Feature] | None = None) -> Any:
    """The chains with ``chain`` and ``draw`` labels, warm-up in groups of its own.

    Parameters
    ----------
    result : Result
    features : mapping of str to function of a list of texts, optional
        Become variables beside the length.

    Returns
    -------
    xarray.DataTree
        ``posterior`` holds the length in tokens and the features, ``sample_stats`` the energy and
        ``lp``, its negative; ``warmup_posterior`` and ``warmup_sample_stats`` the same of the first
        half. The attributes describe the run.

    Raises
    ------
    InputError
        arviz-base is not installed, or a feature is no number.
    """
    from_dict = needed("arviz_base", "arviz").from_dict
    lengths = torch.stack([batch.length for batch in result.trace.states]).numpy()
    values = {"length": lengths}
    values |= {name: result.feature(of) for name, of in (features or {}).items()}
    energy = result.energy.numpy()
    cut = result.warm_up
    tree = from_dict(
        {
            "posterior": {name: value[cut:].T for name, value in values.items()},
            "sample_stats": {"energy": energy[cut:].T, "lp": -energy[cut:].T},
            "warmup_posterior": {name: value[:cut].T for name, value in values.items()},
            "warmup_sample_stats": {"energy": energy[:cut].T, "lp": -energy[:cut].T},
        },
        save_warmup=True,
    )
    known = {"sampler": result.sampler, "kind": result.kind, "stopped": result.stopped}
    tree.attrs |= {**known, "seconds": result.seconds, "seed": result.seed, "energy_unit": "nats"}
    return tree
