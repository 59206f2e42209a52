"""Energies: the built-in terms, and their weighted sums.

An energy maps a ``TokenBatch`` to float64 [B] in nats; +inf forbids a text.

- ``term``: the base class ``Term`` and ``Sum``; ``terms``: fluency, pseudo-likelihood,
  length; ``custom``: a Python function.
- ``keywords``, ``matches``, ``template``: hard constraints by words, by an automaton, or by a text
  with blanks.
- ``overlap``, ``embedding``: similarity to a reference text, by words or by meaning.

>>> energy = et.fluency(lm) + et.keywords(["summer", "beach"]) + 0.5 * et.length(14)
"""
