"""Evaluate a retriever on a file of questions."""
