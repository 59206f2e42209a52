"""A network run over rows that grow: caches, packing, projection."""
