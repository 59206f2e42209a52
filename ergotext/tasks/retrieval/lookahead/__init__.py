"""Look-ahead: score the candidate keys of a question before the model is run.

- ``strings``: by string similarity, without training.
- ``learned``, ``network``, ``features``: by a small network; ``fitted``: its scale.

>>> et.Retriever(lm, index).retrieve(questions, lookahead=et.load_lookahead("tiny-retriever"))
"""
