"""Checks of a language model before anyone samples from it."""
