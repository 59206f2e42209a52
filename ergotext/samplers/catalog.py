"""The samplers that come with ergotext: names, kinds and uses; imports none of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["invariant", "weighted", "optimiser", "implicit"]
"""invariant: leaves π ∝ exp(−E) invariant. weighted: yields weighted draws from it. optimiser:
looks for its minimum. implicit: has a stationary law that nobody wrote down."""

PROMISES: dict[Kind, str] = {
    "invariant": "exact: chains that keep exp(−E) as it is",
    "weighted": "exact: draws with weights, and an unbiased estimate of Z",
    "optimiser": "not a sample: looks for the texts of lowest energy",
    "implicit": "not exact: chains whose law has no known formula",
}
"""What a kind says of the texts of its samplers."""


class CatalogEntry(NamedTuple):
    """A sampler of this package, before it is imported."""

    home: str
    """Its module, as seen from here, and its class."""
    kind: Kind
    use: str
    """When to use it, in one line."""
    alias: str = ""
    """A second name."""


CATALOG = {
    "mh": CatalogEntry(
        "chains.metropolis:MetropolisHastings", "invariant",
        "edits token by token; for any energy with a causal model",
        "metropolis-hastings",
    ),
    "gibbs": CatalogEntry(
        "chains.gibbs:Gibbs", "invariant",
        "redraws tokens in place; for texts of a fixed length",
    ),
    "rewrite": CatalogEntry(
        "chains.rewrite:Rewrite", "invariant",
        "writes a stretch anew; for changes in the middle that single edits do not reach",
    ),
    "suffix": CatalogEntry(
        "chains.independence:SuffixResampling", "invariant",
        "writes a new ending; for constraints that a model can write towards",
    ),
    "independence": CatalogEntry(
        "chains.independence:Independence", "invariant",
        "proposes whole new texts; for energies close to the model",
    ),
    "tempering": CatalogEntry(
        "chains.tempering:ParallelTempering", "invariant",
        "chains at several temperatures that swap; where one chain stays in one place",
        "parallel-tempering",
    ),
    "pimh": CatalogEntry(
        "particle_chains.pimh:ParticleMetropolis", "invariant",
        "accepts or rejects a whole run of smc; to correct it, with any particles",
    ),
    "particle-gibbs": CatalogEntry(
        "particle_chains.gibbs:ParticleGibbs", "invariant",
        "keeps the current text as a particle of smc; where pimh rejects too much",
    ),
    "mlm-mh": CatalogEntry(
        "chains.masked:MaskedMetropolis", "invariant",
        "edits by a masked model, accepted or rejected; for any energy",
    ),
    "smc": CatalogEntry(
        "weighted.registered:SMC", "weighted",
        "particles grown towards the constraint; for keywords, regexes and schemas",
    ),
    "importance": CatalogEntry(
        "weighted.registered:Importance", "weighted",
        "independent draws; for energies close to the model, and to check others",
    ),
    "rejection": CatalogEntry(
        "weighted.registered:Rejection", "weighted",
        "exact draws of equal weight; where the weights have a known bound",
    ),
    "ais": CatalogEntry(
        "weighted.ais:AnnealedImportance", "weighted",
        "draws moved by chains step by step; for energies far from the model",
    ),
    "stochastic-beam": CatalogEntry(
        "search.stochastic_beam:StochasticBeam", "weighted",
        "distinct texts without replacement; where few texts carry the mass",
    ),
    "annealing": CatalogEntry(
        "chains.annealing:SimulatedAnnealing", "optimiser",
        "edits at a falling temperature; for the best text, not for a sample",
        "simulated-annealing",
    ),
    "mlm-gibbs": CatalogEntry(
        "chains.masked:MaskedGibbs", "implicit",
        "masks a token and draws it anew; to see what a masked model writes",
    ),
}  # fmt: skip
"""By first name."""
ALIASES = {entry.alias: name for name, entry in CATALOG.items() if entry.alias}
NAMES = sorted([*CATALOG, *ALIASES])
