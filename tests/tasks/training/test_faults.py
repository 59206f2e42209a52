"""Faults of training, put into our code one at a time: each must be caught."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType

import pytest
import torch
from torch import nn

from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.trie.file import load
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training import examples, schedule
from ergotext.tasks.training.examples import Example, Shares
from ergotext.tasks.training.seq2seq import choices, objectives, scoring
from ergotext.tasks.training.seq2seq.scoring import Coder
from ergotext.tasks.training.sources import Base, KnownQuestion, Name
from tests.faulty import load_with_fault
from tests.tasks.little_base import LittleBase
from tests.tiny_t5 import t5_of, tokenizer_of

TOKENIZER = tokenizer_of(["苹果产地颜色是什么"])
ROW, WORTH = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 0.0, 0.5, 0.25]).double()


def check_score(module: ModuleType, _: LittleBase) -> None:
    """Of two questions, the keys of one drawn by chance: value and gradient."""
    weight = torch.tensor([0.2, -0.4, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    found = module.expected_score(weight, WORTH, ROW, 2)
    share = [weight[:2].softmax(0), weight[2:].softmax(0)]
    true = torch.stack([share[0] @ WORTH[:2], share[1] @ WORTH[2:]])
    assert torch.allclose(found, true, atol=1e-12)
    (one,) = torch.autograd.grad(found.sum(), weight, retain_graph=True)
    (other,) = torch.autograd.grad(true.sum(), weight)
    assert torch.allclose(one, other, atol=1e-12)


def check_chances(module: ModuleType, _: LittleBase) -> None:
    """Keys that had to be lucky count for those that were not."""
    model = t5_of(TOKENIZER)
    batch = Coder(TOKENIZER).batch(["苹果是什么颜色"], ["苹果\t颜色", "苹果\t产地"])
    known = {"row": torch.zeros(2, dtype=int), "true": torch.tensor([0])}
    worth = {"worth": torch.tensor([1.0, 0.0]), "log_chance": torch.tensor([0.0, -2.0])}
    with torch.no_grad():
        log_prob = objectives.log_prob_of(model, {**batch, **known})
        found = module.shortfall(model, {**batch, **known, **worth})
    true = (log_prob + torch.tensor([0.0, 2.0])).softmax(0)[1]
    assert float(found) == pytest.approx(float(true), rel=1e-4)


def check_steps(module: ModuleType, _: LittleBase) -> None:
    """A straight line is measured exactly, wherever the parameters stand, and they stay there."""
    slope = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    theta = nn.Parameter(torch.full((3,), 5.0, dtype=torch.float64))
    module.zeroth_order_gradient([theta], lambda: slope @ theta, 7, 0.1)
    noise = torch.randn(3, generator=torch.Generator().manual_seed(7)).double()
    assert theta.grad is not None
    assert torch.allclose(theta.grad, (slope @ noise) * noise, rtol=1e-9)
    assert torch.allclose(theta, torch.full((3,), 5.0, dtype=torch.float64), atol=1e-12)


def check_log_prob(module: ModuleType, _: LittleBase) -> None:
    """What training calls log p(key | question) is what a retriever calls so, batched or not."""
    lm = Seq2SeqLM(t5_of(TOKENIZER), TOKENIZER)
    questions, keys = ["苹果是什么颜色", "地"], ["苹果\t颜色", "果\t产", "产"]
    batch = module.Coder(TOKENIZER).batch(questions, keys)
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    row = torch.tensor([0, 1, 1])
    with torch.no_grad():
        states = module.encoded(lm.model, given)
        found = module.key_log_prob(lm.model, given, states, row, batch["labels"])
    decoding = lm.read([lm.encode(question) for question in questions])
    ids = [[*lm.keys.encode(key), lm.end] for key in keys]
    flat = torch.tensor([token for one in ids for token in one])
    offsets = torch.tensor([0, *torch.tensor([len(one) for one in ids]).cumsum(0).tolist()])
    each = decoding.rest_log_prob(row, flat, offsets)
    true = [float(each[a:b].sum()) for a, b in pairwise(offsets.tolist())]
    assert found.tolist() == pytest.approx(true, abs=1e-3)


def check_examples(module: ModuleType, _: LittleBase) -> None:
    """The key of a made-up question answers it; another block is another one."""
    base = Base([Name("长江"), Name("李白", "诗人")], ["总长", "作者"])
    asked = KnownQuestion.of("请问苹果的创始人是谁？", Triple("苹果（公司）", "创始人", "乔布斯"))
    only = Shares(0, 1, 1, 0, 1)
    stream = module.Stream([asked], base, [], only, 0)
    for one in stream.block(0, 300):
        mention, predicate, *meaning = one.key.split("\t")
        assert mention in one.question and not meaning  # no one could guess it
        assert "创始人" not in one.question or predicate == "创始人"
        assert set(predicate) & set(one.question.replace(mention, ""))
    assert stream.block(0, 300) != stream.block(1, 300)


def check_choices(module: ModuleType, little: LittleBase) -> None:
    """The true key is certain; of too many rivals each stands for those that were left out."""
    spotter = Spotter(load(little.index), triples=True)
    tokenizer = tokenizer_of([little.lines.read_text(encoding="utf-8")])
    make = module.Choices(Coder(tokenizer), spotter, 3, 0)
    example = Example("苹果产自哪里？", "苹果\t新的")
    total = len(choices.rivals_in(spotter, [example.question])[0])
    batch = make([example], 0)
    chance = batch["log_chance"].exp().tolist()
    assert len(chance) == 3 and chance == pytest.approx([2 / total, 2 / total, 1.0])
    for number in range(20):
        again = make([Example(example.question, "苹果\t产地\t水果")], number)
        keys = [tuple(row) for row in again["labels"].tolist()]
        assert len(set(keys)) == len(keys) and again["log_chance"][again["true"]].tolist() == [0]


def check_pace(module: ModuleType, _: LittleBase) -> None:
    """The rate is highest between warm-up and cool-down, and nothing is left at the end."""
    one = module.Pace(10, warm_up=0.2, cool_down=0.4, seconds=5.0)
    assert one.factor(0.1) == 0.5 and one.factor(0.4) == 1.0 and one.factor(1.0) == 0.0
    assert one.factor(0.8) == pytest.approx(0.5)
    assert one.share(2, 4.0) == 0.8 and one.share(8, 1.0) == 0.8 and one.share(99, 99.0) == 1.0


Check = Callable[[ModuleType, LittleBase], None]
FAULTS: dict[str, tuple[Check, ModuleType, tuple[str, str]]] = {
    "10: draws count as if they were all there is": (
        check_chances, objectives, (' - batch["log_chance"]', ""),
    ),
    "shares among all questions of a batch": (
        check_score, objectives, ("- total.log()[row]", "- total.sum().log()"),
    ),
    "only one side is looked at": (
        check_steps, objectives, ("moved(-2 * radius)", "moved(-radius)"),
    ),
    "another noise for the gradient than for the step": (
        check_steps, objectives,
        ("slope = float(above - below)", "seed, slope = seed + 1, float(above - below)"),
    ),
    "23: the end of a key is not scored": (
        check_log_prob, scoring, ("torch.cat([row[: self.longest - 1], end])", "row"),
    ),
    "19: keys are scored for another question": (
        check_log_prob, scoring,
        ("last_hidden_state=states[row]", "last_hidden_state=states[row * 0]"),
    ),
    "17: padding of questions is read": (
        check_log_prob, scoring, ('questions["attention_mask"][row]', "None"),
    ),
    "the key keeps the predicate that was swapped out": (
        check_examples, examples,
        ("return Example(one.renamed(name, predicate), name.key(predicate))",
         "return Example(one.renamed(name, predicate), name.key(one.predicate))"),
    ),
    "every block is the same": (
        check_examples, examples, ("[self.seed, number]", "[self.seed, 0]"),
    ),
    "the true key is there twice": (
        check_choices, choices, ("missing = at == len(found)", "missing = True"),
    ),
    "12: rivals that were left out are forgotten": (
        check_choices, choices, ("math.log(kept / len(each))", "0.0"),
    ),
    "the clock counts for nothing": (
        check_pace, schedule, ("max(done, timed)", "done"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "check",
    [check_score, check_chances, check_steps, check_log_prob, check_examples, check_choices,
     check_pace],
)  # fmt: skip
def test_our_code_passes(check: Check, little: LittleBase) -> None:
    module = next(module for one, module, _ in FAULTS.values() if one is check)
    check(module, little)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, little: LittleBase) -> None:
    check, module, change = FAULTS[fault]
    faulty = load_with_fault(module.__name__.removeprefix("ergotext."), change)
    with pytest.raises((AssertionError, RuntimeError)):
        check(faulty, little)
