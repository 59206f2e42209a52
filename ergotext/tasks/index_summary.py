"""Summarise index files from their headers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie.file import load, notes_of
from ergotext.lm.trie.header import IndexFile
from ergotext.lm.trie.schema import Schema
from ergotext.support.words import counted, seen


@dataclass(frozen=True)
class About:
    """Summary of an index file, without reading all of it."""

    path: str
    version: int
    keys: int
    longest: int
    nodes: int
    edges: int
    tail_tokens: int
    bytes: int
    index_bytes_per_key: float
    object_bytes_per_key: float
    names: int
    """subjects that are found misspelt, too; none in an index of keys or of an older version"""
    name_bytes: int
    tokenizer: str
    vocabulary: int
    fingerprint: str
    columns: str

    def text(self) -> str:
        """One fact a line."""
        return "\n".join(
            f"{name:<10} {seen(fact)}"  # notes come out of a file that anyone may have written
            for name, fact in {
                "file": f"{self.path}, {self.bytes:,} bytes, format version {self.version}",
                "keys": f"{self.keys:,}, the longest of {counted(self.longest, 'token')} "
                "(end token included)",
                "trie": f"{counted(self.nodes, 'inner node')}, {counted(self.edges, 'edge')}, "
                f"{counted(self.tail_tokens, 'token')} in tails",
                "bytes": f"{self.index_bytes_per_key:.1f} a key, and "
                f"{self.object_bytes_per_key:.1f} of objects",
                "names": f"{self.names:,}, {self.name_bytes:,} bytes" if self.names else "none",
                "tokenizer": f"{self.tokenizer}, {self.vocabulary:,} tokens, "
                f"fingerprint {self.fingerprint or 'none'}",
                "columns": self.columns or "not noted",
            }.items()
        )

    def json(self) -> str:
        """One JSON object."""
        return json.dumps(vars(self), ensure_ascii=False)


def about(index: str | Path) -> About:
    """Summarise an index from its header and sizes; errors as ``lm.trie.load``."""
    index = Path(index)
    trie, notes, meta = load(index), notes_of(index), IndexFile.open(index).meta
    schema = Schema.noted(notes)
    own = isinstance(trie.tokenizer, CharacterTokenizer)
    each, named = max(len(trie), 1), 0 if trie.names is None else trie.names.nbytes
    return About(
        str(index),
        int(meta["version"]),
        len(trie),
        trie.longest,
        trie.nodes,
        len(trie.token),
        len(trie.tail),
        index.stat().st_size,
        (index.stat().st_size - trie.pool.nbytes - named) / each,
        trie.pool.nbytes / each,
        0 if trie.names is None else len(trie.names),
        named,
        "characters, in the file" if own else notes.get("tokenizer", "not in the file, not named"),
        trie.alphabet.size,
        trie.alphabet.fingerprint,
        notes.get("columns", "") if schema is None else schema.text(),
    )
