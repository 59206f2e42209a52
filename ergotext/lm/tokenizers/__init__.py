"""Tokenizers, and what their tokens write."""
