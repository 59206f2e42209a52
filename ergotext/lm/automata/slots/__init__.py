"""Grammars with slots, each filled by any key of an index of millions.

- ``key_texts``: the keys, sorted, as a prefix tree without nodes; ``piece_tree``: the strings of a
  vocabulary, walked side by side with it.
- ``strings``: what tokens write before, within and after a slot, as one vocabulary for llguidance.
- ``grammar``: the ways to read a text; ``endings``: how far it is to its end.
- ``filled``: the automaton.

llguidance matches the grammar, with a marker in place of each slot; keys are matched here.
"""
