"""Automata for regular expressions, JSON schemas and grammars, through llguidance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata.completions import outlook_of
from ergotext.lm.automata.explored import Explored, InWords, surely_empty
from ergotext.lm.automata.llguidance_errors import (
    DEAD_END,
    check_grammar,
    check_regex,
    matcher_of,
    reason,
    shown,
)
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.schema import lark_of
from ergotext.lm.automata.schema.document import parsed
from ergotext.lm.automata.schema.names import Names, quotes_of
from ergotext.lm.automata.shortest import shortest_json
from ergotext.lm.automata.slot_source import parted
from ergotext.lm.automata.slots.filled import Filling, filled
from ergotext.lm.automata.slots.key_texts import KeyTexts
from ergotext.support.arrays import Ints
from ergotext.support.extras import needed

IndexKeys = Callable[[str], KeyTexts]
"""What the keys of an index are, by its name."""
_FREE = '%llguidance {"no_forcing": true}'
"""Text that must follow may be cut into tokens in any way, not only as the tokenizer would."""


@dataclass(frozen=True)
class Read:
    """A text read so far, and the matcher in that state, which is never advanced again.

    A grammar speaks of text, so the bytes read are the whole of a position: tokenisations of one
    text meet.
    """

    text: bytes
    matcher: Any = field(compare=False)
    names: Names | None = field(compare=False, default=None)
    """of the JSON objects that are open, where names may not repeat"""


def regex(pattern: str, pieces: Pieces) -> Explored[Read]:
    r"""The token sequences whose whole text matches a regular expression.

    Parameters
    ----------
    pattern : str
        In the syntax of Rust's ``regex``, which has no look-around and no back-references; ``.``
        is any character but a line break, ``\d`` a digit of any script; ``^`` and ``$`` may stand
        at the ends. Possessive counts (``a*+``), which engines read in two ways, are refused.
    pieces : Pieces

    Raises
    ------
    InputError
        The expression is malformed, or no sequence of these tokens matches it.

    References
    ----------
    Moskal et al., llguidance: derivatives of regular expressions over a trie of the tokens.
    """
    check_regex(pattern)
    expression = needed("llguidance", "automata").regex_to_lark(pattern)
    return _explored(f"start: /{expression}/", pattern, pieces, "matches the expression")


def check_expression(pattern: str) -> None:
    """Raise InputError for an expression that is malformed; needs no tokenizer."""
    check_regex(pattern)
    guidance = needed("llguidance", "automata")
    lark = f"{_FREE}\nstart: /{guidance.regex_to_lark(pattern)}/"
    if said := guidance.LLMatcher.validate_grammar(lark):
        raise InputError(f"{shown(pattern)} cannot be read: {reason(said)}")


def json_schema(
    schema: str | bool | Mapping[str, Any],
    pieces: Pieces,
    *,
    whitespace: bool = False,
    keys: IndexKeys | None = None,
) -> Explored[Any]:
    r"""The token sequences whose text is JSON that a schema admits.

    No text is accepted that the schema forbids. Not all are accepted that it admits, so log Z is
    that of these:

    * members come in the schema's order, those that it does not name last; no name comes twice;
    * strings have one spelling: characters as they are, else by their shortest escape
      (``\"``, ``\n``, ``\u001f``; neither ``\/`` nor ``\u00e9``);
    * a number under bounds is written plainly or with one digit before the point and an exponent;
      integers, fractions and multiples have no exponent; ``1.0`` is an integer;
    * ``format`` is enforced, in the plain forms of date, time, date-time, duration, email, hostname
      (no ``xn--``), ipv4, ipv6, uuid, uri, uri-reference and both json-pointers; formats that the
      standard does not name say nothing;
    * white space stands only where ``whitespace`` lets it.

    Numbers are exact, however many digits they have. A keyword that cannot be followed is refused:
    references to other documents and ``$dynamicRef`` to several anchors; look-around, references
    back and word boundaries in a ``pattern``; idn-, iri-, regex and uri-template formats;
    ``uniqueItems`` but for elements of which at most eight values are listed; ``multipleOf``
    seven and its like beside other conditions or with a fraction; ``unevaluated…`` after a choice
    or a ``contains``; under ``not``, ``oneOf`` or ``if`` the opposite of ``patternProperties``,
    ``additionalProperties`` or ``propertyNames``, where it matters; counts and choices of many
    thousands.

    Parameters
    ----------
    schema : str, bool or mapping
        JSON Schema, draft 2020-12, or 4 to 7 where they differ in form only; as text, its numbers
        keep all their digits.
    pieces : Pieces
    whitespace : bool
        Whether spaces and line breaks are allowed around all parts, any number of them.
    keys : function (str) -> KeyTexts, optional
        What the keys of an index are, which the schema names as ``x-index``: a string of such a
        schema is any of them (``ergotext.lm.index_keys.keys_of`` takes files).

    Raises
    ------
    InputError
        The schema is malformed, has a keyword that cannot be followed (its name, and where it
        stands), or no sequence of these tokens fits it.
    """
    lark = lark_of(schema, whitespace=whitespace, keys=keys)
    given = schema if isinstance(schema, str) else json.dumps(schema, ensure_ascii=False)
    if not lark:
        raise InputError(f"no value satisfies the schema {shown(given)}: check it")
    shortest, verb = shortest_json(parsed(schema)), "fits the JSON schema"
    source, indexes = parted(lark)
    if indexes:
        texts = [_keys(keys, name).quoted for name in indexes]
        return _filled(source, given, pieces, verb, texts, shortest, Names())
    return _explored(lark, given, pieces, verb, shortest, Names())


def grammar(lark: str, pieces: Pieces, *, keys: IndexKeys | None = None) -> Explored[Any]:
    """The token sequences whose text a context-free grammar derives from ``start``.

    Parameters
    ----------
    lark : str
        In llguidance's dialect of Lark's notation, without ``%llguidance`` and names of special
        tokens. What ``%json`` takes is llguidance's own reading of schemas, which is not always
        exact: use ``json_schema``. In a rule, ``%index "people.ergo"`` is any key of an index.
    pieces : Pieces
    keys : function (str) -> KeyTexts, optional
        What the keys of an index are.

    Raises
    ------
    InputError
        The grammar is malformed, or derives no text that these tokens can write.
    """
    check_grammar(lark)
    source, indexes = parted(lark)
    if indexes:
        texts = [_keys(keys, name) for name in indexes]
        return _filled(source, lark, pieces, "follows the grammar", texts)
    return _explored(lark, lark, pieces, "follows the grammar")


def _keys(keys: IndexKeys | None, name: str) -> KeyTexts:
    if keys is None:
        raise InputError(
            f"it is not known what the keys of the index {name!r:.60} are: give keys="
            "ergotext.lm.index_keys.keys_of"
        )
    return keys(name)


class _Wrapped:
    """The pieces as llguidance asks for them."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, pieces: Pieces) -> None:
        alphabet = pieces.alphabet
        self.eos_token_id = alphabet.end
        self.tokens = [*pieces.tokens, *[b""] * (alphabet.size - len(pieces.tokens))]
        silent = np.ones(alphabet.size, dtype=bool)
        silent[pieces.text] = False
        self.special_token_ids = np.flatnonzero(silent).tolist()

    def __call__(self, text: str | bytes) -> list[int]:
        raise ErgotextError(
            f"internal error: {text!r} was tokenised where nothing should be; please report it"
        )


@lru_cache(maxsize=4)
def _tokenizer(pieces: Pieces) -> Any:
    return needed("llguidance", "automata").LLTokenizer(_Wrapped(pieces))


@lru_cache(maxsize=4)
def _quotes(pieces: Pieces) -> NDArray[np.int64]:
    return quotes_of(pieces)


def _explored(
    source: str,
    given: str,
    pieces: Pieces,
    verb: str,
    shortest: int = 0,
    names: Names | None = None,
) -> Explored[Read]:
    matcher = matcher_of(f"{_FREE}\n{source}", _tokenizer(pieces), given)
    text = np.zeros(pieces.alphabet.size, dtype=bool)
    text[pieces.text] = True

    def follow(read: Read, token: int) -> Read:
        after = read.matcher.deep_copy()
        if not after.consume_token(token):
            raise ErgotextError(f"matching {shown(given)} failed: {reason(after.get_error())}")
        piece = pieces.tokens[token]
        return Read(read.text + piece, after, read.names and read.names.after(piece))

    def ways(read: Read) -> tuple[Ints, bool]:
        mask = np.frombuffer(read.matcher.compute_bitmask(), dtype=np.uint8)
        if read.matcher.is_error():
            if read.matcher.get_error().startswith(DEAD_END):
                return np.empty(0, dtype=np.int64), False
            raise ErgotextError(
                f"matching {shown(given)} failed: {reason(read.matcher.get_error())}"
            )
        allowed = np.unpackbits(mask, count=len(text), bitorder="little").astype(bool)
        # Where nothing can follow, the mask holds the end token, whether the text is whole or not.
        tokens = np.flatnonzero(allowed & text)
        if read.names is not None:
            tokens = read.names.fresh(tokens, _quotes(pieces), pieces)
        return tokens, bool(read.matcher.is_accepting())

    alphabet = pieces.alphabet
    outlook = outlook_of(f"{_FREE}\n{source}", pieces, shortest, names)
    recipe = _explored, (source, given, pieces, verb, shortest, names)
    first = Read(b"", matcher, names)
    asked = InWords[Read]([f"{verb} {shown(given)}"])
    return _checked(
        Explored(alphabet.end, alphabet.pad, first, follow, ways, outlook, recipe, asked), given
    )


def _filled(
    source: str, given: str, pieces: Pieces, verb: str, texts: Sequence[KeyTexts], *more: Any
) -> Explored[Filling]:
    asked = f"{verb} {shown(given)}"
    return _checked(filled(f"{_FREE}\n{source}", given, pieces, texts, asked, *more), given)


def _checked(explored: Explored[Any], given: str) -> Explored[Any]:
    if surely_empty(explored):
        raise InputError(
            f"no text that this tokenizer can write matches {shown(given)}: check it, or use a "
            "tokenizer that covers its characters"
        )
    return explored
