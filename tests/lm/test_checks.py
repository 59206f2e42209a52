"""Models whose weights are not all there, not all used, or no numbers: refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

import ergotext as et
from ergotext.lm import checks
from ergotext.lm.conversion import first_line
from ergotext.tasks.retrieval.lookahead.network import CONFIG, WEIGHTS, Matcher
from tests.conftest import SMALL
from tests.faulty import load_with_fault
from tests.lm.masked_worlds import FAMILIES, masked_tokenizer
from tests.lm.trie.crafted import within
from tests.tiny_t5 import saved as t5_saved

TEXTS = ["the summer sun shone on the beach"]


def edited(folder: Path, **changes: Any) -> str:
    """The same folder with other values in its config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return str(folder)


def weighed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> str:
    """The same folder with other weights."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})
    return str(folder)


@pytest.fixture
def causal(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "causal"))


@pytest.fixture
def biased(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    """A Llama whose attention has biases."""
    torch.manual_seed(2)
    LlamaForCausalLM(LlamaConfig(**SMALL, attention_bias=True)).save_pretrained(tmp_path / "b")
    tokenizer.save_pretrained(tmp_path / "b")
    return tmp_path / "b"


@pytest.fixture
def answering(tmp_path: Path) -> Path:
    """An encoder-decoder with its tokenizer."""
    t5_saved(tmp_path / "t5", TEXTS)
    return tmp_path / "t5"


@pytest.fixture
def masked(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    FAMILIES["bert"]().save_pretrained(tmp_path / "masked")
    masked_tokenizer(tokenizer).save_pretrained(tmp_path / "masked")
    return tmp_path / "masked"


def test_a_layer_less_is_refused(causal: Path) -> None:
    with pytest.raises(et.ModelError, match=r"does not describe \(such as model\.layers\.1\."):
        et.load(edited(causal, num_hidden_layers=1))


def test_biases_without_a_place_are_refused(biased: Path) -> None:
    et.load(str(biased))
    with pytest.raises(et.ModelError, match=r"does not describe \(such as .*bias\)"):
        et.load(edited(biased, attention_bias=False))


def test_a_layer_less_of_an_encoder_decoder_is_refused(answering: Path) -> None:
    et.load(str(answering))
    with pytest.raises(et.ModelError, match=r"does not describe \(such as decoder\.block"):
        et.load(edited(answering, num_decoder_layers=1))


def test_a_layer_less_of_a_masked_model_is_refused(masked: Path) -> None:
    et.load(str(masked))
    with pytest.raises(et.ModelError, match=r"does not describe \(such as .*layer\."):
        et.load(edited(masked, num_hidden_layers=1))


def test_what_lies_beside_a_model_is_harmless(masked: Path) -> None:
    """Pooler and next-sentence head, and buffers that older versions have saved."""
    plain = et.load(str(masked))
    config = BertConfig.from_pretrained(masked)
    whole = BertForPreTraining(config)
    own = BertForMaskedLM.from_pretrained(masked).state_dict()
    whole.load_state_dict({**whole.state_dict(), **own})
    more = whole.state_dict()
    more["bert.embeddings.position_ids"] = torch.arange(8)[None]
    more["bert.encoder.layer.0.attention.self.rotary_emb.inv_freq"] = torch.ones(4)
    shared = {name: tensor.clone().contiguous() for name, tensor in more.items()}
    save_file(shared, masked / "model.safetensors", metadata={"format": "pt"})
    again = et.load(str(masked))
    weights, before = again.model.state_dict(), plain.model.state_dict()
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[name], before[name]) for name in before)
    batch, where = et.TokenBatch.of([plain.vocabulary.encode("the sun")]), torch.tensor([0])
    scores = [lm.conditional_log_prob(batch, where) for lm in (plain, again)]
    # Equal weights at other addresses may be multiplied in another order.
    torch.testing.assert_close(*scores, rtol=0.0, atol=1e-5)


class Buffered(torch.nn.Module):
    """One weight, a mask that is computed, and a bias that is saved."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]), persistent=False)
        self.register_buffer("final_logits_bias", torch.zeros(1, 3))


def test_buffers_that_older_versions_have_saved_are_harmless() -> None:
    """GPT-Neo's causal masks, and the version number of fairseq's models."""
    info = {"unexpected_keys": ["mask", "decoder.version", "model.encoder.version"]}
    checks.check_model(Buffered(), info, "m")
    info["unexpected_keys"].append("transformer.h.1.attn.c_attn.weight")
    with pytest.raises(et.ModelError, match=r"does not describe \(such as transformer\.h\.1"):
        checks.check_model(Buffered(), info, "m")


