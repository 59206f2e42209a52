"""Spelling keywords, and what may be proposed."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast, tokenization_utils_base

from ergotext.errors import InputError
from ergotext.lm.tokenizers.vocabulary import Vocabulary


@pytest.fixture
def vocabulary(tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    return Vocabulary(tokenizer, 430)


def test_special_unused_and_padding_tokens_are_never_proposed(vocabulary: Vocabulary) -> None:
    assert vocabulary.allowed.shape == (430,)
    assert not vocabulary.allowed[:4].any()  # <s>, </s>, <mask>, <unused0>
    assert not vocabulary.allowed[len(vocabulary.tokenizer) :].any()
    assert vocabulary.allowed[4 : len(vocabulary.tokenizer)].all()


def test_unused_tokens_of_the_bert_family_are_never_proposed() -> None:
    words = ["[PAD]", "[unused1]", "[unused99]", "[UNK]", "[MASK]", "[other]", "海", "unused"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    assert Vocabulary(tokenizer, 8).allowed.tolist() == [False] * 5 + [True] * 3


@pytest.mark.parametrize("word", ["summer", "ice cream", "  padded ", "naïve", "C++", "夏天", "👍"])
def test_a_word_is_spelled_as_inside_a_sentence(vocabulary: Vocabulary, word: str) -> None:
    text = vocabulary.text(vocabulary.spell(word))
    assert text.strip() == word.strip()
    assert text.startswith(" ") == (word != "夏天")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("\x00\x1f", "only control characters"),
        ("\u200b\u200d", "only control characters"),
        ("a\nb", "control character"),
        ("a\u202eb", "control character"),
        ("a\u2028b", "control character"),
        ("</s>", "cannot spell"),
        ("<mask>", "cannot spell"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_words_that_cannot_be(vocabulary: Vocabulary, word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        vocabulary.spell(word)


def test_same_as(vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerFast) -> None:
    assert vocabulary.same_as(Vocabulary(tokenizer, 420))
    more = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="</s>")
    assert vocabulary.same_as(Vocabulary(more, 430))
    more.add_tokens(["word"])
    assert not vocabulary.same_as(Vocabulary(more, 430))


def test_tokenizers_that_put_a_space_before_every_text() -> None:
    """Llama 2's: one space before the word inside a sentence, not two."""
    inner = Tokenizer(models.BPE(byte_fallback=True))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=120, special_tokens=["<s>", "</s>"], show_progress=False
    )
    inner.train_from_iterator(["a summer sun on the beach 海滩。"] * 9, trainer)
    vocabulary = Vocabulary(PreTrainedTokenizerFast(tokenizer_object=inner), len(inner.get_vocab()))
    before = vocabulary.encode("the")
    assert vocabulary.text(before + vocabulary.spell("summer")) == "the summer"
    assert vocabulary.text(vocabulary.encode("。") + vocabulary.spell("海滩")) == "。海滩"


def test_a_text_that_may_be_too_long_is_encoded_without_a_word(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longest contexts are tried first; what does not fit is left out."""
    said: list[object] = []
    monkeypatch.setattr(tokenization_utils_base.logger, "warning", lambda *told: said.append(told))
    short = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="</s>", model_max_length=4
    )
    assert len(Vocabulary(short, 430).encode("a summer on the beach " * 4)) > 4
    assert not said
