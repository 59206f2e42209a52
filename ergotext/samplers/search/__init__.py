"""Searches: beams, and draws without replacement."""
