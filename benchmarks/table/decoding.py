"""Rows of decoding: texts drawn side by side, free and under constraints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch

import ergotext as et
from ergotext.lm.automata import json_schema
from ergotext.lm.energies.matches import matches, pieces_of
from ergotext.lm.protocols import Energy
from ergotext.lm.trie.builder import build
from ergotext.samplers import SeededDraws
from ergotext.samplers.weighted.registered import SMC
from table.generating import (
    Generate,
    Masks,
    llguidance_masks,
    outlines_masks,
    xgrammar_masks,
)
from table.rows import Row, Scale, Side

SIDE_BY_SIDE = (1, 8, 32)
FREE, TOKENS = "It was a quiet morning in the small town.", 24
BEGUN, EXPRESSION = "The little dog", r"( [a-z]{1,10}){4,8}\."
KEYWORD = "river"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "city": {"enum": ["London", "Paris", "Berlin", "Rome"]},
        "retired": {"type": "boolean"},
    },
    "required": ["name", "age", "city", "retired"],
    "additionalProperties": False,
}
ASKED, ROOM = "A person as JSON: ", 48
TITLES, KEYS = "I have just read an article about", 1_000_000


@dataclass(frozen=True, eq=False)
class Drawn:
    """Texts by our smc; without resampling, as those of ``generate`` are drawn one by one."""

    energy: Energy
    rows: int
    most: int

    @cached_property
    def sampler(self) -> SMC:
        """Made once, as the masks of the others are: what that costs is a row of ``starting``."""
        return SMC(self.energy, self.most, threshold=0.0)

    def __call__(self, number: int) -> float:
        """How many tokens were written, end tokens included."""
        self.energy.forget()
        try:
            length = self.sampler.draw(SeededDraws(number), self.rows).batch.length
        except et.ErgotextError:  # no row ended in time
            length = torch.zeros(0)
        return float(length.sum() + len(length) + (self.rows - len(length)) * self.most)


class Dicts:
    """Nested dicts of the keys (GENRE's trie), asked by ``prefix_allowed_tokens_fn``."""

    def __init__(self, keys: list[tuple[int, ...]], end: int) -> None:
        self.root: dict[int, Any] = {}
        self.end, self.prompt = end, 0
        for key in keys:
            at = self.root
            for token in (*key, end):
                at = at.setdefault(token, {})

    def allowed(self, _row: int, ids: torch.Tensor) -> list[int]:
        at = self.root
        for token in ids[self.prompt :].tolist():
            at = at.get(token, {})
        return [*at] or [self.end]


def rows(scale: Scale) -> Iterator[Row]:
    """All rows of decoding."""
    lm = et.load("tiny-causal" if scale.quick else "smollm2")
    tokens = scale.of(TOKENS, 8)
    keys = made_up(lm, scale.of(KEYS, 2_000))
    trie, dicts = build(keys, pieces_of(lm).alphabet), Dicts(keys, lm.end_id)
    dicts.prompt = 1 + len(lm.vocabulary.encode(TITLES))
    by_regex = {
        "generate + llguidance": llguidance_masks(of_expression(EXPRESSION), lm),
        "generate + outlines-core": outlines_masks(EXPRESSION, lm, scale.peers),
        "generate + xgrammar": xgrammar_masks(lm, scale.peers, regex=EXPRESSION),
    }
    schema = json.dumps(SCHEMA)
    by_schema = {
        "generate + llguidance": llguidance_masks(of_schema(schema), lm),
        "generate + xgrammar": xgrammar_masks(lm, scale.peers, schema=schema),
    }
    by_keyword = {
        "generate + llguidance": llguidance_masks(of_expression(f"(?s:.* {KEYWORD}\\b.*)"), lm)
    }
    matched = et.fluency(lm, BEGUN) + matches(EXPRESSION)
    objects = et.fluency(lm, ASKED) + matches(json_schema(SCHEMA, pieces_of(lm)))
    worded = et.fluency(lm, FREE) + et.keywords([KEYWORD])
    titles = et.fluency(lm, TITLES) + matches(trie)
    longest = max(map(len, keys))
    for count in (1, 2) if scale.quick else SIDE_BY_SIDE:

        def beside(prompt: str, most: int, given: dict[str, Masks | str], n: int = count) -> Any:
            return {
                name: masks if isinstance(masks, str) else Generate(lm, prompt, n, most, masks)
                for name, masks in given.items()
            }

        plain = Generate(lm, FREE, count, tokens, least=tokens)
        free = 1.0 * et.fluency(lm, FREE, end=tokens)
        yield _row("free", count, Drawn(free, count, tokens), {"generate": plain})
        most = scale.of(TOKENS, 12)
        yield _row("regex", count, Drawn(matched, count, most), beside(BEGUN, most, by_regex))
        room = scale.of(ROOM, 40)
        yield _row("schema", count, Drawn(objects, count, room), beside(ASKED, room, by_schema))
        yield _row("keyword", count, Drawn(worded, count, most), beside(FREE, most, by_keyword))
        callback = Generate(lm, TITLES, count, longest + 1, allowed=dicts.allowed)
        name = f"trie of {len(keys):,} keys"
        drawn = Drawn(titles, count, longest)
        yield _row(name, count, drawn, {"generate + dict callback": callback})


def _row(kind: str, count: int, ours: Side, beside: dict[str, Side | str]) -> Row:
    return Row(f"{kind}, {count} row{'s' * (count > 1)}", "tokens", ours, beside)


def of_expression(pattern: str) -> str:
    """The same in llguidance's notation."""
    import llguidance

    return f"start: /{llguidance.regex_to_lark(pattern)}/"


def of_schema(schema: str) -> str:
    """The same in llguidance's notation, without white space, as ours."""
    import llguidance

    compact = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
    return str(llguidance.LLMatcher.grammar_from_json_schema(schema, defaults=compact))


@cache
def made_up(lm: et.CausalLM, count: int) -> list[tuple[int, ...]]:
    """Keys of 3 to 8 tokens that begin a word each, frequent ones more often."""
    pieces, random = pieces_of(lm), np.random.default_rng(0)
    words = np.array([
        t for t in pieces.text.tolist()
        if pieces.tokens[t][:1] == b" " and pieces.tokens[t][1:].isalpha()
    ])  # fmt: skip
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        lengths = random.integers(3, 9, count)
        ids = words[(len(words) * random.random(int(lengths.sum())) ** 3).astype(np.int64)]
        found |= dict.fromkeys(
            map(tuple, (p.tolist() for p in np.split(ids, lengths.cumsum()[:-1])))
        )
    return list(found)[:count]
