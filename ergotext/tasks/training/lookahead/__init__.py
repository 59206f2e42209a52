"""Train the look-ahead of a retriever.

- ``train``: the run and its files; ``fit``: the training loop.
- ``pairs``, ``synonyms``: training examples; ``scale``: the weight relative to the model.
"""
