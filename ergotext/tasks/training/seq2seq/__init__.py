"""Training the encoder-decoder of a retriever."""
