"""Structured output against every text in every spelling, scored by the whole model."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from pydantic import BaseModel, field_validator
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import ergotext as et
from ergotext.errors import ErgotextError, InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.closing import beginning_lines
from ergotext.lm.energies.matches import pieces_of
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.samplers.search.best_first import Enumeration
from ergotext.tasks.generation import generate as module
from ergotext.tasks.generation import run as run_module
from ergotext.tasks.generation.alternatives import TextMass
from ergotext.tasks.generation.generate import generate
from ergotext.tasks.generation.options import GenerationOptions
from ergotext.tasks.generation.prompts import read_as
from ergotext.tasks.generation.run import GenerationRun
from ergotext.tasks.generation.wanted import wanted
from tests.conftest import CORPUS
from tests.tasks.test_read import spelled

CHOICES = ["on", "one", "no", "sun"]
PROMPT = "It is "
FLOAT32 = 1e-6
"""The reader sums the vocabulary in float32, also for a model in float64."""


@pytest.fixture(scope="module")
def lm(placed_lm: CausalLM) -> CausalLM:
    """A random GPT-2 in float64: it has absolute places, so a place that is one off shows.

    Its tokens are those of JSON as well, so that some cross where values begin and end.
    """
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    inner.train_from_iterator([*CORPUS, *['{"a":"on","b":true}'] * 9], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    return CausalLM(deepcopy(placed_lm.model).double(), Vocabulary(tokenizer, 430), 0, 1)


@torch.inference_mode()
def log_prob(lm: CausalLM, before: list[int], row: list[int], ends: list[int] | None) -> float:
    """log p(row, any of these ends | before), by one pass over everything."""
    law = lm.model(torch.tensor([[*before, *row]])).logits[0].log_softmax(-1)
    steps = [law[len(before) - 1 + i, token] for i, token in enumerate(row)]
    end = 0.0 if ends is None else law[-1, ends].logsumexp(0)
    return float(sum(steps) + end)


def mass(lm: CausalLM, before: list[int], text: str, ends: list[int]) -> float:
    """log p of a text in all of its spellings."""
    pieces = pieces_of(lm)
    rows = [list(row) for row in spelled(text.encode(), pieces)]
    return float(np.logaddexp.reduce([log_prob(lm, before, row, ends) for row in rows]))


def law_of(lm: CausalLM, prompt: str, texts: list[str], line: bool = True) -> dict[str, float]:
    """The probability of each text among them."""
    before = [lm.start_id, *lm.vocabulary.encode(prompt)]
    ends = [*(beginning_lines(pieces_of(lm)) if line else []), lm.end_id]
    masses = np.array([mass(lm, before, text, ends) for text in texts])
    shares = np.exp(masses - np.logaddexp.reduce(masses))
    return dict(zip(texts, shares.tolist(), strict=True))


def check_choices(lm: CausalLM, called: ModuleType | SimpleNamespace) -> None:
    told = called.generate(lm, PROMPT, choices=CHOICES, n=2, prefixes=10_000)
    expected = law_of(lm, PROMPT.rstrip(), [" " + text for text in CHOICES])
    best = sorted(CHOICES, key=lambda text: -expected[" " + text])
    assert told.values == best[:2] and told.proven and list(told.alternatives) == best
    for text, bounds in told.alternatives.items():
        for bound in bounds:
            assert bound == pytest.approx(expected[" " + text], abs=2e-4)
        assert bounds[0] <= expected[" " + text] * (1 + FLOAT32)
        assert bounds[1] >= expected[" " + text] * (1 - FLOAT32)
    low, high = (sum(bounds[k] for bounds in told.alternatives.values()) for k in (0, 1))
    assert low <= 1 <= high + 1e-12
    for few in (2, 6, 20):
        some = called.generate(lm, PROMPT, choices=CHOICES, prefixes=few)
        for text, (least, most) in some.alternatives.items():
            share = expected[" " + text]
            assert least * (1 - FLOAT32) <= share <= most * (1 + FLOAT32)
    first = told[0]
    assert first.probability == first.bounds[0] == told.alternatives[first.text][0]
    assert told.log_z == pytest.approx((_log_z(lm),) * 2, abs=2e-4)


def _log_z(lm: CausalLM) -> float:
    before = [lm.start_id, *lm.vocabulary.encode(PROMPT.rstrip())]
    ends = [*beginning_lines(pieces_of(lm)), lm.end_id]
    return float(np.logaddexp.reduce([mass(lm, before, f" {t}", ends) for t in CHOICES]))


def test_choices_have_the_probabilities_of_their_texts(lm: CausalLM) -> None:
    check_choices(lm, module)


def test_all_is_exact_where_nothing_is_left_out(lm: CausalLM, monkeypatch) -> None:
    from ergotext.tasks.generation import run

    monkeypatch.setattr(run, "SETTLED", 0.0)
    texts = ["on", "no", "a"]
    told = generate(lm, "x", choices=texts, prefixes=10_000)
    expected = law_of(lm, "x", texts)
    for text, (low, high) in told.alternatives.items():
        assert low == pytest.approx(high, rel=1e-12)
        assert low == pytest.approx(expected[text], abs=FLOAT32)
    assert sum(low for low, _ in told.alternatives.values()) == pytest.approx(1, abs=1e-9)
    ended = generate(lm, "x", choices=texts, prefixes=10_000, end="token")
    expected = law_of(lm, "x", texts, line=False)
    assert ended.alternatives["a"][0] == pytest.approx(expected["a"], abs=FLOAT32)


def test_draws_follow_the_law_and_the_seed(lm: CausalLM) -> None:
    expected = law_of(lm, "x", ["on", "no"])
    told = generate(lm, "x", choices=["on", "no"], method="sample", n=2000, seed=3)
    share = told.values.count("on") / 2000
    error = math.sqrt(expected["on"] * expected["no"] / 2000)
    assert abs(share - expected["on"]) < 5 * error
    again = generate(lm, "x", choices=["on", "no"], method="sample", n=2000, seed=3)
    assert again.values == told.values
    assert told[0].probability == pytest.approx(expected[told[0].text], abs=2e-4)


SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": ["on", "one", "no"]}, "b": {"type": "boolean"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


def check_fields(lm: CausalLM, called: ModuleType | SimpleNamespace) -> None:
    """Of each value: all that is written and begins with it, after the tokens before it."""
    told = called.generate(lm, "x", schema=SCHEMA, alternatives=True, prefixes=3000)
    one, pieces = told[0], pieces_of(lm)
    assert {path: {*values} for path, values in one.fields.items()} == {
        "a": {"on", "one", "no"}, "b": {"true", "false"}
    }  # fmt: skip
    assert one.value == json.loads(one.text)
    for path, values in (("a", ["on", "one", "no"]), ("b", [False, True])):
        written = [json.dumps(value) for value in values]
        start = one.text.index(json.dumps(one.value[path]), one.text.index(f'"{path}"') + 3)
        count = max(
            k for k in range(len(one.tokens) + 1) if len(pieces.joined(one.tokens[:k])) <= start
        )
        lead = one.text[len(pieces.joined(one.tokens[:count])) : start]
        after = one.text[start + len(json.dumps(one.value[path]))]
        before = [lm.start_id, *lm.vocabulary.encode("x"), *one.tokens[:count]]
        masses = []
        for value in written:
            whole = (lead + value + after).encode()
            rows = list(covers(whole, pieces))
            if path == "a":  # what crosses the comma must be what the schema has there
                more = [(r, pieces.joined(r)[len(whole) - 1 :]) for r in rows]
                ends = (b',"b":true}', b',"b":false}')
                rows = [r for r, rest in more if any(e.startswith(rest) for e in ends)]
            else:
                rows = [r for r in rows if pieces.joined(r) == whole]
            masses.append(np.logaddexp.reduce([log_prob(lm, before, list(r), None) for r in rows]))
        shares = np.exp(np.array(masses) - np.logaddexp.reduce(masses))
        labels = [v if isinstance(v, str) else json.dumps(v) for v in values]
        for label, share in zip(labels, shares.tolist(), strict=True):
            low, high = one.fields[path][label]
            assert low - FLOAT32 <= share <= high + FLOAT32 and high - low < 3e-3
        assert sum(low for low, _ in one.fields[path].values()) == pytest.approx(1, abs=3e-3)


def covers(text: bytes, pieces: Any) -> Any:
    """Token rows that write a text, the last token perhaps more."""
    for token in pieces.text.tolist():
        piece = pieces.tokens[token]
        if piece.startswith(text):
            yield (token,)
        elif text.startswith(piece):
            for rest in covers(text[len(piece) :], pieces):
                yield (token, *rest)


def test_fields_have_the_probabilities_of_their_values(lm: CausalLM) -> None:
    check_fields(lm, module)


def test_a_batch_is_what_each_is_alone(lm: CausalLM) -> None:
    prompts = ["x", PROMPT, "The summer"]
    both = generate(lm, prompts, choices=CHOICES)
    for prompt, told in zip(prompts, both, strict=True):
        alone = generate(lm, prompt, choices=CHOICES)
        assert alone.value == told.value
        assert alone.probability == pytest.approx(told.probability, abs=1e-9)


def test_searches_of_a_batch_are_those_of_each(lm: CausalLM) -> None:
    both = generate(lm, ["x", "The summer"], regex="[a-e]{3,9}", n=2, max_tokens=12)
    for prompt, told in zip(["x", "The summer"], both, strict=True):
        alone = generate(lm, prompt, regex="[a-e]{3,9}", n=2, max_tokens=12)
        assert alone.values == told.values and len(told) == 2
        assert told[0].log_prob >= told[1].log_prob
        for one in told:
            low, high = one.bounds
            before = [lm.start_id, *lm.vocabulary.encode(prompt)]
            ends = [*beginning_lines(pieces_of(lm)), lm.end_id]
            own = log_prob(lm, before, lm.vocabulary.encode(one.text), ends)
            assert own <= one.log_prob + FLOAT32 and 0 <= low <= high <= 1


def test_results_print_as_what_they_are(lm: CausalLM) -> None:
    told = generate(lm, "x", choices=["on", "no"])
    assert repr(told) == told.shown() and repr(told).startswith(f"{told.value}  [p 0.")
    _, every, how = repr(told).splitlines()
    assert every.startswith("  all: ") and "on 0." in every and how[0] == "("
    many = generate(lm, "x", regex="[a-e]{3,9}", n=12, max_tokens=12)
    assert len(repr(many).splitlines()) == 10 and repr(many).endswith("…")


def test_particles_estimate_what_cannot_be_listed(lm: CausalLM) -> None:
    how: dict[str, Any] = {"regex": "[a-e]{1,6}", "max_tokens": 8, "seed": 1, "prefixes": 2}
    drawn = generate(lm, "x", method="sample", n=3, particles=64, **how)
    assert len(drawn) == 3 and drawn.estimate is not None and "smc, 64 draws" in drawn.how
    assert generate(lm, "x", method="sample", n=3, particles=64, **how).values == drawn.values
    best = generate(lm, "x", particles=64, **how)
    assert best.estimate == drawn.estimate
    wanted = math.exp(best[0].log_prob - best.estimate[0])
    low, high = best[0].bounds
    assert best.probability == pytest.approx(min(max(wanted, low), high))
    assert generate(lm, "x", **how).estimate is None


def test_a_number_counts_in_the_form_that_was_written(lm: CausalLM) -> None:
    """Of 1.0 the text has 1, as is likelier; it was told the probability of ``1.0`` alone."""
    schema = {"properties": {"a": {"enum": [1.0, 100]}}, "required": ["a"], "type": "object",
              "additionalProperties": False}  # fmt: skip
    told = generate(lm, "x", schema=schema, alternatives=True)
    values = told[0].fields["a"]
    assert told[0].text == '{"a":1}' and list(values) == ["1.0", "100"]
    low, high = values["1.0"]
    assert 0.9 < low <= high < low + 1e-3 and values["100"][1] < 0.1
    sums = [sum(bounds[k] for bounds in values.values()) for k in (0, 1)]
    assert sums[0] <= 1 + 1e-12 and sums[1] >= 1 - 1e-12


def test_numbers_beyond_floating_point_are_valid_json(lm: CausalLM) -> None:
    told = generate(lm, "x", schema={"type": "number", "minimum": 1e300}, max_tokens=10)
    assert math.isinf(told.value)

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    record = json.loads(told.json("x"), parse_constant=refuse)
    assert record["value"] is None and record["text"] == told[0].text


def test_fields_end_where_texts_do(lm: CausalLM) -> None:
    """With line breaks that end a text, none may stand before a value."""
    schema = {"properties": {"a": {"enum": ["on", "no"]}}, "required": ["a"], "type": "object",
              "additionalProperties": False}  # fmt: skip
    how: dict[str, Any] = {"schema": schema, "whitespace": True, "max_tokens": 20}
    what = wanted(schema=schema)
    run = GenerationRun.of(lm, what, False, "", GenerationOptions(end="line", whitespace=True))
    seen: list[Any] = []
    told = generate(lm, "x", end="line", **how)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "of_field", lambda *args: seen.append(args[3]) or {})
        run._fields(read_as(lm, "x", None), told.text, told.tokens)
    breaks = beginning_lines(pieces_of(lm))
    for decoding in seen[0].values():
        rows = torch.zeros(len(breaks), dtype=torch.int64)
        assert bool((decoding.logits(rows, torch.tensor(breaks)) == -torch.inf).all())


def test_what_ends_a_text_is_said_where_nothing_is_found(lm: CausalLM) -> None:
    with pytest.raises(ErgotextError, match=r'before a line break, unless you set end="token"'):
        generate(lm, "x", regex="a\nb")
    assert generate(lm, "x", regex="a\nb", end="token").value == "a\nb"


def test_a_search_goes_on_where_all_particles_die(lm: CausalLM) -> None:
    """What was found is given, without an estimate; draws have nothing to give."""
    how: dict[str, Any] = {"regex": "(zq){3}|the sun", "max_tokens": 5, "prefixes": 3}
    told = generate(lm, "x", particles=2, **how)
    assert told.value == "the sun" and told.estimate is None
    assert "nothing was estimated: all 2 draws" in told.warnings[0]
    with pytest.raises(ErgotextError, match=r"allow more tokens \(max_tokens\)"):
        generate(lm, "x", method="sample", particles=2, **how)


def test_an_estimate_beyond_what_is_certain_is_doubted(lm: CausalLM) -> None:
    """All draws but few miss "on", which has most of Z, and agree with each other."""
    told = generate(lm, "x", regex="on|one|no", prefixes=3, particles=64, seed=1)
    assert told.estimate is not None and told.log_z[0] - told.estimate[0] > 2
    assert told.estimate[1] < 0.1 and "draws miss much of it" in told.warnings[-1]
    exact = generate(lm, "x", regex="on|one|no", particles=64, prefixes=4000)
    assert not exact.warnings
    mass = TextMass(Enumeration({(5,): -1.0}, {(6,): -2.0}), pieces_of(lm), {})
    assert not mass.doubts(-0.8, 0.0) and not mass.doubts(-1.15, 0.1)
    assert mass.doubts(-1.15, 0.05) and mass.doubts(-0.4, 0.1) and not mass.doubts(5, math.inf)


class Mood(Enum):
    UP = "on"
    DOWN = "no"


class Person(BaseModel):
    age: Literal[3, 4]
    up: bool


def test_values_are_of_the_type(lm: CausalLM) -> None:
    assert isinstance(generate(lm, "x", Mood).value, Mood)
    assert generate(lm, "x", Literal["on", "no"]).value in ("on", "no")
    assert generate(lm, "x", ["on", "no"]).value in ("on", "no")
    person = generate(lm, "x", Person).value
    assert isinstance(person, Person) and person.age in (3, 4)
    assert isinstance(generate(lm, "x", bool).value, bool)
    assert generate(lm, "x", schema='{"const": [1, null]}').value == [1, None]
    assert generate(lm, "x", regex="on|no").value in ("on", "no")
    assert generate(lm, "x", grammar='start: "o" "n" | "no"').value in ("on", "no")
    assert generate(lm, "x", et.automata.choices(["on"], pieces_of(lm))).value == "on"


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "1" * 5000])
def test_values_beyond_what_python_reads_are_refused_in_a_line(text: str) -> None:
    for what in (wanted(schema={}), wanted(list[int])):
        with pytest.raises(ErgotextError, match=r"^the text '") as error:
            what.read(text, ())
        assert "\n" not in str(error.value)


class Odd(BaseModel):
    number: Literal[2]

    @field_validator("number")
    @classmethod
    def odd(cls, number: int) -> int:
        if not number % 2:
            raise ValueError("it is even")
        return number


def test_a_type_that_refuses_what_its_schema_allows(lm: CausalLM) -> None:
    told = generate(lm, "x", Odd)
    assert told[0].text == '{"number":2}'
    with pytest.raises(ErgotextError, match=r"the type refuses it .*it is even"):
        _ = told.value


def test_keys_of_an_index(lm: CausalLM, tmp_path) -> None:
    tokenizer = FastTokenizer(lm.vocabulary.tokenizer)
    keys = ["the sun", "the dog", "summer", "a ball"]
    trie = et.build_trie([(key, f"is {key}") for key in keys], tokenizer)
    told = generate(lm, "x", trie=trie, n=4)
    assert sorted(told.values) == sorted([f"is {key}"] for key in keys)
    assert {one.text for one in told} == set(keys) and told.proven
    before = [lm.start_id, *lm.vocabulary.encode("x")]
    ends = [*beginning_lines(pieces_of(lm)), lm.end_id]
    scores = {k: log_prob(lm, before, tokenizer.encode(k), ends) for k in keys}
    total = np.logaddexp.reduce(list(scores.values()))
    for one in told:
        assert one.probability == pytest.approx(math.exp(scores[one.text] - total), abs=2e-4)
    et.save_trie(trie, tmp_path / "kb.ergo")
    plain = et.build_trie(keys, tokenizer)
    assert generate(lm, "x", trie=tmp_path / "kb.ergo").value == told.value
    assert generate(lm, "x", plain).value == told[0].text


NAMES = ["on", '"a', "one", "no"]


@pytest.fixture(scope="module")
def names() -> et.TokenTrie:
    """An index of another tokenizer than the model's: its texts count."""
    return et.build_trie(NAMES, et.CharacterTokenizer("ontheu"))


