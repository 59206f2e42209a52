"""What the tokenizer of a model does to the keys of an index that their owner may not expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie.tree import TokenTrie


def key_warnings(trie: TokenTrie, columns: Sequence[str], name: str) -> list[str]:
    """One line each; none for a tokenizer that was made for the keys."""
    tokenizer = trie.tokenizer
    if tokenizer is None or isinstance(tokenizer, CharacterTokenizer):
        return []
    found = []
    if "subject" in columns and "\t" not in tokenizer.decode(tokenizer.encode("a\tb")):
        found.append(
            f"the tokenizer {name} does not keep the tab between subject and predicate: keys that "
            "differ in nothing else are one key now"
        )
    held = np.zeros(trie.alphabet.size, dtype=bool)
    held[trie.token] = held[trie.tail] = True
    if special := [token for token in getattr(tokenizer, "special", ()) if held[token]]:
        found.append(
            f"keys hold special tokens of the tokenizer {name} ({tokenizer.decode(special[:1])}): "
            f"a model takes them for what they stand for, not for text"
        )
    unknown = getattr(tokenizer, "unknown", None)
    if unknown is not None and held[unknown]:
        found.append(
            f"the tokenizer {name} does not know every character of the keys: keys that differ "
            f"only in such characters are one key now"
        )
    return found
