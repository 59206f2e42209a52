"""Samplers whose draws carry importance weights.

- ``importance``, ``rejection``, ``smc``, ``ais``: the algorithms; ``registered`` names them.
- ``proposals``, ``adaptive``, ``twisted``, ``rollout``: how tokens are proposed and weighted.
- ``resampling``, ``particles``: which of them are copied, and what is told of it.
- ``samples``, ``result``: weighted draws; ``trust``, ``pareto``, ``averages``: their diagnostics.

>>> result = et.sample(energy, "smc", n=64)
"""
