"""A model from scratch copies from its input, which one of random weights does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import T5ForConditionalGeneration

from ergotext.errors import InputError
from ergotext.tasks.training.seq2seq import new_model
from ergotext.tasks.training.seq2seq.new_model import fresh_model
from ergotext.tasks.training.seq2seq.tokenizer import spelling_tokenizer
from ergotext.tasks.training.settings import Shape

TOKENIZER = spelling_tokenizer(map(chr, range(0x4E00, 0x5200)), least=1)


def copied(model: T5ForConditionalGeneration) -> float:
    """Share of places where the likeliest token is the next one of the input."""
    chance = torch.Generator().manual_seed(1)
    ids = torch.stack([torch.randperm(1000, generator=chance)[:18] + 300 for _ in range(32)])
    written = torch.cat([torch.zeros(32, 1, dtype=torch.int64), ids[:, 2:12]], 1)
    with torch.inference_mode():
        found: Tensor = model.eval()(input_ids=ids, decoder_input_ids=written).logits.argmax(-1)
    return float((found[:, 1:] == ids[:, 3:13]).float().mean())


def test_it_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert copied(fresh_model(TOKENIZER, Shape(), 0)) > 0.8
    monkeypatch.setattr(new_model, "teach_copying", lambda _: None)
    assert copied(fresh_model(TOKENIZER, Shape(), 0)) < 0.1


def test_the_seed_tells_the_weights_and_no_other_chance_is_touched() -> None:
    before = torch.get_rng_state()
    one, same, other = (fresh_model(TOKENIZER, Shape(64, 64, 1, 2), s) for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name])
    assert not torch.equal(one.shared.weight, other.shared.weight)


def test_it_is_small_enough_to_ship() -> None:
    parameters = sum(p.numel() for p in fresh_model(TOKENIZER, Shape(), 0).parameters())
    assert parameters <= 9_000_000


def test_shapes_that_cannot_be_are_refused() -> None:
    for shape in ({"d_model": 100, "num_heads": 3}, {"num_layers": 0}, {"dropout_rate": 1.0}):
        with pytest.raises(InputError, match="must be"):
            Shape(**shape)
