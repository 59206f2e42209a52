"""Training of a retriever and of its look-ahead."""
