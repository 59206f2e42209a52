"""Language models, tokenizers, energies, automata and tries.

- Models: ``loading``, ``causal``, ``masked``, ``seq2seq``, ``score``; ``decoding`` runs them.
- Text and tokens: ``tokenizers``, and ``batch`` for batches of token sequences.
- ``energies``: terms such as ``fluency(lm)`` and ``keywords(words)``, and their sums.
- ``automata`` and ``trie``: sets of token sequences that constrain samplers and searches.
- ``protocols``: the interfaces that samplers see of all these.
"""
