from __future__ import annotations

from importlib import import_module

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ergotext.errors import InputError
from ergotext.lm.automata import Pieces, Substrings, regex
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer
from ergotext.support import extras
from tests.lm.automata.worlds import LATIN


def test_byte_level(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = Pieces.of(tokenizer, size=430)
    assert (pieces.alphabet.size, pieces.alphabet.end, pieces.alphabet.pad) == (430, 1, 0)
    for text in ("The summer sun", "海滩é"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert pieces.joined(ids).decode() == text
    silent = [token for token in range(len(tokenizer)) if not pieces.tokens[token]]
    # "ÿ" is how this tokenizer shows the byte 0xFF, which no UTF-8 holds.
    named = ["<s>", "</s>", "<mask>", "<unused0>", "ÿ"]
    assert silent == tokenizer.convert_tokens_to_ids(named)


DECODERS = {
    "Gemma's": [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()],
    "T5's": [decoders.ByteFallback(), decoders.Fuse(), decoders.Metaspace()],
}


@pytest.mark.parametrize("kind", DECODERS)
def test_sentencepiece_with_byte_fallback(kind: str) -> None:
    vocabulary = {"<unk>": 0, "</s>": 1, "▁a": 2, "b": 3, "<0xE6>": 4, "<0xB5>": 5, "<0xB7>": 6}
    inner = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Sequence(DECODERS[kind])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    pieces = Pieces.of(tokenizer)
    assert pieces.tokens == [b"", b"", b" a", b"b", b"\xe6", b"\xb5", b"\xb7"]
    assert pieces.joined([2, 4, 5, 6]).decode() == " a海"


def test_our_own() -> None:
    tokenizer = CharacterTokenizer("海a")
    pieces = Pieces.of(tokenizer)
    assert pieces.joined(tokenizer.encode("a海é")).decode() == "a海é"
    assert pieces.text.tolist() == list(range(3, tokenizer.size))


def test_a_tokenizer_whose_pieces_cannot_be_told() -> None:
    model = models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2, "[SEP]": 3}, unk_token="[UNK]")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(model), eos_token="[SEP]", unk_token="[UNK]"
    )
    with pytest.raises(InputError, match="cannot determine"):
        Pieces.of(tokenizer)


def test_a_tokenizer_without_end_or_padding(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(InputError, match="end="):
        Pieces.of(bare)
    inner = Tokenizer(models.BPE({"a": 0, "</s>": 1}, []))
    inner.decoder = decoders.ByteLevel()
    alone = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")
    found = Pieces.of(alone)  # a number behind the last token pads, as in an index
    assert found.alphabet == Alphabet(3, 2, 1) and found.tokens == [b"a", b""]
    assert Pieces.of(alone, size=9).alphabet == Alphabet(9, 2, 1)


def test_added_tokens_write_what_they_say(tokenizer: PreTrainedTokenizerFast) -> None:
    """Not what their letters would stand for inside a byte-level vocabulary."""
    inner = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    inner.add_tokens(["ñandú", "Ærø", "plain", "Ġthe", "a b"])
    grown = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")
    pieces = Pieces.of(grown)
    ids = grown.encode("Ærø ñandú plain a b", add_special_tokens=False)
    assert pieces.joined(ids).decode() == "Ærø ñandú plain a b"
    (own,) = grown.convert_tokens_to_ids(["Ġthe"])  # the model's own, named once more
    assert own < 376 and pieces.tokens[own] == b" the"


def test_decoders_that_are_told_apart() -> None:
    vocabulary = {"</s>": 0, "a": 1, "_b": 2, "<0x41>": 3}
    for decoder, expected in [
        (decoders.ByteFallback(), [b"", b"a", b"_b", b"A"]),
        (decoders.Sequence([decoders.Replace("_", "-"), decoders.Fuse()]), [b"", b"a", b"-b",
                                                                           b"<0x41>"]),
        (decoders.Replace(Regex("_+"), " "), None),
        (decoders.BPEDecoder(), None),
        (None, None),
    ]:  # fmt: skip
        inner = Tokenizer(models.BPE(vocabulary, []))
        if decoder is not None:
            inner.decoder = decoder
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")
        if expected is None:
            with pytest.raises(InputError, match="use a fast"):
                Pieces.of(tokenizer)
        else:
            assert Pieces.of(tokenizer).tokens == expected


def test_lists_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="do not match"):
        Pieces(Alphabet(2, 0, 1), [b"", b"", b"a"])
    with pytest.raises(InputError, match="writes b'a'"):
        Pieces(Alphabet(2, 0, 1), [b"", b"a"])


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extras, "import_module", missing)
    for make in (lambda: regex("a", LATIN), lambda: Substrings([1], LATIN.alphabet)):
        with pytest.raises(InputError, match="run: pip install 'llguidance"):
            make()
    monkeypatch.setattr(extras, "import_module", import_module)
    regex("a", LATIN)
