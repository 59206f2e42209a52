"""Open an index together with the tokenizer of its keys."""

from __future__ import annotations

from pathlib import Path

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.tokenizers.characters import TextTokenizer
from ergotext.lm.trie.file import load, notes_of
from ergotext.lm.trie.tree import TokenTrie


def opened(index: str | Path, tokenizer: str | None = None) -> tuple[TokenTrie, dict[str, str]]:
    """An index with its tokenizer, that in the file, the one named, or the one noted; its notes.

    Raises
    ------
    InputError
        There is no such file, or no tokenizer of its keys.
    IndexFileError
        It is no index, or damaged.
    """
    trie, notes = load(index), notes_of(index)
    if tokenizer is not None:
        return load(index, named(tokenizer)), notes
    if trie.tokenizer is not None:
        return trie, notes
    noted = notes.get("tokenizer")
    if noted is None:
        raise InputError(f"{index} does not contain its tokenizer: name it (tokenizer)")
    try:
        # The name comes out of a file that anyone may have written: nothing is fetched for it.
        return load(index, named(noted, offline=True)), notes
    except ErgotextError as error:
        raise InputError(
            f"{index} was built with the tokenizer {noted!r}, which does not work here ({error}): "
            "name the right one (tokenizer), or build the index again"
        ) from error


def named(tokenizer: str, offline: bool = False) -> TextTokenizer:
    """A tokenizer by its name; transformers is imported only now."""
    from ergotext.lm.tokenizers.loading import load_tokenizer

    return load_tokenizer(tokenizer, offline=offline)
