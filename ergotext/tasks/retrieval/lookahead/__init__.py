"""Look-aheads: what a key is worth before a model is asked."""
