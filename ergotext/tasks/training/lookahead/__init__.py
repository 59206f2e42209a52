"""Training the learned look-ahead of a retriever."""
