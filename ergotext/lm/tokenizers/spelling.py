"""Derive the bytes each token writes from the decoder of a fast tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer

from ergotext.errors import InputError

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_HARMLESS = {"Fuse", "Strip"}
"""Steps of a decoder that change no token, but for a space at the very beginning of a text."""


def spelled(tokenizer: Any) -> list[bytes]:
    """The bytes that each token writes, by id; nothing for ids that are no token or no UTF-8.

    A space that the tokenizer would not show at the very beginning of a text is written.

    Raises
    ------
    InputError
        It is no fast tokenizer, or its decoder is none of a byte-level or SentencePiece one.
    """
    inner = getattr(tokenizer, "backend_tokenizer", None) if _is_fast(tokenizer) else None
    steps = [] if inner is None else _steps(inner)
    write = None if inner is None else _writer(steps)
    if inner is None or write is None:
        what = " and ".join(step["type"] for step in steps) or "none"
        raise InputError(
            "cannot determine what the tokens of this tokenizer write "
            f"({type(tokenizer).__name__}, decoder: {what}): use a fast byte-level or "
            "SentencePiece tokenizer, or give Pieces a list of bytes"
        )
    own, every = _vocabularies(inner)
    found = [b""] * (max(every.values(), default=-1) + 1)
    for name, token in every.items():
        # A token that was only added is matched in the text itself, and written as it stands.
        found[token] = write(name) if name in own else name.encode()
    # No UTF-8 holds the byte 0xFF, which llguidance marks special tokens with.
    return [b"" if b"\xff" in piece else piece for piece in found]


def misread(inner: Tokenizer) -> dict[int, str]:
    """The tokens that a byte-level tokenizer's own decoder gets wrong, and what they write.

    Byte-level decoders take every token for letters that stand for bytes. Those of an added token
    stand for themselves: ``ñandú`` would come back as ``�and�``.
    """
    if not any(step["type"] == "ByteLevel" for step in _steps(inner)):
        return {}
    own, every = _vocabularies(inner)
    added = ((token, name) for name, token in every.items() if name not in own)
    return {token: name for token, name in added if _bytes_of(name) != name.encode()}


def decoded(
    ids: Sequence[int], wrong: Mapping[int, str], decode: Callable[[Sequence[int]], str]
) -> str:
    """The text of tokens, of which ``decode`` gets those in ``wrong`` (``misread``) wrong."""
    if not wrong or wrong.keys().isdisjoint(ids):
        return decode(ids)
    text, begin = "", 0
    for place, token in enumerate(ids):
        if token in wrong:
            text += (decode(ids[begin:place]) if place > begin else "") + wrong[token]
            begin = place + 1
    return text + (decode(ids[begin:]) if begin < len(ids) else "")


def _is_fast(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "is_fast", False))


def _vocabularies(inner: Tokenizer) -> tuple[dict[str, int], dict[str, int]]:
    """Ids by name: of the model itself, and with what was added to it."""
    return inner.get_vocab(with_added_tokens=False), inner.get_vocab(with_added_tokens=True)


def _steps(inner: Tokenizer) -> list[dict[str, Any]]:
    decoder = json.loads(inner.to_str())["decoder"]
    return [] if decoder is None else list(decoder.get("decoders", [decoder]))


def _writer(steps: Sequence[dict[str, Any]]) -> Callable[[str], bytes] | None:
    """What a decoder of these steps makes of one token; None where that depends on others."""
    kinds = {step["type"] for step in steps} - _HARMLESS
    if kinds == {"ByteLevel"}:
        return _bytes_of
    if not kinds or not kinds <= {"Replace", "Metaspace", "ByteFallback"}:
        return None
    marks = []
    for step in steps:
        if step["type"] == "Metaspace":
            marks.append((step["replacement"], " "))
        elif step["type"] == "Replace":
            if "String" not in step["pattern"]:
                return None
            marks.append((step["pattern"]["String"], step["content"]))

    def write(name: str) -> bytes:
        byte = _BYTE.fullmatch(name) if "ByteFallback" in kinds else None
        if byte:
            return bytes([int(byte[1], 16)])
        for mark, text in marks:
            name = name.replace(mark, text)
        return name.encode()

    return write


def _bytes_of(name: str) -> bytes:
    """The bytes that the letters of a byte-level token stand for, as its decoder takes them."""
    bytes_of = letters()
    known = [bytes_of.get(letter) for letter in name]
    return name.encode() if None in known else bytes(byte for byte in known if byte is not None)


@lru_cache(maxsize=1)
def letters() -> dict[str, int]:
    """The byte that each letter stands for (Radford et al. 2019, GPT-2's ``bytes_to_unicode``)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(b): b for b in shown} | {chr(256 + n): b for n, b in enumerate(hidden)}
