"""Warnings about keys: those that a tokenizer alters, and those that are none."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path

import numpy as np

from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie.schema import Schema
from ergotext.lm.trie.tree import TokenTrie

HEADINGS = frozenset({
    "subject", "predicate", "object", "relation", "attribute", "property", "value", "entity",
    "title", "name", "key", "id", "answer", "question",
    "主语", "谓语", "宾语", "主体", "关系", "属性", "属性值", "值", "实体",
    "标题", "名称", "答案", "问题",
})  # fmt: skip
"""What columns are called."""


def heading_warning(source: Path, schema: Schema) -> list[str]:
    """One line where the first of a file names columns instead of filling them; else none."""
    with suppress(OSError, csv.Error, UnicodeDecodeError, StopIteration):
        with source.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(1_000)
        between = "," if source.suffix.lower() == ".csv" else "\t"
        cells = [
            cell.strip().lower()
            for cell in next(csv.reader([line], delimiter=between, skipinitialspace=True))
        ]
        known = HEADINGS | {name.lower() for name in schema.columns}
        if len(cells) == len(schema.columns) and known.issuperset(cells):
            return [
                f"line 1 of {source} ({', '.join(cells)}) looks like a header, and became a key "
                "like the others: remove it, and build the index again"
            ]
    return []


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
