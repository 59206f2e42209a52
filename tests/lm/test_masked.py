"""MaskedLM against the plain computation, on small random models of five families."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers import LlamaConfig as Llama

import ergotext as et
from ergotext.errors import InputError, ModelError
from ergotext.lm.masked import MaskedLM
from ergotext.lm.protocols import MaskedScorer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.lm.tokenizers.whole_words import word_numbers
from tests.conftest import SMALL as SMALL_CAUSAL
from tests.lm.masked_worlds import (
    FAMILIES,
    LONGEST,
    SIZE,
    SMALL,
    masked_tokenizer,
    reference,
    reference_scores,
)


@pytest.fixture(scope="module", params=list(FAMILIES))
def mlm(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast) -> MaskedLM:
    return made(request.param, tokenizer)


@pytest.fixture(scope="module")
def bert(tokenizer: PreTrainedTokenizerFast) -> MaskedLM:
    return made("bert", tokenizer)


def made(family: str, tokenizer: PreTrainedTokenizerFast, **options: int) -> MaskedLM:
    torch.manual_seed(1)
    vocabulary = Vocabulary(masked_tokenizer(tokenizer), SIZE)
    return MaskedLM(FAMILIES[family](), vocabulary, **options)


@contextmanager
def watched(lm: MaskedLM) -> Iterator[list[int]]:
    """Token positions in each forward pass."""
    passes: list[int] = []
    handle = lm.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: passes.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    yield passes
    handle.remove()


def random_rows(count: int, longest: int = 12, seed: int = 0) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [tuple(torch.randint(4, 400, (n,), generator=generator).tolist()) for n in lengths]


def test_conditionals_are_those_of_the_plain_computation(mlm: MaskedLM) -> None:
    rows = random_rows(20)
    at = torch.tensor([7 * r % len(row) for r, row in enumerate(rows)])
    law = mlm.conditional_log_prob(et.TokenBatch.of(rows), at)
    expected = torch.stack([reference(mlm, r, [p], p) for r, p in zip(rows, at, strict=True)])
    assert law.dtype == torch.float64 and law.shape == (20, SIZE)
    torch.testing.assert_close(law, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(law.logsumexp(-1), torch.zeros(20).double())


def test_blanks_of_a_row_are_masked_at_once(mlm: MaskedLM) -> None:
    rows = [*random_rows(12, seed=4), ()]
    batch = et.TokenBatch.of(rows)
    blank = torch.rand(batch.ids.shape, generator=torch.Generator().manual_seed(0)) < 0.6
    places = [[p for p in range(len(row)) if blank[r, p]] for r, row in enumerate(rows)]
    expected = [
        reference(mlm, row, at, p) for row, at in zip(rows, places, strict=True) for p in at
    ]
    with watched(mlm) as passes:
        law = mlm.blank_log_prob(batch, blank)
    torch.testing.assert_close(law, torch.stack(expected), atol=1e-4, rtol=0)
    assert len(passes) == 1
    few = MaskedLM(mlm.model, mlm.vocabulary, token_budget=40)
    torch.testing.assert_close(few.blank_log_prob(batch, blank), law, atol=1e-4, rtol=0)


def test_scores_are_those_of_the_plain_computation(mlm: MaskedLM) -> None:
    rows = [*random_rows(12, seed=1), ()]
    batch = et.TokenBatch.of(rows)
    scores = mlm.token_log_prob(batch)
    assert scores.dtype == torch.float64 and scores.shape == batch.ids.shape
    for row, found in zip(rows, scores.tolist(), strict=True):
        assert found[: len(row)] == pytest.approx(reference_scores(mlm, row), abs=1e-4)
        assert found[len(row) :] == [0.0] * (batch.width - len(row))
    torch.testing.assert_close(mlm.pseudo_log_prob(batch), scores.sum(-1))


def test_batch_equals_singles_and_padding_changes_nothing(mlm: MaskedLM) -> None:
    rows = random_rows(30, longest=30, seed=2)
    batch = et.TokenBatch.of(rows).padded(LONGEST + 9)
    together = mlm.pseudo_log_prob(batch)
    alone = torch.cat([mlm.pseudo_log_prob(et.TokenBatch.of([row])) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_what_stands_at_the_place_does_not_matter(mlm: MaskedLM) -> None:
    rows = [(10, 20, 30, 40), (10, 99, 30, 40)]
    law = mlm.conditional_log_prob(et.TokenBatch.of(rows), torch.tensor([1, 1]))
    assert torch.equal(law[0], law[1])
    # The others do, on both sides.
    for edited in ((11, 20, 30, 40), (10, 20, 30, 41)):
        other = mlm.conditional_log_prob(et.TokenBatch.of([edited]), torch.tensor([1]))[0]
        assert (other - law[0])[mlm.allowed].abs().max() > 1e-3


def test_special_tokens_have_no_share(mlm: MaskedLM) -> None:
    law = mlm.conditional_log_prob(et.TokenBatch.of([(10, 20, 30)]), torch.tensor([2]))[0]
    assert torch.equal(law == -torch.inf, ~mlm.allowed)
    assert not mlm.allowed[:4].any() and not mlm.allowed[420:].any()


def test_whole_words(bert: MaskedLM) -> None:
    """A token is scored with the rest of its word masked: Kauf and Ivanova's PLL-word-l2r."""
    row = bert.encode("The dog laughed, summery.")
    words = word_numbers(row, bert.vocabulary)
    assert len(row) > len(set(words)) > 4
    scores = bert.token_log_prob(et.TokenBatch.of([row]), whole_words=True)[0].tolist()
    expected = [
        float(reference(bert, row, [q for q in range(p, len(row)) if words[q] == words[p]], p)[t])
        for p, t in enumerate(row)
    ]
    assert scores == pytest.approx(expected, abs=1e-4)
    plain = bert.token_log_prob(et.TokenBatch.of([row]))[0].tolist()
    alone = [p for p, word in enumerate(words) if words.count(word) == 1]
    assert [scores[p] for p in alone] == pytest.approx([plain[p] for p in alone], abs=1e-4)
    assert abs(sum(scores) - sum(plain)) > 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the sunshine", ["the", "sunshine"]),
        ("don't, 1984 x_y", ["don", "'", "t", ",", "1984", "x_y"]),
        ("海滩", ["海", "滩"]),
        ("a 犇b", ["a", "犇", "b"]),
        ("naïve été", ["naïve", "été"]),
        ("", []),
    ],
)
def test_tokens_of_a_word(bert: MaskedLM, text: str, words: list[str]) -> None:
    """Letters that meet are a word; the parts of a character are never parted."""
    row = bert.encode(text)
    numbers = word_numbers(row, bert.vocabulary)
    found = [
        bert.vocabulary.text([t for t, n in zip(row, numbers, strict=True) if n == number])
        for number in dict.fromkeys(numbers)
    ]
    # A space may stand in front of a word, or be a token of its own.
    assert [word.strip() for word in found if word.strip()] == words
    assert list(numbers) == sorted(numbers) and len(numbers) == len(row)


