"""Every automaton and every sampler over tokenizers of every sort."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
import pytest

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.automata import (
    KeywordCoverage,
    Pieces,
    Substrings,
    TextSpans,
    grammar,
    intersection,
    json_schema,
    regex,
    union,
)
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie import EditableTrie, build
from ergotext.samplers import SAMPLERS
from ergotext.samplers.search.beam import beam
from tests.lm.automata.worlds import check_protocol, language
from tests.tokenizers import SORTS, Sort, added, gpt2, wordpiece

# Few draws under an untrained model: what is asked is whether they are right, not how many count.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)

TEXTS = ["abc ab é", "ab ab é", "cab"]
PATTERN = "(abc?|c) ?ab? é|cab"


@pytest.fixture(scope="module", params=list(SORTS))
def sort(request: pytest.FixtureRequest) -> Sort:
    return SORTS[request.param]()


def pieces_of(sort: Sort) -> Pieces:
    return Pieces.of(sort.tokenizer, size=sort.rows)


def spellings(pieces: Pieces, text: bytes) -> set[tuple[int, ...]]:
    """Every way to write a text."""
    if not text:
        return {()}
    return {
        (token, *rest)
        for token in pieces.text.tolist()
        if text.startswith(pieces.tokens[token])
        for rest in spellings(pieces, text[len(pieces.tokens[token]) :])
    }


def test_pieces_are_what_the_tokenizer_writes(sort: Sort) -> None:
    pieces, words = pieces_of(sort), sort.lm().vocabulary
    assert words.allowed.nonzero()[:, 0].tolist() == [
        token
        for name, token in sorted(sort.tokenizer.get_vocab().items(), key=lambda pair: pair[1])
        if token < sort.rows and name not in sort.tokenizer.all_special_tokens
    ]
    for token in pieces.text.tolist():
        assert pieces.tokens[token].decode(errors="replace") == words.text([token])
    for text in [*TEXTS, "ñ 海\n"]:
        assert pieces.joined(words.encode(text)).decode() == text == words.text(words.encode(text))


def trie_of(sort: Sort, pieces: Pieces) -> et.TokenTrie:
    keys = FastTokenizer(sort.tokenizer, causal=True)
    assert (keys.alphabet.pad, keys.alphabet.end) == (pieces.alphabet.pad, pieces.alphabet.end)
    return build([(text, text) for text in TEXTS], keys)


def edited(sort: Sort, pieces: Pieces) -> EditableTrie:
    trie = EditableTrie(build(["cab", "abc"], FastTokenizer(sort.tokenizer, causal=True)))
    trie.add_many(TEXTS[:2])
    trie.remove("abc")
    return trie


def runs(sort: Sort, pieces: Pieces) -> Substrings:
    return Substrings(sort.lm().vocabulary.encode(" ".join(TEXTS)), pieces.alphabet, shortest=2)


Maker = Callable[[Sort, Pieces], Automaton]
AUTOMATA: dict[str, tuple[Maker, Callable[[str], object]]] = {
    "regex": (lambda _, p: regex(PATTERN, p), re.compile(PATTERN).fullmatch),
    "grammar": (lambda _, p: grammar('start: "ab"+ "é"', p), re.compile("(ab)+é").fullmatch),
    "schema": (
        lambda _, p: json_schema({"enum": ["ab", "é", 1]}, p),
        lambda text: json.loads(text) in ("ab", "é", 1),
    ),
    "keywords": (lambda _, p: KeywordCoverage(["é"], p), lambda text: "é" in text),
    "spans": (lambda _, p: TextSpans(" ".join(TEXTS), p), lambda text: text in " ".join(TEXTS)),
    "substrings": (runs, lambda text: text in " ".join(TEXTS)),
    "trie": (trie_of, lambda text: text in TEXTS),
    "edited trie": (edited, lambda text: text in TEXTS),
    "trie and regex": (
        lambda s, p: intersection(trie_of(s, p), regex("abc.*", p)),
        lambda text: text == TEXTS[0],
    ),
    "trie or regex": (
        lambda s, p: union(trie_of(s, p), regex("bc", p)),
        lambda text: text in [*TEXTS, "bc"],
    ),
}


@pytest.mark.parametrize("name", AUTOMATA)
def test_automata(sort: Sort, name: str) -> None:
    make, holds = AUTOMATA[name]
    pieces, lm = pieces_of(sort), sort.lm()
    automaton = make(sort, pieces)
    pad = int(automaton.candidates(np.array([-1]))[1][0])
    check_protocol(automaton, pad, pieces.alphabet.size, most=1)
    energy = et.fluency(lm) + et.matches(automaton)
    found = et.sample(energy, sampler="smc", n=20, max_length=12, progress=False)
    rows = found.samples.batch.rows()
    assert rows and all(holds(pieces.joined(row).decode()) for row in rows)
    assert all(holds(lm.vocabulary.text(row)) for row in rows)


def test_the_language_is_every_spelling(sort: Sort) -> None:
    """And samplers that find all of them know its mass, which is added up here."""
    pieces, lm = pieces_of(sort), sort.lm()
    wanted = set().union(*(spellings(pieces, text.encode()) for text in TEXTS))
    automaton = regex("|".join(TEXTS), pieces)
    assert language(automaton, 9) == wanted
    mass = float(lm.log_prob(TokenBatch.of(sorted(wanted))).logsumexp(0))
    energy = et.fluency(lm) + et.matches(automaton)
    found = et.sample(
        energy, sampler="stochastic-beam", n=len(wanted), max_length=9, progress=False
    )
    assert set(found.samples.batch.rows()) == wanted
    assert found.log_z == pytest.approx(mass, abs=1e-4) and found.log_z_stderr == 0
    best = beam(lm.read([[]]), automaton, k=len(wanted), beams=len(wanted))[0]
    assert {h.tokens for h in best.hypotheses} == wanted


NAMES = {sampler: name for name, sampler in SAMPLERS.items()}.values()  # none twice
CHAINS = [n for n in NAMES if not {"weighted", "masked"} & {SAMPLERS[n].kind, *SAMPLERS[n].needs}]


@pytest.mark.parametrize("name", CHAINS)
def test_chains(sort: Sort, name: str) -> None:
    lm = sort.lm()
    start = TokenBatch.of([lm.vocabulary.encode("cab abc")] * 2)
    constraints = [et.matches("[a-z ]*"), et.length(4)]
    if name != "gibbs":  # which leaves the number of tokens as it is
        constraints = [et.matches(PATTERN), et.keywords(["cab"])]
    for constraint in constraints:
        energy = et.fluency(lm) + constraint
        found = et.sample(
            energy, sampler=name, chains=2, steps=4, max_length=12, progress=False,
            initial=start if name == "gibbs" else None,
        )  # fmt: skip
        texts = found.best(4)
        assert texts and all(np.isfinite(one.energy) for one in texts)
        assert all(bool(lm.allowed[list(one.tokens)].all()) for one in texts)


@pytest.mark.parametrize("name", [n for n in NAMES if SAMPLERS[n].kind == "weighted"])
def test_weighted_samplers_without_a_constraint(sort: Sort, name: str) -> None:
    lm = sort.lm()
    rejects = name == "rejection"  # what the model writes, which ends after some 200 tokens
    energy = et.fluency(lm) if rejects else et.fluency(lm) + et.length(2)
    n, longest = (1, 60) if rejects else (8, 3)
    found = et.sample(energy, sampler=name, n=n, max_length=longest, progress=False)
    batch = found.samples.batch
    assert bool(lm.allowed[batch.ids[batch.inside]].all())


def test_what_only_the_tokenizer_knows_is_refused() -> None:
    sort = added()
    lm, pieces = sort.lm(), pieces_of(sort)
    assert pieces.text.max() < sort.rows and len(lm.allowed) == sort.rows
    for ask in (
        lambda: lm.given("a ñandú"),
        lambda: et.keywords(["ñandú"]).bind(lm),
        lambda: lm.vocabulary.encode("ñandú"),
    ):
        with pytest.raises(InputError, match=r"token 264 \('ñandú'\), but the model has only 263"):
            ask()
    # The text itself can be written all the same, in other tokens.
    found = et.sample(
        et.fluency(lm) + et.matches("ñandú"), sampler="smc", n=4, max_length=9, progress=False
    )
    assert {draw.text for draw in found.all()} == {"ñandú"}
    trie = build(["ñandú", "ab"], FastTokenizer(sort.tokenizer, causal=True))
    for name in ("smc", "importance", "stochastic-beam"):
        with pytest.raises(InputError, match="allows token 264, but the model has only 263"):
            et.sample(et.fluency(lm) + et.matches(trie), sampler=name, max_length=4, progress=False)


def test_a_model_that_does_not_know_the_end_token() -> None:
    sort = gpt2()
    with pytest.raises(et.ModelError, match="token 262 is not among the 262 tokens"):
        Sort(sort.tokenizer, sort.rows - 1).lm()


def test_word_pieces() -> None:
    """What they write depends on their neighbours: text is refused, keys are not."""
    sort = wordpiece()
    with pytest.raises(InputError, match="decoder: WordPiece"):
        pieces_of(sort)
    lm, keys = sort.lm(), FastTokenizer(sort.tokenizer, causal=True)
    trie = build(["abc ab", "ab ca", "bc"], keys)
    found = et.sample(
        et.fluency(lm) + et.matches(trie), sampler="smc", n=20, max_length=5, progress=False
    )
    assert {draw.text for draw in found.all()} <= {"abc ab", "ab ca", "bc"}
