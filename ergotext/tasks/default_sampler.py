"""Choose the default sampler of a run, and explain the choice."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from ergotext.samplers.registry import sampler_named

FOLLOWED = ("regex", "json_schema", "keywords")
"""Terms of the energy that only a small share of all texts meets: a weighted sampler writes towards
them token by token, where an edit of a chain nearly always breaks a regex or a schema, and chains
that hold keywords in place take minutes to mix."""
OF_CHAINS = ("chains", "steps", "start", "max_seconds", "r_hat", "checkpoint")


def with_sampler(config: Mapping[str, Any], *others: str) -> tuple[dict[str, Any], list[str]]:
    """The same table with a sampler, and what is to be said of one that nobody named.

    Parameters
    ----------
    config : mapping
        As ``config.read`` gives it.
    *others : str
        What is asked for besides that only chains have.
    """
    if "sampler" in config:
        return dict(config), []
    followed = [name for name in FOLLOWED if name in config["energy"]]
    if not followed:
        return {**config, "sampler": "mh"}, []
    known = signature(sampler_named("smc")).parameters
    asked = [name for name in OF_CHAINS if name in config]
    asked += [*others, *(name for name in config["options"] if name not in known)]
    if asked:
        return {**config, "sampler": "mh"}, [
            f"(sampler mh, because {', '.join(asked)} needs chains; without it the default is smc, "
            f"which follows the {followed[0]} token by token)"
        ]
    # Half an object is worth nothing, and how long one gets is hard to foresee.
    kept = {"proposal": "finishing"} if "json_schema" in followed else {}
    return {**config, "sampler": "smc", "options": kept | dict(config["options"])}, [
        f"(sampler smc, because it follows the {followed[0]} token by token, while most edits of a "
        "chain break it; use --sampler mh for chains)"
    ]
