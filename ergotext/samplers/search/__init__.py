"""Beam search, and draws without replacement.

- ``beam``: the best sequences under an automaton (``selection``, ``finished``, ``tails``).
- ``stochastic_beam``, ``top_down``, ``without_replacement``: draws without replacement.
- ``gumbel``, ``perturb``: the noise behind them.

>>> et.beam(decoding, automaton, k=5, beams=10)
"""
