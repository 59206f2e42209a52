"""Train the look-ahead of a retriever.

- ``train``: the run and its files; ``learner``: the network and its loss.
- ``pairs``, ``synonyms``: training examples; ``scale``: the weight relative to the model.
"""
