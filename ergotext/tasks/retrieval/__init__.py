"""Questions answered by the entries of an index."""
