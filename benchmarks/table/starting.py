"""Rows of what comes before the first token: constraints compiled, models and indexes loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator

import llguidance

import ergotext as et
from ergotext.lm.automata import json_schema, regex
from ergotext.lm.energies.matches import pieces_of
from ergotext.samplers.target import Target
from ergotext.samplers.twists import hazards_of, twist_of
from table.decoding import EXPRESSION, FREE, KEYWORD, SCHEMA, of_expression, of_schema
from table.generating import llguidance_tokenizer, outlines_index, there
from table.rows import Row, Scale, Side


def rows(scale: Scale) -> Iterator[Row]:
    """All rows of starting."""
    lm = et.load("tiny-causal" if scale.quick else "smollm2")
    pieces = pieces_of(lm)
    tokenizer = llguidance_tokenizer(lm)

    def ours(kind: str) -> Side:
        def compiled(_: int) -> float:
            made = regex(EXPRESSION, pieces) if kind == "regex" else json_schema(SCHEMA, pieces)
            made.mask(made.start(1), pieces.alphabet.size)
            return 1.0

        return compiled

    def theirs(source: str) -> Side:
        def compiled(_: int) -> float:
            llguidance.LLMatcher(tokenizer, source).compute_bitmask()
            return 1.0

        return compiled

    by_regex: dict[str, Side | str] = {"llguidance": theirs(of_expression(EXPRESSION))}
    if there("outlines_core", scale.peers):

        def index(_: int) -> float:
            outlines_index(EXPRESSION, lm)
            return 1.0

        by_regex["outlines-core"] = index
    else:
        by_regex["outlines-core"] = "not installed"
    yield Row("regex, to its first mask", "starts", ours("regex"), by_regex)
    schema = of_schema(json.dumps(SCHEMA))
    yield Row("schema, to its first mask", "starts", ours("schema"), {"llguidance": theirs(schema)})
    energy = et.fluency(lm, FREE) + et.keywords([KEYWORD])
    hazards = hazards_of(energy.scorer)

    def twist(_: int) -> float:
        twist_of(Target.of(energy, 24), hazards)
        return 1.0

    yield Row("twist of a keyword", "starts", twist)
