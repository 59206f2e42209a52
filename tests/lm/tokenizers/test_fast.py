"""Keys are tokenised as decoder targets are: on tokenizers of every kind, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, BartConfig, LlamaConfig, PreTrainedTokenizerFast

from ergotext.errors import InputError, ModelError
from ergotext.lm.automata import Pieces, intersection, regex
from ergotext.lm.sources import source_of
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.loading import load_tokenizer
from ergotext.lm.trie import EditableTrie, build, load, save
from ergotext.lm.trie.texts import places_of
from tests.conftest import CORPUS


def trained(inner: Tokenizer, trainer: Any) -> Tokenizer:
    inner.train_from_iterator([*CORPUS, "new york news, Newton's new yolk 北京大学"], trainer)
    return inner


def around(inner: Tokenizer, template: str) -> Tokenizer:
    used = [t for t in template.split() if t != "$A"]
    inner.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(t, inner.token_to_id(t)) for t in used]
    )
    return inner


def t5() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
        show_progress=False,
    )  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=around(trained(inner, trainer), "$A </s>"),
        pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
    )  # fmt: skip


def _byte_level(size: int = 500, special: Sequence[str] = ("<s>", "<pad>", "</s>")) -> Tokenizer:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    return trained(inner, trainer)


def bart() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=around(_byte_level(), "<s> $A </s>"),
        bos_token="<s>", pad_token="<pad>", eos_token="</s>",
    )  # fmt: skip


def gpt2() -> PreTrainedTokenizerFast:
    """Nothing around a text, and one special token for everything."""
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(400, [end]), bos_token=end, eos_token=end, unk_token=end
    )


def bert() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=around(trained(inner, trainer), "[CLS] $A [SEP]"),
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
    )  # fmt: skip


KINDS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "t5": t5, "bart": bart, "gpt2": gpt2, "bert": bert
}  # fmt: skip
texts = st.text(st.sampled_from("aé北 \tNew york's👍ﬁ\n"), max_size=12)


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> tuple[PreTrainedTokenizerFast, FastTokenizer]:
    original = KINDS[request.param]()
    return original, FastTokenizer(original, request.param)


def test_keys_are_decoder_targets(kind) -> None:
    original, ours = kind

    @settings(max_examples=100, deadline=None)
    @given(st.lists(texts, max_size=5))
    def check(many: list[str]) -> None:
        ids, offsets = ours.encode_many(many)
        for text, low, high in zip(many, offsets[:-1], offsets[1:], strict=True):
            target = original(text_target=text)["input_ids"]
            if target and target[-1] == ours.alphabet.end:
                target = target[:-1]
            if target == ours.before:  # no tokens of its own
                target = []
            assert ids[low:high].tolist() == target == ours.encode(text)
            if high > low:
                assert original.decode(
                    target, skip_special_tokens=True, clean_up_tokenization_spaces=False
                ) == ours.decode(target)

    check()


def test_padding_and_truncation_of_the_original_do_not_matter(kind) -> None:
    original, ours = kind
    expected = ours.encode_many(["new york " * 20, "new"])
    inner = original.backend_tokenizer
    inner.enable_truncation(2)
    inner.enable_padding(length=30)
    again = FastTokenizer(original)
    inner.no_truncation()
    inner.no_padding()
    for part, same in zip(expected, again.encode_many(["new york " * 20, "new"]), strict=True):
        assert (part == same).all()
    assert again.alphabet == ours.alphabet


def test_what_stands_around_a_key() -> None:
    found = {name: FastTokenizer(make()) for name, make in KINDS.items()}
    names = {name: t._inner.id_to_token(t.alphabet.end) for name, t in found.items()}
    assert names == {"t5": "</s>", "bart": "</s>", "gpt2": "<|endoftext|>", "bert": "[SEP]"}
    pads = {name: t._inner.id_to_token(t.alphabet.pad) for name, t in found.items()}
    assert pads == {"t5": "<pad>", "bart": "<pad>", "gpt2": None, "bert": "[PAD]"}
    gpt = found["gpt2"].alphabet
    assert gpt.pad == gpt.size - 1 == found["gpt2"]._inner.get_vocab_size()
    assert [len(t.before) for t in found.values()] == [0, 1, 0, 1]


def test_padding_never_closes_a_key() -> None:
    """Where a model pads with its end token, another special token pads keys."""
    original = bart()
    original.pad_token = "</s>"
    ours = FastTokenizer(original)
    assert ours.alphabet.end == 2 and ours.alphabet.pad == 1  # <pad>; <s> begins every key
    assert [*ours.encode("new"), 2] == original(text_target="new")["input_ids"]


class Translating(PreTrainedTokenizerFast):
    """As NLLB's and mBART's: targets begin with another language than inputs do."""

    def _switch_to_target_mode(self) -> None:
        around(self.backend_tokenizer, "<pad> $A </s>")

    def _switch_to_input_mode(self) -> None:
        around(self.backend_tokenizer, "<s> $A </s>")


def test_keys_begin_with_the_language_of_targets() -> None:
    original = Translating(tokenizer_object=_byte_level(), eos_token="</s>")
    original._switch_to_input_mode()
    ours = FastTokenizer(original)
    assert ours.before == [1] and original("new")["input_ids"][0] == 0
    assert [*ours.encode("new"), 2] == original(text_target="new")["input_ids"]
    assert ours.alphabet.pad == 0


def test_byte_level_texts_come_back() -> None:
    ours = FastTokenizer(bart())
    for text in ["New york", " a  b", "北京大学\t创始人", "👍é", "a\nb", "ﬁ"]:
        assert ours.decode(ours.encode(text)) == text
    assert ours.decode([*ours.encode("new"), ours.alphabet.end, ours.alphabet.pad]) == "new"
    with pytest.raises(InputError, match="lone surrogate"):
        ours.encode("\ud800")


def test_special_tokens_inside_a_key_are_text_of_it(tmp_path: Path) -> None:
    original = bart()
    original.add_special_tokens({"additional_special_tokens": ["<mask>", "<|im_start|>"]})
    original.add_tokens(["ñandú", "Ærø"])
    ours = FastTokenizer(original)
    texts = ["a <mask> b", "<|im_start|>", "the ñandú of Ærø, 北京 ñandú", "a <s> b", "<s>"]
    trie = build([(text, text) for text in texts], ours)
    for text in texts:
        assert [*ours.encode(text), 2] == original(text_target=text)["input_ids"]
        assert ours.decode(ours.encode(text)) == text and trie.objects(text) == [text]
        for prefix in (text[:1], text):
            found = [ours.decode(k) for p in places_of(trie, prefix) for k in trie.keys(p.tokens)]
            assert text in found and all(key.startswith(prefix) for key in found)
    end, pad = ours.alphabet.end, ours.alphabet.pad
    assert ours.decode([*ours.encode("a <s> b"), end, pad]) == "a <s> b"
    with pytest.raises(InputError, match="item 1 is a key with token 2"):
        build(["a </s> b"], ours)


TITLES = ["new", "news", "new york", "New York", "newton's", "北京", "北京大学", "👍", "n"]


def test_keys_by_the_beginning_of_their_text(kind) -> None:
    _, ours = kind
    trie = build([(t, t) for t in TITLES if ours.encode(t)], ours)
    keys = [ours.decode(key) for key in list(trie.keys())]
    for prefix in {t[:n] for t in TITLES for n in range(len(t) + 1)} | {"x", "newx"}:
        if "[UNK]" in str(ours._inner.encode(prefix).tokens):
            continue
        wanted = ours.decode(ours.encode(prefix)) or prefix
        places = places_of(trie, prefix)
        found = [ours.decode(key) for p in places for key in trie.keys(p.tokens)]
        assert sorted(found) == sorted(k for k in keys if k.startswith(wanted)), prefix


CUT = ["\ufffd", "\ufffdab", "\ufffd\ufffd", "a\ufffd", "a\ufffdb", "\u00a0\u3000", "的", "éa",
       "ok", "aé", "a的b", "👍", "a👍"]  # fmt: skip


@pytest.mark.parametrize("kept", [CUT, CUT[5:], CUT[1:]], ids=["all", "none", "longer"])
def test_the_sign_for_broken_text_is_a_character_like_others(kind, kept) -> None:
    """A way that ends within a character is written with it, and is none of it."""
    _, ours = kind
    texts = [t for t in kept if ours.decode(ours.encode(t)) == t]
    trie = EditableTrie(build([(t, t) for t in texts], ours))
    for prefix in ("\ufffd", "\ufffd\ufffd", "\ufffda", "a\ufffd", "é\ufffd"):
        if ours.decode(ours.encode(prefix)) != prefix:
            continue
        wanted = sorted(t for t in texts if t.startswith(prefix))
        assert sorted(map(ours.decode, trie.keys(prefix))) == wanted, prefix
        assert trie.count(prefix) == len(wanted)
        if wanted:
            less = EditableTrie(trie.compact())
            assert less.remove_prefix(prefix) == len(wanted)
            assert sorted(map(ours.decode, less.keys())) == sorted(set(texts) - set(wanted))
        else:
            with pytest.raises(InputError, match="no key begins with"):
                trie.remove_prefix(prefix)


def test_a_key_that_is_cut_off_within_a_character_takes_no_other_along() -> None:
    ours = FastTokenizer(bart())
    whole = ours.encode("👍")
    cut = tuple(whole[:-1])
    trie = EditableTrie(build([(tuple(whole), "whole"), (cut, "cut")], ours))
    assert len(whole) > 2 and ours.decode(cut) == "\ufffd"
    with pytest.raises(InputError, match="no key begins with"):
        trie.remove_prefix("\ufffd")
    assert trie.remove_prefix("👍") == 1 and list(trie) == [cut]


def test_the_fingerprint_is_of_all_that_shapes_tokens(tmp_path: Path) -> None:
    base = FastTokenizer(bart()).fingerprint
    assert base == FastTokenizer(bart()).fingerprint
    bart().save_pretrained(tmp_path / "saved")
    assert load_tokenizer(str(tmp_path / "saved")).fingerprint == base

    def prefix_space(t: PreTrainedTokenizerFast) -> None:
        t.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)

    def normaliser(t: PreTrainedTokenizerFast) -> None:
        t.backend_tokenizer.normalizer = normalizers.Lowercase()

    def another_word(t: PreTrainedTokenizerFast) -> None:
        t.add_tokens(["york"])

    def nothing_before(t: PreTrainedTokenizerFast) -> None:
        around(t.backend_tokenizer, "$A </s>")

    def splits(t: PreTrainedTokenizerFast) -> None:
        t.split_special_tokens = True

    prints = {base}
    for change in (prefix_space, normaliser, another_word, nothing_before, splits):
        changed = bart()
        change(changed)
        prints.add(FastTokenizer(changed).fingerprint)
    assert len(prints) == 6


def test_an_index_knows_its_tokenizer(tmp_path: Path) -> None:
    ours, other = FastTokenizer(bart()), FastTokenizer(t5())
    save(build([("new york", "x")], ours), tmp_path / "x")
    assert load(tmp_path / "x", FastTokenizer(bart())).objects("new york") == ["x"]
    assert load(tmp_path / "x").tokenizer is None
    with pytest.raises(InputError, match="built with another tokenizer"):
        load(tmp_path / "x", other)


def test_many_tokens() -> None:
    """A vocabulary that 16 bits do not number."""
    words = {f"w{i}": i for i in range(70_000)} | {"</s>": 70_000, "<pad>": 70_001}
    inner = Tokenizer(models.WordLevel(words, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens([AddedToken("</s>", special=True), AddedToken("<pad>", special=True)])
    ours = FastTokenizer(
        PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="<pad>")
    )
    trie = build([("w1 w69999", "a"), ("w69999 w2", "b")], ours)
    assert str(trie.token.dtype) == str(trie.tail.dtype) == "uint32"
    assert trie.objects("w69999 w2") == ["b"] and trie.get("w69999").tolist() == [2]


def test_a_causal_model_has_read_its_start_token(tmp_path: Path) -> None:
    """Beside a causal model's config keys begin with their own text; beside any other with <s>."""
    tokenizer = bart()
    tokenizer.save_pretrained(tmp_path)
    begun = load_tokenizer(str(tmp_path))
    LlamaConfig(architectures=["LlamaForCausalLM"]).save_pretrained(tmp_path)
    bare = load_tokenizer(str(tmp_path))
    assert begun.before and bare.before == []
    assert begun.encode("ab ba") == [*begun.before, *bare.encode("ab ba")]
    assert begun.fingerprint != bare.fingerprint and bare.decode(bare.encode("ab")) == "ab"
    BartConfig(architectures=["BartForConditionalGeneration"]).save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).before == begun.before


