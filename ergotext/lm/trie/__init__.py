r"""Token trie: millions of keys in a memory-mapped file that opens in milliseconds.

- ``tree``, ``states``: ``TokenTrie`` and its vectorised steps; ``overlay``: an editable trie.
- ``builder``, ``lines``, ``blocks``, ``update``: build and change one; ``file``, ``header``: save
  and load it; ``opening``: load it with its tokenizer.
- ``restricted``, ``by_ordinal``, ``by_length``, ``lookahead``: parts of a trie and their best key.
- ``texts``, ``mentions``: find keys by their text; ``device``: walk a trie on a GPU.

>>> trie = et.build_trie(["apple\tcolour", "apple\torigin"], et.CharacterTokenizer("aceghilnoprtu"))
"""

from ergotext.lm.trie.builder import build
from ergotext.lm.trie.file import load, notes_of, save, verify
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.overlay import EditableTrie
from ergotext.lm.trie.schema import Schema
from ergotext.lm.trie.tree import TokenTrie
from ergotext.lm.trie.update import add_lines, remove_lines

__all__ = [
    "EditableTrie",
    "Schema",
    "TokenTrie",
    "add_lines",
    "build",
    "build_from_lines",
    "load",
    "notes_of",
    "remove_lines",
    "save",
    "verify",
]
