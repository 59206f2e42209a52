"""Compile a JSON schema to a grammar.

``document`` parses the schema with exact numbers; ``keywords`` and ``applicators`` translate each
keyword and its negation; ``normal_form`` reduces them to alternatives; ``writer`` writes each as
grammar rules, strings by ``patterns`` and numbers by ``numerals``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.schema.document import Document, parsed
from ergotext.lm.automata.schema.normal_form import Logic
from ergotext.lm.automata.schema.writer import Writer


def lark_of(
    schema: str | bool | Mapping[str, Any],
    *,
    whitespace: bool = False,
    keys: Callable[[str], Container[bytes]] | None = None,
) -> str:
    """A grammar, in llguidance's notation, of the JSON texts that a schema admits.

    Parameters
    ----------
    schema : str, bool or mapping
    whitespace : bool
        Whether white space is allowed around all parts.
    keys : function (str) -> container of bytes, optional
        The keys of an index; needed where a schema with ``x-index`` also lists values.

    Returns
    -------
    str
        Nothing, if no value fits the schema. Any key of an index is a slot (``slot_source``).

    Raises
    ------
    InputError
        The schema is malformed, or a keyword cannot be followed exactly: its name, and where it
        stands.
    """
    try:
        document = Document(parsed(schema))
        return Writer(Logic(document, keys), whitespace).lark(document.root)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"invalid URI in the schema ($id, $ref): {error}") from error
    except RecursionError as error:
        raise InputError("the schema is nested too deeply to be resolved") from error
