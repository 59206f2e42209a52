"""Mention tables: the titles that each mention may mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.tokenizers.folding import alike
from ergotext.lm.trie.blocks import blocks
from ergotext.lm.trie.fields import parse
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints
from ergotext.support.words import check_text, counted

Titles = Mapping[str, str | Sequence[str]]
"""The title, or titles, of each mention."""


@dataclass(frozen=True, eq=False)
class TableEntry:
    """The titles that a mention may mean.

    Parameters
    ----------
    ordinals : int64 [n]
        The numbers of the titles in the index, rising.
    other : bool
        Whether the table writes the mention in other letters.
    """

    ordinals: Ints
    other: bool


class MentionTable:
    """The titles that each mention may mean, as keys of an index.

    A mention that the table does not have as it is written is looked up without regard to case,
    width, composition, white space, and the forms of quotes and dashes, as subjects are found.

    Parameters
    ----------
    trie : TokenTrie
        The titles, with their tokenizer.
    titles : mapping of str to str or sequence of str
        The titles of each mention.

    Raises
    ------
    InputError
        A mention is empty or has no title, or a title is not in the index.
    """

    def __init__(self, trie: TokenTrie, titles: Titles) -> None:
        self._built = _shape(trie)
        if not isinstance(titles, Mapping):
            raise InputError(
                f"a mention table must be a dict of mentions and titles, got {titles!r:.60}"
            )
        several = (
            (mention, title, f"the mention {mention!r:.60}")
            for mention, given in titles.items()
            for title in (
                [given] if isinstance(given, str) or not isinstance(given, Iterable) else given
            )
        )
        self._exact, self._folded = _grouped(trie, several)
        if empty := [mention for mention in titles if mention not in self._exact]:
            raise InputError(f"the mention {empty[0]!r:.60} has no title: add one, or remove it")

    @classmethod
    def read(cls, path: str | Path, trie: TokenTrie) -> MentionTable:
        """Read a table from lines of a mention, a tab and a title, or from a .csv file.

        A mention with several titles has a line for each.

        Raises
        ------
        InputError
            The file cannot be read or is empty, a line has other than two fields, or as
            ``MentionTable``; with the number of the line.
        """
        table = cls(trie, {})
        table._exact, table._folded = _grouped(trie, _pairs(Path(path)))
        if not table._exact:
            raise InputError(f"{path} is empty: give lines of a mention, a tab and a title")
        return table

    def __len__(self) -> int:
        return len(self._exact)

    def check(self, trie: TokenTrie) -> None:
        """InputError if the table was made for another index than this."""
        if _shape(trie) != self._built:
            raise InputError(
                "the mention table was made for another index: make one of the retriever's trie"
            )

    def find(self, mention: str) -> TableEntry | None:
        """The titles of a mention; None if the table has none."""
        if mention in self._exact:
            return TableEntry(self._exact[mention], False)
        found = self._folded.get(_fold(mention))
        return None if found is None else TableEntry(found, True)


def _shape(trie: TokenTrie) -> tuple[Alphabet, int, int, int]:
    """What tells nearly all tries apart, in no time."""
    return trie.alphabet, len(trie), trie.longest, len(trie.tail)


def _fold(mention: str) -> str:
    return "".join(alike(mention)).strip()


def _grouped(
    trie: TokenTrie, pairs: Iterable[tuple[str, str, str]]
) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """The titles of each mention as it is written, and folded.

    ``pairs``: a mention, a title, and where they come from.
    """
    known: dict[str, int] = {}
    exact: dict[str, set[int]] = {}
    folded: dict[str, set[int]] = {}
    for mention, title, where in pairs:
        check_text(mention, "a mention")
        check_text(title, f"a title of {where}")
        key = _fold(mention)
        if not key:
            raise InputError(f"{where}: the mention {mention!r} is empty: remove it")
        if title not in known:
            ordinal = trie.ordinal(title) if title else None
            if ordinal is None:
                raise InputError(
                    f"{where}: the title {title!r:.60} is not in the index (of "
                    f"{counted(len(trie), 'title')}): remove it from the table, or add it to the "
                    "index"
                )
            known[title] = ordinal
        exact.setdefault(mention, set()).add(known[title])
        folded.setdefault(key, set()).add(known[title])
    return _sorted(exact), _sorted(folded)


def _sorted(groups: Mapping[str, set[int]]) -> dict[str, Ints]:
    return {name: np.array(sorted(some), dtype=np.int64) for name, some in groups.items()}


def _pairs(path: Path) -> Iterator[tuple[str, str, str]]:
    """Mention, title and place of each line."""
    before = 0
    for block in blocks(path, "reading mentions"):
        fields = parse(block.raw, before, 2)
        bad = fields.bad | block.bad
        if bad:
            line = min(bad)
            raise InputError(f"{path}, line {line}: {bad[line]}; give a mention, a tab and a title")
        raw = fields.raw.tobytes()
        spans = zip(fields.raw_begin.tolist(), fields.raw_stop.tolist(), strict=True)
        for number, (begin, stop) in zip(fields.numbers.tolist(), spans, strict=True):
            mention, title = (raw[a:b].decode() for a, b in zip(begin, stop, strict=True))
            yield mention, title, f"{path}, line {number}"
        before += fields.lines
