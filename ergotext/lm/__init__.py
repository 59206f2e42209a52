"""What touches a network or a tokenizer."""
