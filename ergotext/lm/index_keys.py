"""The keys of an index as texts, for schemas and grammars that name it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.automata.slot_source import slot
from ergotext.lm.automata.slots.key_texts import KeyTexts
from ergotext.lm.automata.slots.recent import Recent
from ergotext.lm.ragged import offsets_of, take_rows
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie.file import state_of
from ergotext.lm.trie.keys import key_blocks
from ergotext.lm.trie.opening import opened
from ergotext.lm.trie.states import ROOT
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.arrays import Ints

AT_ONCE = 1 << 15
"""Keys that are decoded together."""
KEPT = 1 << 30
"""Bytes of the keys of all indexes that are kept."""
_MEMORY = "memory:"
_tries: WeakValueDictionary[str, TokenTrie] = WeakValueDictionary()
"""Tries that are in no file, by the names that stand for them while they are in use."""
_known = Recent[tuple[Any, ...], tuple[object, KeyTexts]](KEPT)


class KeyOf(str):
    """Any key of an index, as a part of a grammar, a schema or a type (``key_of``)."""

    trie: TokenTrie | None = None

    def __str__(self) -> str:
        return slot(str.__str__(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __get_pydantic_json_schema__(
        self, core: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        return handler(core) | {"x-index": str.__str__(self)}


def key_of(index: TokenTrie | str | Path) -> KeyOf:
    """Any key of an index, for ``generate``: a string of a schema, or a part of a grammar.

    Parameters
    ----------
    index : TokenTrie, str or Path
        A trie with a tokenizer, or the file of an index; of any tokenizer, as its texts count. A
        trie must stay in use until the texts are generated.

    Returns
    -------
    KeyOf
        In a grammar it is the rule ``%index "…"``, in a schema the value of ``x-index``, in a type
        what ``Annotated`` adds to ``str``.

    Raises
    ------
    InputError
        It is neither, or a trie without a tokenizer.

    Examples
    --------
    >>> person = et.key_of("people.ergo")
    >>> et.generate(lm, "Tell me.", grammar=f'start: {person} " was born in " /[0-9]{{4}}/')
    >>> et.generate(lm, "Tell me.", schema={"type": "string", "x-index": person})
    >>> class Birth(BaseModel):
    ...     person: Annotated[str, et.key_of("people.ergo")]
    """
    if isinstance(index, str | Path):
        return KeyOf(index)
    if not hasattr(index, "candidates"):
        raise InputError(f"{index!r:.60} is neither the file of an index nor a trie")
    trie = settled(index)
    if trie.tokenizer is None:
        raise InputError(
            "the trie has no tokenizer, so its keys have no texts: build it with one, or load it "
            "with one"
        )
    made = KeyOf(f"{_MEMORY}{id(trie):x}")
    made.trie = _tries[str.__str__(made)] = trie
    return made


def keys_of(name: str) -> KeyTexts:
    """The texts of the keys of an index.

    They are read once for as long as the file stays as it is.

    Parameters
    ----------
    name : str
        A file, or what ``key_of`` named.

    Raises
    ------
    InputError
        There is no such file, it has no keys or no texts, or the trie is not in use any more.
    IndexFileError
        The file is no index, or damaged.
    """
    if name.startswith(_MEMORY):
        trie = _tries.get(name)
        if trie is None:
            raise InputError("the trie of key_of is no longer in use: keep it in a variable")
        return _kept((name,), trie.tail, lambda: KeyTexts(_texts(trie), "in memory"))
    try:
        key = str(Path(name).absolute()), state_of(name)
    except (OSError, ValueError):
        key = name, None  # opening it says what is wrong
    return _kept(key, None, lambda: KeyTexts(_texts(opened(name)[0]), name))


def _kept(key: tuple[Any, ...], owner: object, make: Callable[[], KeyTexts]) -> KeyTexts:
    """What is known under a key, if it is of the same owner; else it is made."""
    found = _known.get(key)
    if found is None or found[0] is not owner:
        found = owner, make()
        _known.keep(key, found, len(found[1].joined))
    return found[1]


def _texts(trie: TokenTrie) -> Iterator[bytes]:
    """The text of each key."""
    tokenizer: Any = trie.tokenizer
    pieces = None
    if isinstance(tokenizer, CharacterTokenizer):
        pieces = _Written(tokenizer)
    for ids, offsets in key_blocks(trie, ROOT, AT_ONCE):
        if pieces is not None:
            yield from pieces.texts(ids, offsets)
            continue
        flat, bounds = ids.tolist(), offsets.tolist()
        rows = [flat[low : high - 1] for low, high in pairwise(bounds)]
        many = getattr(tokenizer, "decode_many", None)
        texts = map(tokenizer.decode, rows) if many is None else many(rows)
        yield from (text.encode() for text in texts)


class _Written:
    """What the tokens of a character tokenizer write, for many keys at once."""

    def __init__(self, tokenizer: CharacterTokenizer) -> None:
        pieces = [tokenizer.piece(token) for token in range(tokenizer.size)]
        self._offsets = offsets_of(np.array([len(piece) for piece in pieces]))
        self._flat = np.frombuffer(b"".join(pieces), dtype=np.uint8)

    def texts(self, ids: Ints, offsets: Ints) -> Iterator[bytes]:
        """The text of each row; the end token writes nothing."""
        flat, written = take_rows(self._flat, self._offsets, ids)
        joined, bounds = flat.tobytes(), written[offsets].tolist()
        for low, high in pairwise(bounds):
            yield joined[low:high]
