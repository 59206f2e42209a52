"""Tokenizers of models and indexes, and the bytes their tokens write."""
