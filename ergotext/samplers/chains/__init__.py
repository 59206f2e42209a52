"""Markov chains over token sequences."""