@pytest.mark.parametrize("kind", ["schema", "grammar", "type"])
def test_a_key_of_an_index_has_the_probability_of_its_texts(
    lm: CausalLM, names, kind: str, monkeypatch
) -> None:
    from ergotext.tasks.generation import run

    monkeypatch.setattr(run, "SETTLED", 0.0)
    name = et.key_of(names)
    texts = [json.dumps(one) for one in NAMES]
    constraint: dict[str, Any] = {"schema": {"type": "string", "x-index": name}}
    if kind == "grammar":
        texts = [f"({one}." for one in NAMES]
        constraint = {"grammar": f'start: "(" {name} "."', "end": "line"}
    elif kind == "type":
        texts = [f"[{one}]" for one in texts]
        constraint = {"output_type": tuple[Annotated[str, name]]}
    told = generate(lm, "x", n=4, prefixes=10_000, **constraint)
    expected = law_of(lm, "x", texts)
    assert {one.text for one in told} == set(texts) and told.proven
    for one in told:
        assert one.probability == pytest.approx(expected[one.text], rel=1e-4)
    assert sorted(map(str, told.values)) == sorted(
        texts if kind == "grammar" else NAMES if kind == "schema" else [str((n,)) for n in NAMES]
    )


def test_forms_are_filled_with_keys_within_the_tokens(lm: CausalLM, names) -> None:
    """Drawn and searched, with little room: each form ends in time, with entities that exist."""
    schema = {
        "type": "object", "required": ["a", "b"], "additionalProperties": False,
        "properties": {"a": {"x-index": et.key_of(names)}, "b": {
            "type": "array", "items": {"x-index": et.key_of(names)}, "minItems": 1}},
    }  # fmt: skip
    for method in ("best", "sample"):
        told = generate(lm, "x", schema=schema, n=6, method=method, max_tokens=30, seed=1)
        assert len(told) == 6
        for one in told:
            assert {one.value["a"], *one.value["b"]} <= {*NAMES} and len(one.tokens) <= 30


TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}It: {% endif %}"
)


def test_chats_are_read_through_the_template(lm: CausalLM, monkeypatch) -> None:
    messages = [{"role": "user", "content": "sun?"}]
    with pytest.raises(InputError, match="no chat template"):
        generate(lm, messages, choices=["on", "no"])
    monkeypatch.setattr(lm.vocabulary.tokenizer, "chat_template", TEMPLATE)
    told = generate(lm, messages, choices=["on", "no"])
    before = lm.vocabulary.encode("<s>user: sun?\nIt: ")
    assert before[0] == lm.start_id
    masses = [mass(lm, before, text, [lm.end_id]) for text in ("on", "no")]
    share = math.exp(masses[0] - np.logaddexp.reduce(masses))
    assert told.alternatives["on"][0] == pytest.approx(share, abs=2e-4)
    assert generate(lm, "sun?", choices=["on", "no"], chat=True) == told
    (one,) = generate(lm, [messages], choices=["on", "no"])
    assert one == told
    with pytest.raises(InputError, match="drop chat=False"):
        generate(lm, messages, choices=["on"], chat=False)
    with pytest.raises(InputError, match="the context 'A dog' of this model has no place in"):
        generate(lm.given("A dog"), messages, choices=["on"])


def test_chats_of_a_batch_may_begin_with_different_tokens(lm: CausalLM, monkeypatch) -> None:
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    monkeypatch.setattr(lm.vocabulary.tokenizer, "chat_template", template)
    chats = [[{"role": "user", "content": text}] for text in ("sun", "on it", "sun", "A dog")]
    both = generate(lm, chats, choices=CHOICES, max_tokens=9)
    for told, chat in zip(both, chats, strict=True):
        alone = generate(lm, chat, choices=CHOICES, max_tokens=9)
        assert told.log_z == pytest.approx(alone.log_z, abs=1e-5)


