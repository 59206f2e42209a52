"""Runs saved on disk, and gone on with."""
