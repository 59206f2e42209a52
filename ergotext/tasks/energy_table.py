"""Build the energy that a table of settings describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.grammars import json_schema
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.matches import matches, pieces_of
from ergotext.lm.energies.term import Sum, Term
from ergotext.lm.energies.terms import custom, fluency, length, pseudo_likelihood
from ergotext.lm.index_keys import keys_of
from ergotext.lm.loading import load
from ergotext.lm.masked import MaskedLM
from ergotext.support.plugins import own
from ergotext.tasks.config import schema_of

MOST = 10**9
"""The greatest number that a length may have, in tokens or as a weight."""


def energy_of(terms: Mapping[str, Any], lm: CausalLM, context: str = "") -> Sum:
    """The energy that a table of terms says.

    Parameters
    ----------
    terms : mapping
        ``fluency`` (a weight), ``length`` (a mean, or mean, sd and weight), ``keywords`` (a list,
        or words, any_order, without, words_between and one_line), ``regex``, ``json_schema`` (the
        schema, or a file), ``masked`` (a masked model to propose by, or model, weight and
        whole_words), ``custom`` (a list of ``file.py:name``, functions of a list of texts or
        subclasses of ``Term``).
    lm : CausalLM
    context : str
        Text to condition on.

    Raises
    ------
    InputError
        A term says what cannot be.
    """
    given = lm.given(context) if context else lm
    made: list[Term] = [terms.get("fluency", 1.0) * fluency(given)]
    if "length" in terms:
        made.append(_length(terms["length"]))
    if "keywords" in terms:
        made.append(_keywords(terms["keywords"]))
    if "regex" in terms:
        made.append(matches(terms["regex"]))
    if "json_schema" in terms:
        schema = schema_of(terms["json_schema"])
        made.append(matches(json_schema(schema, pieces_of(lm), keys=keys_of)))
    if "masked" in terms:
        made.append(_masked(terms["masked"]))
    made += [_own(place) for place in terms.get("custom", [])]
    return Sum([(1.0, term) for term in made])


def _own(place: object) -> Term:
    """The energy that ``file.py:name`` names: a function of texts, or a subclass of ``Term``."""
    found = own(place, ("__call__", "initial", "locked")) if isinstance(place, str) else None
    if isinstance(found, type) and issubclass(found, Term):
        return found()
    if found is None or isinstance(found, type):
        raise InputError(
            f"custom must be a list of file.py:name, functions of a list of texts or subclasses of "
            f"ergotext.Term; got {place!r}"
        )
    return custom(found, str(place).rpartition(":")[2])


def _length(told: Any) -> Term:
    table = told if isinstance(told, dict) else {"mean": told}
    _only("length", table, ("mean", "sd", "weight"))
    if "mean" not in table or not all(isinstance(v, int | float) for v in table.values()):
        raise InputError(f"length must be a mean, or a table of mean, sd and weight, got {told!r}")
    if not all(abs(float(str(value))) <= MOST for value in table.values()):
        raise InputError(f"numbers in length must be at most {MOST:,}, got {told!r:.80}")
    return float(table.get("weight", 1.0)) * length(table["mean"], table.get("sd", 1.0))


def _masked(told: Any) -> Term:
    """Pseudo-likelihood, of weight 0 where the model shall only propose."""
    table = told if isinstance(told, dict) else {"model": told}
    _only("masked", table, ("model", "weight", "whole_words"))
    name, weight = table.get("model"), table.get("weight", 0.0)
    if not isinstance(name, str) or not isinstance(weight, int | float):
        raise InputError(f"masked must be a model, or a table of model and weight, got {told!r}")
    model = load(name)
    if not isinstance(model, MaskedLM):
        raise InputError(f"{name} is not a masked language model; use one, such as tiny-masked")
    return weight * pseudo_likelihood(model, bool(table.get("whole_words", False)))


def _keywords(told: Any) -> Term:
    table = told if isinstance(told, dict) else {"words": told}
    _only("keywords", table, ("words", "any_order", "without", "words_between", "one_line"))
    words = table.get("words", [])
    if not isinstance(words, list) or not all(isinstance(word, str | list) for word in words):
        raise InputError(
            "keywords must be a list of texts (or of lists of alternatives), or a table of words, "
            f"got {told!r}"
        )
    return keywords(
        words,
        bool(table.get("any_order", False)),
        table.get("without", []),
        table.get("words_between"),
        bool(table.get("one_line", False)),
    )


def _only(name: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    if wrong := [key for key in table if key not in known]:
        raise InputError(
            f"{name} has no option {', '.join(wrong)}; its options are {', '.join(known)}"
        )
