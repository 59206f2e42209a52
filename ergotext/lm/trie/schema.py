"""What the columns of lines are: which of them make up a key, and which one answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ergotext.errors import InputError
from ergotext.lm.trie.header import IndexFileError
from ergotext.support.untrusted import check_types, json_of

COLUMNS, NOTE = "columns", "schema"
"""Notes of an index: the names of its columns and, if these do not say it, what they are."""
NONE = "none"
_BETWEEN = "…"


@dataclass(frozen=True)
class Schema:
    """What the columns of lines are.

    The text of a key is the mention, the key columns and the meaning with tabs between them. The
    meaning tells subjects of one name apart: a suffix of the mention in brackets, if there is one.
    Without a mention, the one key column is the key.

    Parameters
    ----------
    columns : tuple of str
        The names of the columns, in the order of the file. Those of no other part are left out.
    mention : str, optional
        The column whose text, without the suffix, a question names: the subject.
    key : tuple of str
        The columns that, with the mention, make up a key: what is said of the subject first, then
        what else tells entries apart, such as an id.
    answer : str, optional
        The column of the objects. Lines of one key give it several.
    brackets : pair of str, optional
        What stands before and after the suffix: ``（`` and ``）``, or a space with ``(`` and ``)``.

    Raises
    ------
    InputError
        A column is named twice or is not there, or there is no key.
    """

    columns: tuple[str, ...]
    mention: str | None
    key: tuple[str, ...]
    answer: str | None = None
    brackets: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        used = [name for name in (self.mention, *self.key, self.answer) if name is not None]
        for names in (self.columns, used):
            if twice := next((name for name, n in Counter(names).items() if n > 1), None):
                raise InputError(
                    f"columns {','.join(self.columns)!r:.200} do not make up a key: "
                    f"{twice!r:.60} is named twice; name each once"
                )
        known = {*self.columns}
        if missing := [name for name in used if name not in known]:
            raise InputError(
                f"there is no column {missing[0]!r:.60}: the columns are "
                f"{','.join(self.columns):.200}"
            )
        if not self.key or (self.mention is None and len(self.key) > 1):
            raise InputError(
                f"columns {','.join(self.columns)!r:.200} do not make up a key: name subject and "
                "predicate, or key, and at most one object; or say which column is the mention, "
                "which others the key, and which the answer"
            )
        if self.brackets is not None and not all(map(_encloses, self.brackets)):
            raise InputError(
                "brackets must be two texts, without a tab or a line break; got "
                f"{_BETWEEN.join(self.brackets)!r:.60}"
            )

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        *,
        mention: str | None = None,
        key: Sequence[str] | None = None,
        answer: str | None = None,
        brackets: str | None = None,
    ) -> Schema:
        """By the names of columns and of their parts.

        What is not given is known by its name: ``subject`` is the mention, ``object`` the answer,
        and all others the key. With a mention, brackets are ``（…）`` if not given, or ``none``.

        Raises
        ------
        InputError
            As the class has; or brackets are not two texts with ``…`` between them.
        """
        names = tuple(columns)
        named = mention is not None or key is not None
        mention = "subject" if mention is None and "subject" in names else mention
        answer = "object" if answer is None and "object" in names else answer
        if key is None:
            key = [name for name in names if name not in (mention, answer)]
        plain = ["predicate"] if mention is not None else ["key"]
        if not named and list(key) != plain:
            key = ()  # names that say nothing
        between = None if mention is None else _brackets(brackets)
        return cls(names, mention, tuple(key), answer, between)

    @classmethod
    def noted(cls, notes: Mapping[str, str]) -> Schema | None:
        """That of an index by its notes; None if they do not tell.

        Raises
        ------
        IndexFileError
            The notes are damaged.
        """
        columns = tuple(notes.get(COLUMNS, "").split(","))
        if NOTE not in notes:
            try:
                return cls.of(columns)
            except InputError:
                return None
        try:
            told = json_of(notes[NOTE])
            check_types(told, {"mention": str, "key": list, "answer": str, "brackets": list},
                        optional=["mention", "answer", "brackets"])  # fmt: skip
            brackets = told.get("brackets")
            texts = [*told["key"], *(brackets or ())]
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("a name is not a text")
            if brackets is not None and len(brackets) != 2:
                raise ValueError(f"it has {len(brackets)} brackets, not 2")
            pair = None if brackets is None else (brackets[0], brackets[1])
            return cls(columns, told.get("mention"), tuple(told["key"]), told.get("answer"), pair)
        except (ValueError, InputError) as error:
            raise IndexFileError(
                f"the index is damaged: its schema is invalid ({error}); build it again"
            ) from error

    def notes(self) -> dict[str, str]:
        """What an index notes of it: nothing but the names where they tell all."""
        found = {COLUMNS: ",".join(self.columns)}
        if self == Schema.noted(found):
            return found
        told = {"mention": self.mention, "key": self.key, "answer": self.answer}
        some = {**told, "brackets": self.brackets}
        note = {name: value for name, value in some.items() if value is not None}
        return {**found, NOTE: json.dumps(note, ensure_ascii=False)}

    def text(self) -> str:
        """For people: the columns and, where their names do not tell, what they are."""
        if NOTE not in self.notes():
            return ",".join(self.columns)
        brackets = NONE if self.brackets is None else _BETWEEN.join(self.brackets)
        told = {"mention": self.mention, "key": ",".join(self.key), "answer": self.answer}
        parts = ", ".join(f"{name} {value}" for name, value in told.items() if value)
        more = f", brackets {brackets}" if self.mention is not None else ""
        return f"{','.join(self.columns)} ({parts}{more})"

    def ordered(self, columns: Sequence[str]) -> Schema | None:
        """The same with columns in another order, maybe without the answer.

        None if a column of the key is not there.
        """
        names = tuple(columns)
        if not {self.mention, *self.key} - {None} <= set(names):
            return None
        answer = self.answer if self.answer in names else None
        if answer is None and self.answer is None and "object" in names:
            answer = "object"
        return replace(self, columns=names, answer=answer)

    def key_text(self, *parts: str) -> str:
        r"""The text of a key: of the mention and the key columns, in this order.

        >>> TRIPLES.key_text("苹果（水果）", "产地")
        '苹果\t产地\t水果'
        """
        if self.mention is None or self.brackets is None:
            return "\t".join(parts)
        subject, *rest = parts
        opening, closing = self.brackets
        name, bracket, meaning = subject.partition(opening)
        if not (name and bracket and meaning.endswith(closing)):
            return "\t".join(parts)
        return "\t".join([name, *rest, meaning.removesuffix(closing)])

    def parts(self, key: str) -> tuple[str, ...] | None:
        """Inverse of ``key_text``; None for other keys."""
        if self.mention is None:
            return (key,)
        subject, *rest = key.split("\t")
        more = len(rest) - len(self.key)
        if more == 1 and self.brackets is not None:
            subject = f"{self.brackets[0].join([subject, rest.pop()])}{self.brackets[1]}"
        elif more:
            return None
        return (subject, *rest)

    def fields(self, key: str) -> dict[str, str]:
        """The text of a key as the fields of a line; as ``key`` if it is none of this schema."""
        parts = self.parts(key)
        names = self.key if self.mention is None else (self.mention, *self.key)
        return {"key": key} if parts is None else dict(zip(names, parts, strict=True))


def _encloses(bracket: str) -> bool:
    """Whether a text can stand before or after a suffix."""
    return bool(bracket) and not any(char in bracket for char in "\t\n\r")


def _brackets(told: str | None) -> tuple[str, str] | None:
    if told == NONE:
        return None
    opening, between, closing = ("（…）" if told is None else told).partition(_BETWEEN)
    if not between or not (_encloses(opening) and _encloses(closing)):
        raise InputError(
            f"brackets must be two texts with … between them, such as ' (…)', or none; got {told!r}"
        )
    return opening, closing


TRIPLES = Schema.of(("subject", "predicate", "object"))
TITLES = Schema.of(("key",))


def schema_of(columns: Schema | Sequence[str]) -> Schema:
    """A schema, or that of columns by their names, several or one text with commas in it."""
    if isinstance(columns, str):
        columns = [name.strip() for name in columns.split(",")]
    return columns if isinstance(columns, Schema) else Schema.of(columns)
