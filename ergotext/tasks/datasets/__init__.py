"""Datasets that the tasks read."""
