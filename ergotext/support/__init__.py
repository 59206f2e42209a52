"""Helpers without dependencies on the rest: untrusted files, optional libraries, words."""