def test_passes_keep_to_the_budget_and_change_nothing(tokenizer) -> None:
    batch = et.TokenBatch.of(random_rows(12, seed=3))
    wide, tight = made("bert", tokenizer), made("bert", tokenizer, token_budget=40)
    with watched(tight) as passes:
        scores = tight.token_log_prob(batch)
    assert len(passes) > 10 and max(passes) <= 40
    torch.testing.assert_close(scores, wide.token_log_prob(batch), atol=1e-4, rtol=0)
    with watched(wide) as passes:
        wide.token_log_prob(batch)
    assert len(passes) == 1


def test_the_head_sees_one_place_a_row(mlm: MaskedLM) -> None:
    """No [tokens, vocabulary] is ever made."""
    seen: list[tuple[int, ...]] = []
    head = mlm.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape)))
    mlm.conditional_log_prob(et.TokenBatch.of([(5, 6, 7)] * 4), torch.tensor([0, 1, 2, 0]))
    handle.remove()
    assert seen == [(4, 1, SIZE)]
    # Nothing is left hanging on the model.
    assert mlm.model(torch.tensor([[0, 5, 6, 1]])).logits.shape == (1, 4, SIZE)


def test_the_longest_row_and_one_more(mlm: MaskedLM) -> None:
    longest = mlm.max_positions - 2
    assert longest == LONGEST - 2 - (mlm.model.config.model_type == "roberta") * 4
    row = [5] * longest
    assert torch.isfinite(mlm.pseudo_log_prob(et.TokenBatch.of([row])))
    with pytest.raises(InputError, match=rf"takes {longest + 3} token positions.*shorten"):
        mlm.pseudo_log_prob(et.TokenBatch.of([[5, *row]]))


