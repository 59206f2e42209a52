"""Markov chains whose step is a run of SMC (particle Markov chain Monte Carlo).

- ``pimh``: a whole run proposed and accepted by its estimate of Z.
- ``gibbs``: a run that keeps the current text among its particles.
- ``runs``: what both are made of.

>>> result = et.sample(energy, "pimh", chains=4, steps=100, particles=16)
"""
