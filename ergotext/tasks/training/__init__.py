"""Train a retriever and its look-ahead.

- ``run``: the training loop of both networks, each of which is a ``run.Learner``; ``schedule``,
  ``checkpoints``, ``log``, ``settings``, ``result``: its parts.
- ``data``, ``sources``, ``examples``: training examples from questions and the knowledge base.
- ``seq2seq``: the encoder-decoder; ``lookahead``: the look-ahead network.
"""
