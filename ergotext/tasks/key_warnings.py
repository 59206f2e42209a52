"""Warnings about keys that the tokenizer of a model alters."""

from __future__ import annotations

import numpy as np

from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie.schema import Schema
from ergotext.lm.trie.tree import TokenTrie


def key_warnings(trie: TokenTrie, schema: Schema, name: str) -> list[str]:
    """One line each; none for a tokenizer that was made for the keys."""
    tokenizer = trie.tokenizer
    if tokenizer is None or isinstance(tokenizer, CharacterTokenizer):
        return []
    found = []
    if schema.mention is not None and "\t" not in tokenizer.decode(tokenizer.encode("a\tb")):
        found.append(
            f"the tokenizer {name} drops the tab between {schema.mention} and {schema.key[0]}: "
            "keys that differ only in it were merged"
        )
    held = np.zeros(trie.alphabet.size, dtype=bool)
    held[trie.token] = held[trie.tail] = True
    if special := [token for token in getattr(tokenizer, "special", ()) if held[token]]:
        found.append(
            f"keys contain special tokens of the tokenizer {name} "
            f"({tokenizer.decode(special[:1])}): a model does not read them as text"
        )
    unknown = getattr(tokenizer, "unknown", None)
    if unknown is not None and held[unknown]:
        found.append(
            f"the tokenizer {name} does not cover every character of the keys: keys that differ "
            "only in such characters were merged"
        )
    return found
