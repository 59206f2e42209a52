"""Copies of models that multiply in lower precision."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding import reduced
from ergotext.lm.decoding.projection import Projection
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.energies.terms import fluency
from ergotext.lm.protocols import Reducible
from tests.faulty import load_with_fault

SLACK = {"bfloat16": 0.2, "int8": 0.6}
"""Nats, of small random models"""


def check_products(module: Any) -> None:
    """Near the plain product, of rows of very different sizes, and each row as it is alone."""
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(40, 24, generator=draw), torch.randn(40, generator=draw)
    weight *= torch.logspace(-3, 3, 40)[:, None]
    x = torch.randn(2, 3, 24, generator=draw) * torch.tensor([1e-4, 1.0, 1e4])[:, None]
    x[0, 0] = 0.0
    wanted = x @ weight.T
    for kind in (module.Int8Product, module.Bfloat16Product):
        for b in (None, bias):
            found = kind(weight, b)(x)
            exact = wanted if b is None else wanted + b
            assert found.shape == exact.shape and found.dtype == torch.float32
            assert bool(found.isfinite().all()), "a row of zeros has a scale"
            near = (weight.norm(dim=1) * x.norm(dim=-1, keepdim=True)) * 0.02 + 1e-6
            assert bool(((found - exact).abs() <= near).all())
        product = kind(weight, bias)
        torch.testing.assert_close(product(x[1:, 2:]), product(x)[1:, 2:], rtol=1e-6, atol=0)


def check_projection(module: Any) -> None:
    """The parts of an output layer fit together, with a bias, a cap and a scale."""
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(5000, 16, generator=draw), torch.randn(5000, generator=draw)
    hidden, targets = torch.randn(6, 16, generator=draw), torch.tensor([0, 4999, 4096, 7, 9, 4095])
    plain = Projection(weight, bias, 3.0, 0.5)
    for kind, slack in ((module.Int8Projection, 1e-5), (module.Bfloat16Projection, 0.03)):
        ours = kind(plain)
        logits = ours.logits(hidden)
        assert (logits - plain.logits(hidden)).abs().max() < 0.1
        torch.testing.assert_close(ours.log_z(hidden), logits.logsumexp(-1), atol=slack, rtol=0)
        wanted, found = logits[torch.arange(6), targets], ours.target_logits(hidden, targets)
        torch.testing.assert_close(found, wanted, atol=slack, rtol=0)


def test_products() -> None:
    check_products(reduced)
    check_projection(reduced)


FAULTS = {
    "one scale for all rows": ("x.abs().amax(1, keepdim=True)", "x.abs().amax().expand(len(x), 1)"),
    "numbers beyond the range": ("div_(LARGEST)", "div_(2 * LARGEST)"),
    "the bias is forgotten": ("            found = found + self.bias\n", "            pass\n"),
    "scales of other columns": ("self.row_scale[block]", "self.row_scale[: found.shape[1]]"),
    "scales of other targets": ("* self.row_scale[targets]", "* self.row_scale[: len(targets)]"),
    "no bias in bfloat16": ("Product(of.weight, of.bias)", "Product(of.weight, None)"),
    "no cap in bfloat16": ("self._finish(self._whole(hidden.float()))", "self._whole(hidden)"),
    "no bias for targets": ("logits = logits + self.bias[targets].float()", "pass"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(fault: str) -> None:
    module = load_with_fault("lm.decoding.reduced", FAULTS[fault])
    with pytest.raises((AssertionError, RuntimeError)):
        check_both(module)


def check_both(module: Any) -> None:
    check_products(module)
    check_projection(module)


@pytest.mark.parametrize("name", ["bfloat16", "int8"])
def test_the_copy_is_near_and_shares_what_it_can(small_lm: CausalLM, name: str) -> None:
    lm = small_lm.given("The summer sun")
    copy = lm.in_precision(name)
    assert isinstance(lm, Reducible) and copy.precision == name and lm.precision == "float32"
    assert lm.in_precision(name) is copy and copy.in_precision(name) is copy
    assert lm.given("A dog").in_precision(name).model is copy.model, "made once for a model"
    shared = {id(one) for one in lm.model.parameters()}
    assert all(id(one) in shared for one in copy.model.parameters())
    rows = TokenBatch.of([(10, 20, 30), (40, 50), ()])
    law, other = (one.next_log_prob(rows, rows.length) for one in (lm, copy))
    assert other.dtype == torch.float64
    torch.testing.assert_close(other.logsumexp(1).exp(), torch.ones(3).double())
    apart = (law - other).abs().max()
    assert 0 < apart < SLACK[name]
    scores = copy.token_log_prob(rows)
    torch.testing.assert_close(scores[:, 0][:2], other_first(copy)[[10, 40]], atol=0.02, rtol=0)


def other_first(lm: CausalLM) -> torch.Tensor:
    return lm.next_log_prob(TokenBatch.of([()]), torch.tensor([0]))[0]


def test_layers_that_are_no_linear_ones_are_copied_too(tokenizer: Any) -> None:
    config = GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).eval()
    ids = torch.tensor([[3, 5, 7, 9]])
    head = model.get_output_embeddings().weight.detach()
    for name in ("bfloat16", "int8"):
        other, _ = reduced.reduced(model, Projection(head), name)
        kinds = {type(one).__name__ for one in other.modules()}
        assert not kinds & {"Conv1D", "Linear"}
        with torch.inference_mode():
            assert (other(ids).logits - model(ids).logits).abs().max() < 0.1


@pytest.mark.parametrize("name", ["bfloat16", "int8"])
def test_a_copy_leads_back_to_the_model(small_lm: CausalLM, name: str) -> None:
    """Neither a context nor another precision is made from what was rounded before."""
    copy = small_lm.in_precision(name)
    assert copy.in_precision("float32") is small_lm and copy.in_precision(name) is copy
    other = "int8" if name == "bfloat16" else "bfloat16"
    assert copy.in_precision(other) is small_lm.in_precision(other)
    given, batch = copy.given("a b"), TokenBatch.of([[5, 6], [7]])
    assert given.precision == name and given.context == small_lm.given("a b").context != ()
    own = small_lm.given("a b").in_precision(name).log_prob(batch)
    assert torch.equal(given.log_prob(batch), own)


def test_what_was_read_goes_with_the_model_and_its_copy(small_lm: CausalLM) -> None:
    """At once, without a search for circles: it is most of what a run keeps in memory."""
    gc.disable()
    try:
        lm = small_lm.given("a b")
        copy = lm.in_precision("bfloat16")
        kept = [weakref.ref(one._reader) for one in (lm, copy)]
        assert None not in [one() for one in kept]
        del lm, copy
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


def test_forgetting_reaches_the_copies(small_lm: CausalLM) -> None:
    scorer = fluency(small_lm, "The", end=[30]).scorer
    assert isinstance(scorer, EndingScorer)
    copy = scorer.in_precision("bfloat16")
    assert copy.rule is scorer.rule and copy.precision == "bfloat16"
    assert scorer.in_precision("float32") is scorer and scorer.in_precision("bfloat16") is copy
    batch = TokenBatch.of([(10, 20)])
    copy.log_prob(batch)
    inner: Any = copy.lm
    assert inner._reader.memo.score((10, 20)) is not None
    scorer.forget()
    assert inner._reader.memo.score((10, 20)) is None and not copy._log_ends


@pytest.mark.parametrize(
    ("has", "multiplies", "taken"),
    [
        (["_is_avx512_bf16_supported", "_is_vnni_supported"], True, "bfloat16"),
        (["_is_amx_tile_supported"], False, "bfloat16"),
        (["_is_vnni_supported"], True, "int8"),
        (["_is_vnni_supported"], False, "float32"),
        ([], True, "float32"),
    ],
)
def test_the_machine_is_asked(
    has: list[str], multiplies: bool, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduced, "_has", lambda name: name in has)
    monkeypatch.setattr(reduced, "_multiplies", lambda device: multiplies)
    assert reduced.precision_of("auto", torch.device("cpu")) == taken
    assert reduced.precision_of("auto", torch.device("cuda")) == "float32"
    if not multiplies:
        with pytest.raises(InputError, match="cannot multiply int8"):
            reduced.precision_of("int8", torch.device("cpu"))
    with pytest.raises(InputError, match="no precision 'half'; choose one of auto, float32"):
        reduced.precision_of("half", torch.device("cpu"))


def test_a_machine_that_does_not_multiply_int8_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert reduced._multiplies(torch.device("cpu"))
    real = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: real(a, b).clamp(max=1 << 15))
    assert not reduced._multiplies(torch.device("cpu"))
