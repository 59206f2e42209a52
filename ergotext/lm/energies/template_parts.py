"""Read a template: the texts that are given, and the blanks between them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ergotext.errors import InputError
from ergotext.lm.automata.template_chain import Blank
from ergotext.support.words import check_word, is_unspaced

_BLANK = re.compile(r"_{3,}(?:\{\s*(\d+)\s*(,?)\s*(\d*)\s*\})?")
_CLOSING = re.compile(r"\s+([.,;:!?%)\]}。，；：！？、”’])")


@dataclass(frozen=True)
class Parts:
    """A template, read: texts and the blanks between them."""

    texts: tuple[str, ...]
    """One more than there are blanks; the outer ones may be empty. A text that a space parts from
    the blank before it begins with that space; the space after a text belongs to the blank."""
    blanks: tuple[Blank, ...]
    pattern: re.Pattern[str]
    """What the whole text must match, a group for each blank."""
    given: tuple[str, ...]
    """The texts with the spaces before blanks."""

    @classmethod
    def of(cls, template: str) -> Parts:
        """Read ``The ___ sat on the ___{1,3}.``

        Raises
        ------
        InputError
            No blank, two side by side, one of no length, or a length that cannot be read.
        """
        given = " ".join(template.split())
        found = list(_BLANK.finditer(given))
        if not found:
            raise InputError(f"there is no blank in {template!r}: mark blanks with ___")
        for blank in found:
            if blank.group(1) is None and given[blank.end() :].startswith(("{", "｛")):
                raise InputError(
                    f"the blank {given[blank.start() : blank.end() + 12]!r} has an invalid length: "
                    "write ___, ___{2}, ___{1,3} or ___{2,}"
                )
        bounds = [0, *(at for m in found for at in m.span()), len(given)]
        # White space before closing punctuation is the template's, not the text's: ``___ .``
        texts = [
            (_CLOSING.sub(r"\1", given[a:b]) if n else given[a:b])
            for n, (a, b) in enumerate(zip(bounds[::2], bounds[1::2], strict=True))
        ]
        if any(not text.strip() for text in texts[1:-1]):
            raise InputError(f"two blanks are adjacent in {template!r}: merge them into one")
        for text in texts:
            if text.strip():
                check_word(text)
        spaced = not any(is_unspaced(char) for char in given)
        blanks = [
            _blank(m, spaced, glued=bool(text) and not text.endswith(" "))
            for m, text in zip(found, texts, strict=False)
        ]
        groups = [f"({blank.pattern()})" for blank in blanks]
        source = "".join(
            re.escape(text) + group for text, group in zip(texts, [*groups, ""], strict=True)
        )
        inner = (text.rstrip() if n < len(found) else text for n, text in enumerate(texts))
        return cls(tuple(inner), tuple(blanks), re.compile(source), tuple(texts))

    def filled(self, text: str) -> bool:
        """Whether a text is the template with its blanks filled; a space may stand before it."""
        return self.pattern.fullmatch(text.removeprefix(" ")) is not None

    def fillings(self, text: str) -> tuple[str, ...] | None:
        """The fillings of a text's blanks; None if it does not match the template."""
        match = self.pattern.fullmatch(text.strip())
        return None if match is None else match.groups()


def _blank(found: re.Match[str], spaced: bool, glued: bool) -> Blank:
    least, comma, most = found.groups()
    if least is None:
        return Blank(spaced=spaced, glued=glued)
    high = int(most) if most else None if comma else int(least)
    if int(least) < 1:
        raise InputError(f"a blank must have at least one word, got {found.group()!r}")
    if high is not None and high < int(least):
        raise InputError(f"a blank's minimum is above its maximum in {found.group()!r}")
    return Blank(int(least), high, spaced, glued)