def test_an_index_and_an_expression_of_one_tokenizer_combine() -> None:
    keys = load_tokenizer("smollm2")
    pieces = Pieces.of(AutoTokenizer.from_pretrained(source_of("smollm2")))
    assert (pieces.alphabet.end, pieces.alphabet.pad) == (keys.alphabet.end, keys.alphabet.pad)
    trie = build([(keys.encode("1984"), None), (keys.encode("abc"), None)], keys.alphabet)
    both = intersection(trie, regex("[0-9]+", pieces))
    state = both.start(1)
    assert both.candidates(state)[1].tolist() == keys.encode("1984")[:1]
    for token in keys.encode("1984"):
        state = both.advance(state, np.array([token]))
    assert both.accepting(state).all()
    with pytest.raises(InputError, match="FastTokenizer is not a transformers tokenizer"):
        Pieces.of(keys)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    for name, message in [("", "is empty"), (str(tmp_path / "x.json"), "does not exist"),
                          ("no/such", "no tokenizer 'no/such'")]:  # fmt: skip
        with pytest.raises(InputError, match=message):
            load_tokenizer(name)
    with pytest.raises(InputError, match="this machine holds none"):
        load_tokenizer("no/such", offline=True)
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    for name in (str(broken), str(tmp_path)):
        with pytest.raises(ModelError, match="cannot read the tokenizer"):
            load_tokenizer(name)


def test_a_file_alone(tmp_path: Path) -> None:
    bart().save_pretrained(tmp_path)
    whole = load_tokenizer(str(tmp_path / "tokenizer.json"))  # with what lies beside it
    assert whole.alphabet == FastTokenizer(bart()).alphabet
    for other in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / other).unlink(missing_ok=True)
    alone = load_tokenizer(str(tmp_path / "tokenizer.json"))  # the end by its template
    assert alone.alphabet == whole.alphabet


def test_tokenizers_that_cannot_make_keys() -> None:
    with pytest.raises(InputError, match="not a fast tokenizer"):
        FastTokenizer(object())
    plain = PreTrainedTokenizerFast(tokenizer_object=_byte_level())
    with pytest.raises(InputError, match="has no end token"):
        FastTokenizer(plain, "plain")
    two = PreTrainedTokenizerFast(tokenizer_object=around(_byte_level(), "$A </s> <s>"))
    with pytest.raises(InputError, match="ends targets with 2 tokens"):
        FastTokenizer(two, "two")
