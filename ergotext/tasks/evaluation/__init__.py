"""Evaluate a retriever on a file of questions.

- ``evaluate``: answer the questions; ``workers``: in this process or with Ray.
- ``scoring``: score the answers, triples or ``titles``.
- ``predictions``, ``report``: the files it writes and the scores it prints.
- ``calibration``, ``temperature``, ``diagram``: how reliable the probabilities are.
"""
