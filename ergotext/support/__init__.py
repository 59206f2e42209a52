"""Helpers for every room: untrusted files, optional libraries, words. Imports nothing of ours."""
