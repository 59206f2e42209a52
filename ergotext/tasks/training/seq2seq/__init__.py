"""Train the encoder-decoder of a retriever.

- ``train``, ``learner``: the run; ``initial_model``, ``new_model``, ``tokenizer``: where it starts.
- ``stream``, ``batches``, ``choices``, ``rewards``, ``sampled_keys``: what it is trained on.
- ``objectives``, ``scoring``: the losses; ``dev``: the score for early stopping.
"""
