"""Markov chains over token sequences.

- ``metropolis`` (``moves``, ``edits``): Metropolis-Hastings by edits; ``annealing``, ``schedules``.
- ``gibbs``, ``masked``: Gibbs sampling with a causal or a masked model (``spans``,
  ``token_proposal``).
- ``independence``, ``suffix``: proposals that the language model writes.
- ``rewrite``, ``stretches``: the same between two ends that are kept.
- ``tempering``: parallel tempering over any of them (``kernels``).

>>> result = et.sample(energy, "mh", chains=8, steps=300)
"""
