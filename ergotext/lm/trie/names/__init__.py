"""Find names that a text misspells, shortens or writes in other letters, and keys by their values.

- ``grams``: what names have in common with texts; ``values``: hashes of objects.
- ``build``: the arrays of an index (``trie.name_arrays``); ``search``: what is near a text.
- ``align``: where in the text a name stands.
"""
