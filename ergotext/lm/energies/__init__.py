"""Energies: the terms that come with the engine, and how they add up."""
