"""The law of a model under an ending rule, by enumeration and on the shipped model."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings import scorer as scorer_module
from ergotext.lm.endings.closing import ClosingTokens, Cut
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.energies.matches import pieces_of as pieces_of_model
from ergotext.testing.toy import TOKENS, ToyScorer
from tests.lm.endings.checks import check_agreement, check_definition, check_mass, every_row
from tests.lm.endings.toy import TEXTS, pieces_of, sentence_toy


def ends_by_text(world: str) -> Callable[[tuple[int, ...], int], bool]:
    """The rule of a world over plain strings, written without the code that is tested."""
    written = (b"", *(t.encode() if isinstance(t, str) else t for t in TEXTS[world]))
    texts = [piece.decode(errors="replace") for piece in written]

    def ends(row: tuple[int, ...], token: int) -> bool:
        if world == "bytes":
            return _ends_by_bytes(b"".join(written[t] for t in row), written[token])
        text = "".join(texts[t] for t in row)
        if world == "english":
            word = re.search(r"\bhe\.$", text) and texts[token] == " he"
            return bool(word or (re.search(r"\.\"?$", text) and texts[token] == " He"))
        if world == "split":
            after = bool(re.search(r"\.$", text)) and texts[token] == " He"
            lower = texts[token] == "he" and not re.search(r"\b(he)+\.\n$", text)
            return after or (bool(re.search(r"\.\n$", text)) and not lower)
        if world == "numbers":
            number = bool(re.search(r" No\.$", text))
            opens = texts[token] in (" No", " He") or (texts[token] == " 5" and not number)
            return text.endswith(".") and opens
        run = re.search("(我?)([。…”]*)$", text)
        stands = run and run[2].rstrip("”") and ("。" in run[2] or run[1])
        return bool(stands) and texts[token] == "我"

    return ends


def _ends_by_bytes(text: bytes, piece: bytes) -> bool:
    """Behind 。 and 」, and whatever may begin one of them, nothing else can follow."""
    stop, closer = "。".encode(), "」".encode()
    for begun in (b"", stop[:1], stop[:2]):
        whole = text.removesuffix(begun)
        if text.endswith(begun) and re.search(b"%b(%b)*$" % (stop, closer), whole):
            after = begun + piece
            return not any(one.startswith(after) or after.startswith(one) for one in (stop, closer))
    return False


def check_cut(toy: EndingScorer) -> None:
    """Bytes after the end that are no character are no part of a text; others are."""
    pieces = pieces_of(TEXTS["bytes"])
    rows = TokenBatch.of([(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 2), (2,), (1, 3)])
    assert toy.rule.spare(rows).tolist() == [False, True, True, False, True, False, False]
    toy.lm.decode = lambda batch: [pieces.joined(r).decode(errors="replace") for r in batch.rows()]
    assert toy.decode(rows) == ["。", "。", "。", "。」", "。」", "\ufffd", "。\ufffd"]


def test_bytes_behind_the_end_are_no_part_of_the_text(small_lm: CausalLM) -> None:
    check_cut(sentence_toy("bytes"))
    scorer = et.fluency(small_lm, end="sentence").scorer
    assert scorer.rule.spare(TokenBatch.of([()])).tolist() == [False]


def test_a_text_with_bytes_behind_its_end_holds_no_keyword(small_lm: CausalLM) -> None:
    """Automata take whole characters alone, so the term of keywords does as well."""
    odd = pieces_of_model(small_lm).tokens.index("」".encode()[:1])
    rows = [small_lm.vocabulary.encode("海滩。")]
    batch = TokenBatch.of([*rows, [*rows[0], odd]])
    energy = et.fluency(small_lm, end="sentence") + et.keywords(["海滩"])
    assert energy.scorer.decode(batch) == ["海滩。", "海滩。"]
    assert torch.isfinite(energy(batch)).tolist() == [True, False]
    assert torch.isfinite(et.fluency(small_lm, end="sentence")(batch)).all()


@pytest.mark.parametrize("world", TEXTS)
def test_ended_and_open_mass_are_one(world: str) -> None:
    check_mass(sentence_toy(world))


@pytest.mark.parametrize("world", TEXTS)
def test_the_law_is_that_of_the_definition(world: str) -> None:
    check_definition(sentence_toy(world), ends_by_text(world))


def check_cut_after(cut: type[Cut]) -> None:
    """Two tokens are cut whatever follows; one is ended by the model alone."""
    scorer = EndingScorer(ToyScorer(0), cut(2, TOKENS, 0))
    check_mass(scorer)
    check_definition(scorer, lambda row, token: len(row) == 2)
    rows = TokenBatch.of([(1, 2), (4, 4)])
    begun = scorer.lm.token_log_prob(rows)[:, :2].sum(1)
    assert scorer.log_prob(rows).tolist() == pytest.approx(begun.tolist(), abs=1e-12)
    assert scorer.rule.spare(rows).tolist() == [False, False]


def test_texts_are_cut_after_so_many_tokens(small_lm: CausalLM) -> None:
    check_cut_after(Cut)
    long = TokenBatch.of([tuple(small_lm.vocabulary.encode("the sun shone on the beach"))])
    n = int(long.length)
    energy = et.fluency(small_lm, end=n)
    open_ = small_lm.token_log_prob(long)[:, :n].sum(1)
    torch.testing.assert_close(energy(long), -open_, rtol=0, atol=1e-9)
    assert torch.isinf(et.fluency(small_lm, end=n - 1)(long)).all()
    for end in (0, -3):
        with pytest.raises(InputError, match=f"1 token or more, got {end}"):
            et.fluency(small_lm, end=end)
    with pytest.raises(InputError, match=r"end must be .* got True"):
        et.fluency(small_lm, end=True)


TEXTS_OF_MODELS = [
    "The summer sun shone on the beach.", "A dog ran. The ball", "ran. and", "ran! and",
    "we ate ice cream",
    "海滩上的夏天很热。", "海滩。我们", "我们在海边吃冰淇淋。", "the summer", "", "rain?!", ".",
]  # fmt: skip


@pytest.mark.parametrize("world", TEXTS)
def test_all_numbers_of_a_toy_agree(world: str) -> None:
    check_agreement(sentence_toy(world), every_row(2), torch.arange(1, 5), 1e-9)


def test_all_numbers_of_a_model_agree(small_lm: CausalLM) -> None:
    _check_model(small_lm)


def test_all_numbers_of_the_shipped_model_agree() -> None:
    _check_model(et.load("tiny-causal").given("The sun was hot."))


def _check_model(lm: CausalLM) -> None:
    scorer = et.fluency(lm, end="sentence").scorer
    encode = lm.vocabulary.encode
    rows = TokenBatch.of([encode(text) for text in TEXTS_OF_MODELS])
    assert torch.isinf(scorer.log_prob(rows)).tolist() == [
        text in ("A dog ran. The ball", "ran. and", "海滩。我们") for text in TEXTS_OF_MODELS
    ]
    tokens = [encode(text)[-1] for text in ("sun.", "sun。", " the", "The", "我", "”")]
    check_agreement(scorer, rows, torch.tensor(tokens), 1e-4)


def test_tokens_that_end_a_text() -> None:
    scorer = EndingScorer(ToyScorer(1), ClosingTokens([2, 4], TOKENS, 0))
    check_mass(scorer)
    check_definition(scorer, lambda _row, token: token in (2, 4))
    check_agreement(scorer, every_row(2), torch.arange(1, 5), 1e-9)


def test_tokens_are_given_as_ids_or_texts(placed_lm: CausalLM) -> None:
    stop = placed_lm.vocabulary.encode("ran.")[-1]
    batch = TokenBatch.of([placed_lm.vocabulary.encode("the summer")])
    law = placed_lm.next_log_prob(batch, batch.length)[0].exp()
    for end in ([stop], ["."], (".", stop, placed_lm.end_id)):
        scorer = et.fluency(placed_lm, end=end).scorer
        got = scorer.next_log_prob(batch, batch.length)[0].exp()
        assert got[stop] == 0
        assert got[placed_lm.end_id] == pytest.approx(float(law[stop] + law[placed_lm.end_id]))


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("sentences", 'end must be "token", "sentence", a number of tokens or a list of tokens'),
        (0, "end must be 1 token or more, got 0"),
        (7.0, "end must be"),
        ([], "empty list"),
        (["zebra crossing"], "no single token of this model writes 'zebra crossing'"),
        ([430], "has token 430, but the model's tokens are 0 to 429"),
        ([-1], "has token -1"),
        ([1.5], "takes token ids and texts, got 1.5"),
        ([True], "takes token ids and texts, got True"),
    ],
)
def test_what_ends_no_text_is_refused(placed_lm: CausalLM, end: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        et.fluency(placed_lm, end=end)  # type: ignore[arg-type]  # what a user may type


def test_the_models_own_end_is_the_default(placed_lm: CausalLM) -> None:
    assert et.fluency(placed_lm).scorer is placed_lm
    assert et.fluency(placed_lm, end="token").scorer is placed_lm


def test_a_context_stands_before_and_has_no_say(placed_lm: CausalLM) -> None:
    context = "The dog ran."
    scorer = et.fluency(placed_lm, context, end="sentence").scorer
    assert scorer.lm.context == tuple(placed_lm.vocabulary.encode(context))
    empty = TokenBatch.of([()])
    plain = scorer.lm.next_log_prob(empty, empty.length)
    assert torch.equal(scorer.next_log_prob(empty, empty.length), plain)
    again = et.fluency(placed_lm, end="sentence").scorer.given(context)
    batch = TokenBatch.of([placed_lm.vocabulary.encode("the sun shone.")])
    assert torch.equal(again.log_prob(batch), scorer.log_prob(batch))
    assert (scorer.device, scorer.dtype) == (placed_lm.device, placed_lm.dtype)
    assert scorer.longest_text == placed_lm.longest_text - len(scorer.lm.context)


def test_ends_are_kept_and_forgotten(placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = et.fluency(placed_lm, end="sentence").scorer
    encode = placed_lm.vocabulary.encode
    rows = TokenBatch.of([encode(text) for text in ("the sun.", "a dog ran.", "rain.")])
    first = scorer.log_prob(rows)
    calls = []
    real = CausalLM.next_log_prob
    monkeypatch.setattr(
        CausalLM, "next_log_prob", lambda *args: calls.append(len(args[1])) or real(*args)
    )
    assert torch.equal(scorer.log_prob(rows), first) and sum(calls) == 0
    scorer.forget()
    assert torch.allclose(scorer.log_prob(rows), first) and sum(calls) == 3
    monkeypatch.setattr(scorer_module, "ENDS_KEPT", 2)
    monkeypatch.setattr(scorer_module, "ROWS_AT_ONCE", 5)
    scorer.forget()
    assert torch.allclose(scorer.log_prob(rows), first)
    assert len(scorer._log_ends) == 2


def test_rows_that_must_have_ended_run_no_model(
    placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = et.fluency(placed_lm, end="sentence").scorer
    batch = TokenBatch.of([placed_lm.vocabulary.encode("A dog ran. The ball")])
    monkeypatch.setattr(CausalLM, "token_log_prob", lambda _self, batch: _nothing(batch))
    assert scorer.log_prob(batch).tolist() == [-torch.inf]


def _nothing(batch: TokenBatch) -> torch.Tensor:
    assert not len(batch), "a model was run"
    return torch.zeros(0, batch.width + 1, dtype=torch.float64)
