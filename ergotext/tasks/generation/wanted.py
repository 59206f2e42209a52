"""What a text must be: the automaton that allows it, and the object that it stands for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata.grammars import check_expression, grammar, json_schema, regex
from ergotext.lm.automata.literals import choices
from ergotext.lm.automata.llguidance_errors import check_grammar, reason
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.schema import lark_of
from ergotext.lm.automata.slot_source import as_if_plain, parted
from ergotext.lm.index_keys import keys_of
from ergotext.lm.protocols import Automaton
from ergotext.lm.trie.file import load
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.extras import needed
from ergotext.support.words import LINE_BREAKS, check_text, check_texts

Kind = Literal["schema", "regex", "choices", "grammar", "automaton"]
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Wanted:
    """A constraint, before the tokenizer is known.

    Parameters
    ----------
    kind : "schema", "regex", "choices", "grammar" or "automaton"
    source : object
        The schema, expression, list of texts or grammar as it was given, or the automaton itself.
    read : function (text, tokens) -> object
        The object that a text stands for.
    indexes : tuple of str
        The indexes that a schema or grammar names.
    """

    kind: Kind
    source: Any
    read: Callable[[str, Tokens], Any]
    indexes: tuple[str, ...] = ()

    def automaton(self, pieces: Pieces, *, before: str = "", whitespace: bool = False) -> Automaton:
        """The automaton of the texts, in a model's tokens.

        Parameters
        ----------
        pieces : Pieces
        before : str
            What stands before each choice.
        whitespace : bool
            Whether JSON may have spaces and line breaks around all parts.

        Raises
        ------
        InputError
            No text of these tokens fits, or an automaton is of another model.
        """
        match self.kind:
            case "schema":
                return json_schema(self.source, pieces, whitespace=whitespace, keys=keys_of)
            case "regex":
                return regex(self.source, pieces)
            case "choices":
                return choices([before + text for text in self.source], pieces)
            case "grammar":
                return grammar(self.source, pieces, keys=keys_of)
        made: Automaton = self.source
        if made.end != pieces.alphabet.end:
            raise InputError(
                "the index or automaton was built for another tokenizer than the model's (its end "
                f"token is {made.end}, the model's {pieces.alphabet.end}): build it again with "
                "tokenizer= and the name of this model"
            )
        return made

    @property
    def one_line(self) -> bool:
        """Whether line breaks are no part of the texts, as far as that is told."""
        if self.kind == "choices":
            return not any(LINE_BREAKS.intersection(text) for text in self.source)
        return self.kind in ("schema", "regex") or isinstance(self.source, TokenTrie)


def wanted(
    output_type: Any = None,
    *,
    schema: str | bool | Mapping[str, Any] | None = None,
    regex: str | None = None,
    choices: Sequence[str] | None = None,
    grammar: str | None = None,
    trie: TokenTrie | str | Path | None = None,
) -> Wanted:
    """The one constraint that was given; needs no model, and no torch.

    Raises
    ------
    InputError
        There is none or several, or it is malformed or impossible.
    """
    named = {"schema": schema, "regex": regex, "choices": choices, "grammar": grammar, "trie": trie}
    given = {name: one for name, one in {"output_type": output_type, **named}.items()
             if one is not None}  # fmt: skip
    if len(given) != 1:
        said = f"got {' and '.join(given)}" if given else "got none"
        raise InputError(f"give one of {', '.join(named)}, or a type; {said}")
    if schema is not None:
        return _of_schema(schema, _parsed)
    if regex is not None:
        check_expression(regex)
        return Wanted("regex", regex, _itself)
    if choices is not None:
        return _of_choices(choices, _itself)
    if grammar is not None:
        return _of_grammar(grammar)
    return _of_automaton(trie) if trie is not None else _of_type(output_type)


def _itself(text: str, _: Tokens) -> str:
    return text


def _parsed(text: str, _: Tokens) -> Any:
    """What JSON holds; ErgotextError where it is more than Python reads."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError) as error:
        raise ErgotextError(
            f"the text {text!r:.80} is nested too deep, or a number in it too long, to be read "
            f"({error!s:.80}): use its text, or bound the schema (maxItems, maximum, max_tokens)"
        ) from error


