"""Train a retriever and its look-ahead.

- ``sources``, ``examples``: training examples from questions and the knowledge base.
- ``settings``, ``schedule``, ``checkpoints``, ``log``: shared by all training runs.
- ``seq2seq``: the encoder-decoder; ``lookahead``: the look-ahead network.
"""