def test_a_saved_buffer_may_forbid_tokens() -> None:
    model = Buffered()
    model.final_logits_bias[0, 1] = -torch.inf
    checks.check_model(model, {}, "m")


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_a_saved_buffer_that_is_no_number_is_refused_by_name(number: float) -> None:
    model = Buffered()
    model.final_logits_bias[0, 1] = number
    with pytest.raises(et.ModelError, match=r"\(final_logits_bias\)"):
        checks.check_model(model, {}, "m")


@pytest.mark.parametrize("named", [None, [], ["BertModel"], ["BertForPreTraining"]])
def test_an_encoder_that_does_not_say_so_is_a_masked_model(masked: Path, named: Any) -> None:
    assert isinstance(et.load(edited(masked, architectures=named)), et.MaskedLM)


def test_an_encoder_as_a_causal_model_is_refused_in_words(masked: Path) -> None:
    with pytest.raises(et.ModelError, match="has no ordinary key-value cache"):
        et.load(edited(masked, architectures=["BertLMHeadModel"]))


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_a_weight_that_is_no_number_is_refused_by_name(causal: Path, number: float) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    said = rf"weight that is {'NaN' if number != number else 'infinite'} \({name}\)"
    with pytest.raises(et.ModelError, match=said.replace(".", r"\.")):
        et.load(weighed(causal, lambda w: w[name].view(-1)[7].fill_(number)))
    with pytest.raises(et.ModelError, match=said.replace(".", r"\.")):
        et.load(str(causal), dtype="bfloat16")


def test_nan_in_the_other_kinds_is_refused(answering: Path, masked: Path) -> None:
    for folder in (answering, masked):
        with pytest.raises(et.ModelError, match="weight that is NaN"):
            et.load(weighed(folder, lambda w: next(iter(w.values())).view(-1)[0].fill_(torch.nan)))


def test_sentence_encoders(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    from transformers import BertModel

    from ergotext.lm.energies.embedding import load_encoder

    config = BertConfig(
        vocab_size=430, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    BertForPreTraining(config).save_pretrained(tmp_path)  # heads that nobody asks are harmless
    tokenizer.pad_token = "</s>"
    tokenizer.save_pretrained(tmp_path)
    path = str(tmp_path)
    assert load_encoder(path).encode(TEXTS).shape == (1, 16)
    with pytest.raises(et.ModelError, match=r"does not describe \(such as .*layer\.1"):
        load_encoder(edited(tmp_path, num_hidden_layers=1))
    with pytest.raises(et.ModelError, match=r"lacks .*layer\.2"):
        load_encoder(edited(tmp_path, num_hidden_layers=3))
    BertModel(config).save_pretrained(tmp_path)
    weighed(tmp_path, lambda w: w["embeddings.LayerNorm.weight"][0].fill_(torch.nan))
    with pytest.raises(et.ModelError, match=r"weight that is NaN \(embeddings\.LayerNorm\.weight"):
        load_encoder(path)


@pytest.mark.parametrize("name", ["vocab_size", "intermediate_size", "hidden_size"])
def test_weights_of_other_shapes_are_named(causal: Path, name: str) -> None:
    said = r"its weight (model|lm_head)\.[\w.]+ is of shape \[[\d, ]+\], and by its config\.json"
    with within(5.0, name), pytest.raises(et.ModelError, match=said):
        et.load(edited(causal, **{name: 10**6 * 64}))


def test_weights_of_other_shapes_under_other_names(causal: Path) -> None:
    model = torch.nn.Linear(2, 3)
    assert checks.misfit(causal, model).startswith("the shapes of its weights differ from")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_attention_heads": 10**7}, "is not a multiple of the number of attention heads"),
        ({"num_hidden_layers": "x"}, "'num_hidden_layers' expected int, got str"),
        ({"hidden_act": "zzz"}, r"there is no 'zzz' \(KeyError\)"),
    ],
)
def test_what_is_wrong_in_a_config_is_said(causal: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(et.ModelError, match=said) as caught:
        et.load(edited(causal, **change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError(""), "ValueError"),
        (KeyError(), "KeyError"),
        (ValueError("a\nb"), "a"),
        (ValueError("a:\n\n  b:\n c\nd"), "a: b: c"),
        (ValueError("a:"), "a: ValueError"),
        (RuntimeError("CONVERSION: see the above report!"), "its weights cannot be converted"),
        (RuntimeError("ignore_mismatched_sizes … the above report!"),
         "its weights have other shapes than its configuration says"),
    ],
)  # fmt: skip
def test_one_line_says_what_happened(error: Exception, said: str) -> None:
    assert first_line(error) == said


@pytest.mark.parametrize("name", ["num_hidden_layers", "n_layer", "num_decoder_layers"])
def test_more_layers_than_weights_are_not_built(causal: Path, name: str) -> None:
    with within(5.0, name), pytest.raises(et.ModelError, match=f"{name} = 100,000,000"):
        et.load(edited(causal, **{name: 10**8}))


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":' * 100_000, "[]", "\ufeff{", '{"model_type": "\\ud800"}']
)
def test_a_config_that_is_none(causal: Path, content: str) -> None:
    (causal / "config.json").write_text(content)
    with pytest.raises(et.ModelError, match=r"config\.json"):
        et.load(str(causal))