def _of_schema(schema: Any, read: Callable[[str, Tokens], Any]) -> Wanted:
    lark = lark_of(schema, keys=keys_of)
    if not lark:
        shown = schema if isinstance(schema, str) else json.dumps(schema, ensure_ascii=False)
        raise InputError(f"no value satisfies the schema {shown!r:.200}: check it")
    return Wanted("schema", schema, read, _opened(parted(lark)[1]))


def _of_choices(texts: Any, read: Callable[[str, Tokens], Any]) -> Wanted:
    check_texts(texts, "choices")
    if not texts:
        raise InputError("there is nothing to choose from: give at least one choice")
    if "" in texts:
        raise InputError("one of the choices is empty: drop it, or give it a name")
    return Wanted("choices", list(dict.fromkeys(texts)), read)


def _of_grammar(lark: str) -> Wanted:
    check_grammar(lark)
    source, indexes = parted(lark)
    if said := needed("llguidance", "automata").LLMatcher.validate_grammar(as_if_plain(source)):
        raise InputError(f"the grammar cannot be read: {reason(said, before=0)}")
    return Wanted("grammar", lark, _itself, _opened(indexes))


def _opened(indexes: Sequence[str]) -> tuple[str, ...]:
    """Their keys are read before a model is loaded, so that what is wrong shows at once."""
    for name in indexes:
        keys_of(name)
    return tuple(indexes)


def _of_automaton(given: Any) -> Wanted:
    made = load(given) if isinstance(given, str | Path) else given
    if not hasattr(made, "candidates"):
        raise InputError(f"{given!r:.60} is neither an index nor an automaton")
    if isinstance(made, TokenTrie) and len(made.pool) > len(made):  # a byte ends each key's objects
        return Wanted("automaton", made, lambda _, tokens: made.objects(tokens))
    return Wanted("automaton", made, _itself)


def _of_type(given: Any) -> Wanted:
    """Of a type: texts where it is one of some texts, else JSON that pydantic reads."""
    if hasattr(given, "candidates"):
        return _of_automaton(given)
    if isinstance(given, Mapping):
        return _of_schema(given, _parsed)
    if isinstance(given, list | tuple):
        return _of_choices(given, _itself)
    if isinstance(given, str):
        check_text(given, "an output type")
        raise InputError(
            f"the text {given!r:.60} is no type: name what it is (schema=, regex=, grammar=)"
        )
    if get_origin(given) is Literal and all(isinstance(one, str) for one in get_args(given)):
        return _of_choices(get_args(given), _itself)
    if isinstance(given, type) and issubclass(given, Enum):
        members = {str(one.value): one for one in given if isinstance(one.value, str)}
        if members and len(members) == len(given):
            return _of_choices(list(members), lambda text, _: members[text])
    try:
        adapter = TypeAdapter[Any](given)
        schema = adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        told = str(error).split("\n")[0]
        raise InputError(
            f"{given!r:.60} is no type that pydantic has a JSON schema of ({told:.120})"
        ) from error
    return _of_schema(schema, lambda text, _: _validated(adapter, text))


def _validated(adapter: TypeAdapter[Any], text: str) -> Any:
    """The object; ErgotextError where the type refuses what its schema allows."""
    try:
        return adapter.validate_json(text)
    except ValueError as error:
        told = " ".join(str(error).split())
        raise ErgotextError(
            f"the text {text!r:.80} fits the schema of the type, but the type refuses it "
            f"({told:.200}): say in the type's fields what is refused"
        ) from error


def schema_in(wanted: Wanted) -> Any:
    """The schema as Python's values; None for other constraints."""
    if wanted.kind != "schema":
        return None
    return json.loads(wanted.source) if isinstance(wanted.source, str) else wanted.source
