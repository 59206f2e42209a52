"""An index in the tokens of a model."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.loading import pretrained
from ergotext.lm.trie.file import save
from ergotext.lm.trie.opening import opened
from ergotext.tasks.training.sources import in_tokens_of


@overload
def index_for(index: Path, model: str, output: Path) -> Path: ...
@overload
def index_for(index: Path, model: str, output: Path, most: int) -> Path | None: ...
def index_for(index: Path, model: str, output: Path, most: int | None = None) -> Path | None:
    """The index itself, if it is in the model's tokens; else the same entries in these.

    Parameters
    ----------
    index : Path
    model : str
        Name or folder.
    output : Path
        Folder for an index that is built.
    most : int, optional
        None comes back if there are more keys to be written.
    """
    trie, notes = opened(index, None)
    tokenizer = FastTokenizer(pretrained(model, offline=True)[0])
    if trie.alphabet == tokenizer.alphabet:
        return index
    if most is not None and len(trie) > most:
        return None
    path = output / index.name
    save(in_tokens_of(trie, tokenizer), path, {**notes, "tokenizer": model})
    return path
