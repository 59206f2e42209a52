"""Choose the default sampler of a run, and explain the choice."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from ergotext.lm.automata.schema.patterns import longest
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
    known = signature(sampler_named("smc")).parameters if config["options"] else {}
    asked = [name for name in OF_CHAINS if name in config]
    asked += [*others, *(name for name in config["options"] if name not in known)]
    if asked:
        return {**config, "sampler": "mh"}, [
            f"(sampler mh, because {', '.join(asked)} needs chains; without it the default is smc, "
            f"which follows the {followed[0]} token by token)"
        ]
    options = config["options"]
    pays = "proposal" not in options and _pays(config["energy"], config["max_length"])
    learned = {"proposal": "twisted"} if pays else {}
    before = ", by a twist that it learns first" if learned else ""
    return {**config, "sampler": "smc", "options": learned | dict(options)}, [
        f"(sampler smc, because it follows the {followed[0]} token by token{before}, while most "
        "edits of a chain break it; use --sampler mh for chains)"
    ]


def _pays(energy: Mapping[str, Any], max_length: int) -> bool:
    """Whether a twist is worth what it takes to learn it.

    It is where texts can be too long: then the masked model runs out of room before the end, and
    most of its texts are never whole. An expression whose longest text has no more characters than
    a text may have tokens can always be ended.
    """
    if "json_schema" in energy:
        return True
    return "regex" in energy and ("keywords" in energy or longest(energy["regex"]) > max_length)
