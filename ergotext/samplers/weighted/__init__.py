"""Samplers whose draws carry importance weights.

- ``importance``, ``rejection``, ``smc``, ``ais``: the algorithms; ``registered`` names them.
- ``proposals``, ``rollout``: how tokens are proposed and weighted; ``resampling``.
- ``samples``, ``result``: weighted draws; ``trust``, ``pareto``, ``averages``: their diagnostics.

>>> result = et.sample(energy, "smc", n=64)
"""