def test_places_outside_of_a_row(bert: MaskedLM) -> None:
    batch = et.TokenBatch.of([(5, 6), (5,)])
    for at in ([0, 1], [-1, 0], [2, 0]):
        with pytest.raises(InputError, match="not all within"):
            bert.conditional_log_prob(batch, torch.tensor(at))


def test_empty_batch(bert: MaskedLM) -> None:
    none = et.TokenBatch.of([])
    assert bert.conditional_log_prob(none, torch.zeros(0, dtype=torch.int64)).shape == (0, SIZE)
    assert bert.pseudo_log_prob(none).shape == (0,)


def test_it_is_a_masked_scorer(bert: MaskedLM) -> None:
    assert isinstance(bert, MaskedScorer)
    row = bert.encode("海滩 the summer")
    assert bert.decode(et.TokenBatch.of([row])) == ["海滩 the summer"]
    assert repr(bert) == "MaskedLM(bert, torch.float32, cpu)"


def test_models_that_are_no_masked_ones(tokenizer: PreTrainedTokenizerFast) -> None:
    words = Vocabulary(masked_tokenizer(tokenizer), SIZE)
    with pytest.raises(ModelError, match="ignores the tokens to the right"):
        MaskedLM(LlamaForCausalLM(Llama(**SMALL_CAUSAL)), words)
    with pytest.raises(ModelError, match="cannot be used as a masked"):
        MaskedLM(BertModel(BertConfig(**SMALL)), words)

    class Heedless(BertForMaskedLM):
        def forward(self, *args, attention_mask=None, **kwargs):
            return super().forward(*args, **kwargs)

    torch.manual_seed(1)
    with pytest.raises(ModelError, match="depend on the padding"):
        MaskedLM(Heedless(BertConfig(**SMALL)), words)


def test_tokenizers_that_do_not_fit(tokenizer: PreTrainedTokenizerFast) -> None:
    model = FAMILIES["bert"]()
    maskless = masked_tokenizer(tokenizer)
    maskless.mask_token = None
    with pytest.raises(ModelError, match="has no mask token"):
        MaskedLM(model, Vocabulary(maskless, SIZE))
    with pytest.raises(ModelError, match="430 logits, but its vocabulary has 500"):
        MaskedLM(model, Vocabulary(masked_tokenizer(tokenizer), 500))


def test_energy(bert: MaskedLM, tokenizer: PreTrainedTokenizerFast) -> None:
    batch = et.TokenBatch.of(random_rows(6, seed=5))
    term = et.pseudo_likelihood(bert)
    assert torch.equal(term(batch), -bert.pseudo_log_prob(batch)) and term.masked is bert
    energy = 0.5 * term + et.length(4)
    assert (
        energy.masked is bert
        and energy.scorer is None
        and energy.terms(batch).keys()
        == {
            "pseudo-likelihood",
            "length",
        }
    )
    torch.testing.assert_close(energy(batch), 0.5 * term(batch) + et.length(4)(batch))
    words = et.pseudo_likelihood(bert, whole_words=True)
    assert torch.equal(words(batch), -bert.pseudo_log_prob(batch, whole_words=True))


def test_energies_of_the_wrong_model(bert: MaskedLM, small_lm: et.CausalLM, smollm2) -> None:
    assert (et.fluency(small_lm) + et.pseudo_likelihood(bert)).masked is bert
    with pytest.raises(InputError, match="different tokenizers"):
        et.fluency(smollm2) + et.pseudo_likelihood(bert)
    with pytest.raises(InputError, match="needs a masked language model"):
        et.pseudo_likelihood(small_lm)
    with pytest.raises(InputError, match=r"use pseudo_likelihood"):
        et.fluency(bert)
