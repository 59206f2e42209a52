"""Run a network over rows of tokens that grow, without computing anything twice.

- ``reader``: a causal decoder over rows, reusing cached prefixes (``memo``, ``packing``).
- ``projection``: the vocabulary projection in blocks of bounded memory.
- ``prompts``, ``cached``, ``past``, ``end_tokens``: token-by-token decoding for searches.

>>> decoding = lm.read([prompt_ids])  # a ``lm.protocols.Decoding``, one row per prompt
"""