def test_the_context_of_a_model_stands_before_the_prompt(lm: CausalLM) -> None:
    told = generate(lm.given("A dog"), "It is", choices=["on", "no"])
    words = lm.vocabulary
    before = [lm.start_id, *words.encode("A dog"), *words.encode("It is")]
    ends = [*beginning_lines(pieces_of(lm)), lm.end_id]
    total = np.logaddexp.reduce([mass(lm, before, text, ends) for text in ("on", "no")])
    assert told.log_z[0] <= total + FLOAT32 and total <= told.log_z[1] + FLOAT32
    assert told.log_z[1] - told.log_z[0] < 1e-3


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "give one of schema, regex, choices, grammar, trie, or a type; got none"),
        ({"regex": "a", "choices": ["b"]}, "got regex and choices"),
        ({"choices": []}, "nothing to choose from"),
        ({"choices": "ab"}, "put it into a list"),
        ({"choices": [""]}, "one of the choices is empty"),
        ({"regex": "("}, "unclosed group"),
        ({"schema": {"type": "integer", "minimum": 3, "maximum": 2}}, "no value satisfies"),
        ({"schema": "{"}, "not valid JSON"),
        ({"grammar": "start: ("}, "the grammar cannot be read: line 1"),
        ({"output_type": "str"}, "is no type: name what it is"),
        ({"output_type": CausalLM}, "no type that pydantic has a JSON schema of"),
        ({"output_type": 3}, "no type that pydantic has a JSON schema of"),
        ({"trie": "none.ergo"}, "cannot read the index none.ergo"),
        ({"trie": 3}, "neither an index nor an automaton"),
        ({"schema": {"x-index": "none.ergo"}}, "cannot read the index none.ergo"),
        ({"grammar": 'start: %index "none.ergo"'}, "cannot read the index none.ergo"),
        ({"grammar": 'start: %index "memory:1"'}, "no longer in use"),
        ({"regex": "a", "n": 0}, "n must be an integer of at least 1"),
        ({"regex": "a", "n": 9, "beams": 3}, "beams .3. must be at least n .9."),
        ({"regex": "a", "method": "worst"}, "method must be best or sample, got 'worst'"),
        ({"regex": "a", "end": "dot"}, "end must be token or line"),
        ({"regex": "a", "max_tokens": 95}, "the window of this model has 96: shorten"),
        ({"regex": "a{40}b{40}c", "max_tokens": 8}, "max_tokens"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(lm: CausalLM, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ErgotextError, match=message) as error:
        generate(lm, "x", **how)
    assert "\n" not in str(error.value)


def test_a_long_prompt_is_numbered_among_several_alone(lm: CausalLM) -> None:
    long = "on " * 200
    with pytest.raises(InputError, match=r"^the prompt has .* shorten the prompt$"):
        generate(lm, long, regex="a")
    with pytest.raises(InputError, match=r"^prompt 2 has .* shorten the prompt$"):
        generate(lm, ["x", long], regex="a")


def test_other_prompts_and_models_are_refused(lm: CausalLM) -> None:
    with pytest.raises(InputError, match="a text or a list of messages, got 3"):
        generate(lm, 3, regex="a")  # type: ignore[call-overload]
    with pytest.raises(InputError, match="a prompt must be a text or a list of messages such as"):
        generate(lm, ["x", 3], regex="a")  # type: ignore[list-item]
    with pytest.raises(InputError, match="a MaskedLM cannot generate"):
        generate(et.load("tiny-masked"), "x", regex="a")  # type: ignore[call-overload]
    other = et.build_trie(["ab"], et.CharacterTokenizer("ab"))
    with pytest.raises(InputError, match="build it with the model's tokenizer"):
        generate(lm, "x", trie=other)
