"""Train all of a retriever: encoder-decoder, look-ahead, and what is fitted to both.

- ``train``: the stages, one after the other; ``defaults``: their settings.
- ``beginning``: the model and the look-ahead that training starts from.
- ``own_index``: the index in the tokens of a model.
- ``fit``: the scale of the look-ahead, and the calibration.
- ``comparison``: scores beside those of the included model and of string matching.
"""
