"""Energies, models and automata print as what they are, and no model runs for it."""

from __future__ import annotations

import pytest

import ergotext as et
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.closing import ClosingTokens
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.energies.term import Term
from ergotext.lm.masked import MaskedLM
from ergotext.lm.pooled import Pooled
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.twist.keywords import KeywordTwist
from ergotext.samplers.texts import Sample


@pytest.fixture(scope="module")
def lm() -> CausalLM:
    return et.load("tiny-causal")


@pytest.fixture(autouse=True)
def no_model_runs(monkeypatch: pytest.MonkeyPatch, lm: CausalLM) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a look at an object ran its model")

    monkeypatch.setattr(type(lm.model), "forward", forbidden)


def test_a_sum_prints_as_it_is_written(lm: CausalLM) -> None:
    energy = et.fluency(lm, end="sentence") + 2 * et.keywords(["dog", "park"])
    assert repr(energy) == 'fluency(tiny-causal, end=sentence) + 2 * keywords("dog", "park")'
    html = energy._repr_html_()
    assert "energy of 2 terms" in html and "constraint" in html and ">2<" in html


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (lambda lm: et.fluency(lm, "It was cold."), 'tiny-causal, given "It was cold.")'),
        (lambda lm: et.fluency(lm, end=["."]), "end=1 token)"),
        (
            lambda lm: et.fluency(Pooled([lm, lm.given("A dog.")])),
            'fluency(tiny-causal · tiny-causal, given "A dog.")',
        ),
        (
            lambda _: et.keywords([("a", "b")], True, ["c"], (8, 15)),
            'keywords("a|b", any_order, without="c", words=8–15)',
        ),
        (lambda _: et.keywords([*"abcdefghijk"]), '"g", "h", …)'),
        (lambda _: et.length(14), "length(14)"),
        (lambda _: et.length(9.5, 2), "length(9.5, sd=2)"),
        (lambda _: et.matches(r" (cat|dog)\."), r'matches(" (cat|dog)\.")'),
        (lambda _: et.template("The ___ sat."), 'template("The ___ sat.")'),
        (lambda _: et.difference("A dog ran."), 'difference("A dog ran.")'),
        (lambda lm: et.difference("A dog.") + et.fluency(lm), 'difference("A dog.") + fluency('),
        (lambda _: et.custom(lambda texts: [0.0 for _ in texts], "no commas"), '"no commas")'),
        (lambda _: et.pseudo_likelihood(et.load("tiny-masked")), "likelihood(tiny-masked)"),
        (lambda lm: lm.given("x" * 99), f'torch.float32, cpu, given "{"x" * 39}…'),
        (lambda _: et.load("tiny-masked"), "MaskedLM(tiny-masked, torch.float32, cpu)"),
        (lambda _: et.load("tiny-retriever"), "Seq2SeqLM(tiny-retriever, "),
        (lambda _: et.TokenBatch.of([[1, 2], [3]]), "TokenBatch(2 rows, of 1–2 tokens)"),
    ],
)  # fmt: skip
def test_what_each_prints(lm: CausalLM, made, shown: str) -> None:
    text = repr(made(lm))
    assert shown in text and "\n" not in text and " at 0x" not in text


def test_automata_print_what_they_demand() -> None:
    pieces = Pieces.of(et.CharacterTokenizer("abcdefgh ."))
    assert repr(pieces) == "Pieces(269 tokens)"
    expression = et.automata.regex("(ab|cd)", pieces)
    assert repr(expression) == "Explored(a text that matches the expression '(ab|cd)')"
    words = et.automata.KeywordCoverage(["ab"], pieces, without=["cd"])
    assert repr(words) == "KeywordCoverage(a text that contains 'ab', is without 'cd')"
    assert repr(et.automata.TextSpans("abc", pieces)) == "TextSpans()"
    assert repr(et.matches(words)).startswith("matches(KeywordCoverage(a text")


def test_one_that_is_half_made_has_a_name() -> None:
    kinds = [CausalLM, MaskedLM, Seq2SeqLM, EndingScorer, Pooled, ClosingTokens, et.TokenBatch]
    kinds += [type(et.length(3)), type(et.keywords(["a"])), Pieces, et.CharacterTokenizer]
    kinds += [KeywordTwist, et.DeviceTrie, Sample]
    for kind in kinds:
        assert repr(object.__new__(kind)) == f"<{kind.__name__}>"

    class Mine(Term):
        name = "mine"

        def __call__(self, batch):
            raise NotImplementedError

    assert repr(Mine()) == "mine"