@pytest.mark.parametrize("value", ["x", "512", None, [], {}, True, -1, 0])
def test_the_longest_text_of_a_tokenizer(causal: Path, value: Any) -> None:
    path = causal / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": value}))
    try:
        lm = et.load(str(causal))
    except et.ModelError as error:
        assert "model_max_length" in str(error)  # noqa: PT017 - null is what no value is
    else:
        assert value is None and lm.vocabulary.encode("a " * 600)


@pytest.mark.parametrize("name", ["decoder_start_token_id", "eos_token_id", "pad_token_id"])
@pytest.mark.parametrize("value", [-1, 10**6, 2**70, True, "x", 1.5, [0, 1]])
def test_ids_of_an_encoder_decoder(answering: Path, name: str, value: Any) -> None:
    (answering / "generation_config.json").unlink(missing_ok=True)
    with pytest.raises(et.ModelError, match=r"\w"):
        et.load(edited(answering, **{name: value}))


def test_a_matcher_is_not_built_before_its_sizes_are_known(tmp_path: Path) -> None:
    Matcher("abc", 8, 8).save(tmp_path)
    about = json.loads((tmp_path / CONFIG).read_text())
    assert Matcher.load(tmp_path).sizes == {"width": 8, "hidden": 8, "layers": 2}
    for change in (
        {"layers": 10**8}, {"layers": 1}, {"layers": 0}, {"layers": -1}, {"layers": True},
        {"width": 10**6}, {"width": 0}, {"width": "8"}, {"hidden": 10**9}, {"hidden": -1},
        {"characters": "a" * 10**7}, {"characters": "ab"}, {"characters": ["a"]}, {"drop": 0.5},
    ):  # fmt: skip
        (tmp_path / CONFIG).write_text(json.dumps(about | change))
        with within(5.0, str(change)[:40]), pytest.raises(et.ModelError, match="damaged"):
            Matcher.load(tmp_path)
    (tmp_path / CONFIG).write_text("[" * 10**5)
    with pytest.raises(et.ModelError, match=r"matcher\.json .*nested"):
        Matcher.load(tmp_path)


def test_a_matcher_whose_file_agrees_is_no_larger_than_its_file(tmp_path: Path) -> None:
    """An embedding of some megabytes asks for layers of terabytes: they are not in the file."""
    Matcher("", 8, 8).save(tmp_path)
    weights = load_file(tmp_path / WEIGHTS) | {"embedding.weight": torch.zeros(3, 10**6).half()}
    save_file(weights, tmp_path / WEIGHTS)
    about = {"characters": "", "width": 10**6, "hidden": 8, "layers": 2}
    (tmp_path / CONFIG).write_text(json.dumps(about))
    with within(5.0, "width"), pytest.raises(et.ModelError, match="damaged"):
        Matcher.load(tmp_path)


def test_nan_in_a_matcher_is_refused_by_name(tmp_path: Path) -> None:
    Matcher("abc", 8, 8).save(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    weights["equality"][1] = torch.nan
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(et.ModelError, match=r"weight that is NaN \(equality\)"):
        Matcher.load(tmp_path)


def check_refused(module: ModuleType) -> None:
    """What is missing, unused or no number is refused; what is harmless is not."""
    refused = [{"missing_keys": ["a"]}, {"unexpected_keys": {"a.bias"}}]
    for info in refused:
        with pytest.raises(et.ModelError):
            module.check_whole(info, "m")
    module.check_whole(
        {"unexpected_keys": {"pooler.dense.weight", "cls.seq_relationship.bias"}}, "m"
    )
    module.check_whole({"unexpected_keys": {"cls.predictions.bias"}}, "m", body=True)
    with pytest.raises(et.ModelError):
        module.check_whole({"unexpected_keys": {"cls.predictions.bias"}}, "m")
    module.check_numbers([("w", torch.ones(3))], "m")
    for number in (torch.nan, torch.inf, -torch.inf):
        with pytest.raises(et.ModelError):
            module.check_numbers([("w", torch.tensor([1.0, number, 2.0]))], "m")


def test_our_checks_pass() -> None:
    check_refused(checks)


@pytest.mark.parametrize(
    "fault",
    [
        ("    if unused:\n", "    if False:\n"),
        ("not (math.isfinite(low) and math.isfinite(high))", "math.isnan(low)"),
        ("not (math.isfinite(low) and math.isfinite(high))", "not math.isfinite(low)"),
        ("not (body and _HEADS.search(key))", "not _HEADS.search(key)"),
        ('list(info.get("missing_keys", ()))', "[]"),
    ],
)
def test_fault_is_caught(fault: tuple[str, str]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_refused(load_with_fault("lm.checks", fault))
