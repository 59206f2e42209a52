"""Sources of training examples: names and predicates, questions, templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.builder import build
from ergotext.lm.trie.keys import keys_through
from ergotext.lm.trie.lines import Lines, key_text
from ergotext.lm.trie.states import ROOT
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.untrusted import read_bytes
from ergotext.tasks.datasets.kgclue.data import Triple

SUBJECT = "{subject}"
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Name:
    """A subject: its mention in questions, and the suffix that disambiguates it."""

    mention: str
    meaning: str = ""

    def key(self, predicate: str) -> str:
        """The text of its key for a predicate: the meaning last."""
        fields = [self.mention, predicate, self.meaning]
        return "\t".join(fields if self.meaning else fields[:2])


@dataclass(frozen=True)
class Base:
    """The distinct strings of an index, in order.

    Parameters
    ----------
    names : sequence of Name
    predicates : sequence of str
    """

    names: Sequence[Name]
    predicates: Sequence[str]

    @classmethod
    def of(cls, trie: TokenTrie) -> Base:
        """The strings of a trie of triples with its tokenizer.

        Raises
        ------
        InputError
            Its keys are no triples.
        """
        names: dict[Name, None] = {}
        predicates: dict[str, None] = {}
        for text in key_texts(trie):
            mention, tab, rest = text.partition("\t")
            predicate, _, meaning = rest.partition("\t")
            if not tab:
                raise InputError(
                    f"the key {text!r:.60} is not a subject and predicate: use an index of triples"
                )
            names[Name(mention, meaning)] = None
            predicates[predicate] = None
        return cls(list(names), list(predicates))


@dataclass(frozen=True)
class KnownQuestion:
    """A training question, with the positions of its subject and predicate."""

    text: str
    answer: Triple
    name: Name
    subject_at: int
    """-1 where the mention stands nowhere or in several places"""
    predicate_at: int
    """-1 where it does not stand in the rest of the question, or in several places"""

    @property
    def predicate(self) -> str:
        """The predicate of its answer."""
        return self.answer.predicate

    @classmethod
    def of(cls, text: str, answer: Triple) -> KnownQuestion:
        """Of a question with its answer."""
        subject, predicate, _ = answer
        mention, _, rest = key_text(subject, predicate).partition("\t")
        name = Name(mention, rest[len(predicate) + 1 :])
        at = _only(text, mention)
        place = _only(text, predicate) if at >= 0 else -1
        apart = place + len(predicate) <= at or at + len(mention) <= place
        return cls(text, answer, name, at, place if apart else -1)

    def renamed(self, name: Name, predicate: str | None = None) -> str:
        """The question about another subject and, if one is given, another predicate."""
        swaps = [(self.subject_at, self.name.mention, name.mention)]
        if predicate is not None:
            swaps.append((self.predicate_at, self.predicate, predicate))
        text = self.text
        for at, old, new in sorted(swaps, reverse=True):
            text = text[:at] + new + text[at + len(old) :]
        return text


@dataclass(frozen=True)
class Template:
    """A question template with ``{subject}`` for the name of a subject."""

    predicate: str
    text: str

    def asked(self, name: Name) -> str:
        """The question about this subject."""
        return self.text.replace(SUBJECT, name.mention)


def key_texts(trie: TokenTrie) -> Iterable[str]:
    """The texts of all keys, in sorted order, the memory of a block of keys at a time."""
    written = Written.by(trie.tokenizer) if trie.tokenizer is not None else None
    if written is None:
        raise InputError("this index has no tokenizer to decode its keys: load it with one")
    root = np.array([ROOT])
    _, _, targets = trie.candidates(root)
    low, high = trie.span(targets)
    block = (np.cumsum(high - low) - 1) // _BLOCK
    for number in np.unique(block):
        _, ids, offsets = keys_through(trie, targets[block == number])
        tokens = trie.candidates(root)[1][block == number]
        first = np.repeat(tokens, (high - low)[block == number])
        yield from written.texts(
            np.insert(ids, offsets[:-1], first), offsets + np.arange(len(offsets))
        )


def in_tokens_of(trie: TokenTrie, tokenizer: FastTokenizer) -> TokenTrie:
    """The entries of a trie in the tokens of a model: the trie itself if it has them already."""
    if trie.alphabet == tokenizer.alphabet:
        return trie
    pairs: Iterator[tuple[str, str | None]] = (
        (text, value)
        for ordinal, text in enumerate(key_texts(trie))
        for value in trie.values_at(ordinal) or (None,)
    )
    return build(pairs, tokenizer)


def read_templates(paths: Iterable[Path], lines: Lines) -> list[Template]:
    """The templates of files of lines, predicate, tab, question with ``{subject}`` in it.

    Blank lines are none; other lines are left out and counted in ``lines``.

    Raises
    ------
    InputError
        A file cannot be read, or holds no template.
    """
    found: list[Template] = []
    for path in paths:
        raw = read_bytes(path, what="the templates", largest=1 << 30).removeprefix(b"\xef\xbb\xbf")
        bad: dict[int, str] = {}
        rows = [row for row in enumerate(raw.split(b"\n"), 1) if row[1].strip()]
        before = len(found)
        for number, row in rows:
            try:
                found.append(_template(row.decode().strip("\r")))
            except ValueError as error:
                bad[number] = str(error)
        lines.count(path, len(rows), bad, strict=False)
        if len(found) == before:
            raise InputError(
                f"{path} contains no templates: each line is a predicate, a tab, and a question "
                f"with {SUBJECT}"
            )
    return found


def digests(
    questions: str, trie: TokenTrie, templates: Sequence[Path], synonyms: Sequence[Path] = ()
) -> dict[str, str]:
    """Digests of the training data."""
    keys = blake2b(digest_size=8)
    for text in key_texts(trie):
        keys.update(text.encode() + b"\n")
    objects = blake2b(trie.pool.tobytes(), digest_size=8).hexdigest()
    told = {"questions": questions, "index": keys.hexdigest(), "objects": objects}
    for kind, paths in (("templates", templates), ("synonyms", synonyms)):
        for number, path in enumerate(paths, 1):
            told[f"{kind} {number}"] = blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return told


def _template(row: str) -> Template:
    predicate, tab, text = row.partition("\t")
    if not (predicate and tab) or "\t" in text:
        raise ValueError("not a predicate, a tab and a question")
    if SUBJECT not in text:
        raise ValueError(f"no {SUBJECT} in the question")
    return Template(predicate, text)


def _only(text: str, part: str) -> int:
    """Where ``part`` stands in ``text``, if that is one place; else -1."""
    at = text.find(part)
    return at if part and text.find(part, at + 1) < 0 else -1
