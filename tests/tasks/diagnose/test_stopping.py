from __future__ import annotations

import json
from types import ModuleType

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.loading import load
from ergotext.samplers.draws import SeededDraws
from ergotext.tasks.diagnose import stopping as module
from ergotext.tasks.diagnose import survival
from ergotext.tasks.diagnose.beams import beam_ends
from ergotext.tasks.diagnose.laws import Law, nucleus, top_k, whole
from ergotext.tasks.diagnose.prompts import neutral_prompts
from ergotext.tasks.diagnose.stopping import share, stopping
from ergotext.testing.exhaust import every_run
from ergotext.testing.toy import ToyScorer
from tests.faulty import load_with_fault
from tests.tasks.diagnose.worlds import by_listing, by_steps, letters, markov, mean, toy, unended

LAWS: dict[str, Law] = {
    "whole": whole,
    "top-k 1": top_k(1),
    "top-k 2": top_k(2),
    "nucleus": nucleus(0.7),
}


def expected(room: ModuleType, decoding: object, law: Law, length: int) -> list[float]:
    """E[estimate] of one text, over every way that the draws can fall."""
    total, probability = torch.zeros(length, dtype=torch.float64), 0.0
    for p, found in every_run(lambda draws: room.survive(draws, decoding, law, length)):
        total, probability = total + p * found.unended[0], probability + p
    assert probability == pytest.approx(1, abs=1e-12)
    return [float(v) for v in total]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("prompt", [(), (3,), (2, 1)])
def test_unended_mass_is_unbiased_on_every_path(law: Law, prompt: tuple[int, ...]) -> None:
    exact = by_steps(ToyScorer(), law, 4, prompt)
    assert exact == pytest.approx(by_listing(toy(1, prompt), law, 4), abs=1e-12)
    assert expected(survival, toy(1, prompt), law, 4) == pytest.approx(exact, abs=1e-12)


def test_unended_mass_of_a_network() -> None:
    exact = by_listing(letters(1), whole, 3)
    assert expected(survival, letters(1), whole, 3) == pytest.approx(exact, abs=1e-12)
    assert exact[0] > exact[1] > exact[2] > 0


FAULTS = [
    # The row goes on by the law that may end it: some of its mass is counted twice.
    ("log_weight[alive] += log_stay", "log_weight[alive] += log_stay * (step > 0)"),
    ("law(next_log_prob(decoding))", "next_log_prob(decoding)"),
    ("found.unended[:, step] = log_weight", "found.unended[:, step - 1] = log_weight"),
    ("draws.categorical(log_prob[going].softmax(-1))", "log_prob[going].argmax(-1)"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_the_estimate_are_noticed(fault: tuple[str, str]) -> None:
    faulty = load_with_fault("tasks.diagnose.survival", fault)
    law = nucleus(0.7)
    try:
        wrong = [expected(faulty, toy(1, (2, 1)), one, 4) for one in (whole, law)]
    except (IndexError, RuntimeError):
        return
    exact = [by_steps(ToyScorer(), one, 4, (2, 1)) for one in (whole, law)]
    assert any(a != pytest.approx(b, abs=1e-9) for a, b in zip(wrong, exact, strict=True))


def test_the_estimate_varies_less_than_counting() -> None:
    exact = by_listing(letters(1), whole, 4)[-1]
    found = survival.survive(SeededDraws(0), letters(4000), whole, 4).unended[:, -1]
    assert float(found.var()) < exact * (1 - exact)
    assert float(found.mean()) == pytest.approx(exact, abs=5 * float(found.std()) / 4000**0.5)


@pytest.mark.parametrize("law", [whole, top_k(3)], ids=["whole", "top-k 3"])
def test_standard_errors_and_ranges_cover(law: Law) -> None:
    """Over 200 seeds: two standard errors of many texts hold the exact mass, ranges of few do."""
    starts, length, few = [1, 2, 3], 4, 12
    listed = [unended(markov(1, start, end=1.0), law, length) for start in starts]
    exact = torch.tensor(listed, dtype=torch.float64).mean(0)
    by_error, by_range, scores = torch.zeros(length), torch.zeros(length), []
    for seed in range(200):
        draws = SeededDraws(seed)
        found = [survival.survive(draws, markov(80, s, end=1.0), law, length) for s in starts]
        kept = torch.stack([one.unended for one in found])
        many = [share(kept[:, :, n]) for n in range(length)]
        z = [(s.value - float(e)) / (s.stderr or 1) for s, e in zip(many, exact, strict=True)]
        by_error += torch.tensor(z).abs() <= 2
        scores.append(z[-1])
        ranges = [share(kept[:, :few, n]) for n in range(length)]
        by_range += torch.tensor([s.low <= e <= s.high for s, e in zip(ranges, exact, strict=True)])
    assert bool((by_error >= 182).all()), by_error  # 191 ± 3 of a normal error
    assert 0.85 < float(torch.tensor(scores).std()) < 1.15
    assert bool((by_range >= 190).all()), by_range


def test_where_all_texts_agree_the_range_is_not_zero() -> None:
    agreed = share(torch.ones(10, 4, dtype=torch.float64))
    assert agreed.stderr == 0 and agreed.low == pytest.approx(1 - 3 / 40) and agreed.high == 1


def test_a_rare_end_is_covered_by_the_rule_of_three() -> None:
    held = 0
    for seed in range(200):
        fell = SeededDraws(seed).bernoulli(torch.full((40,), 0.02, dtype=torch.float64))
        one = share(1 - fell.double().view(10, 4))
        held += one.low <= 0.98 <= one.high
    assert held >= 190


def test_a_set_without_the_end_never_ends() -> None:
    scorer = ToyScorer()
    scorer.table[:, :, 0] = -9.0
    scorer.table = scorer.table.log_softmax(-1)
    decoding = toy(8)
    decoding = type(decoding)(scorer, 0, decoding.batch)
    kept = survival.survive(SeededDraws(0), decoding, top_k(3), 5)
    assert mean(kept.unended) == mean(kept.never) == [1.0] * 5
    own = survival.survive(SeededDraws(0), decoding, whole, 5)
    assert bool((own.unended[:, -1] < 1).all()) and not own.never.any()


def test_what_cannot_end_stays_whole_whatever_the_rounding() -> None:
    def without(log_prob: torch.Tensor) -> torch.Tensor:
        return log_prob.index_fill(-1, torch.tensor([0]), -torch.inf).log_softmax(-1)

    kept = survival.survive(SeededDraws(0), markov(40, size=60), without, 30)
    assert torch.equal(kept.unended, kept.never) and bool((kept.never == 1).all())


def test_a_nucleus_of_the_end_alone_ends_at_once() -> None:
    scorer = ToyScorer()
    scorer.table[:, :, 0] = 9.0
    scorer.table = scorer.table.log_softmax(-1)
    decoding = type(toy(1))(scorer, 0, toy(3).batch)
    found = survival.survive(SeededDraws(0), decoding, nucleus(0.9), 4)
    assert not found.unended.any() and not found.never.any()


def test_nucleus_keeps_the_fewest_tokens() -> None:
    p = torch.tensor([[0.1, 0.5, 0.1, 0.3], [0.97, 0.01, 0.01, 0.01]], dtype=torch.float64)
    kept = nucleus(0.75)(p.log()).exp()
    assert torch.allclose(kept[0], torch.tensor([0, 0.625, 0, 0.375], dtype=torch.float64))
    assert kept[1].tolist() == [1, 0, 0, 0]
    wide = torch.full((1, 5000), -5000.0, dtype=torch.float64).log_softmax(-1)
    assert int((nucleus(0.49995)(wide) > -torch.inf).sum()) == 2500


@pytest.mark.parametrize("seed", range(4))
def test_beams_against_greedy_and_listing(seed: int) -> None:
    """One beam is greedy; as many as there are texts find the likeliest of all."""
    greedy = survival.survive(SeededDraws(0), letters(1, seed=seed), top_k(1), 5).unended[0]
    ends = int(greedy.sum()) + 1
    assert beam_ends(letters(1, seed=seed), 1, 5) == [ends if ends <= 5 else None]
    (wide,) = beam_ends(letters(1, seed=seed), 4**4, 4)
    assert wide == _proof(seed)


def _proof(seed: int) -> int | None:
    """Tokens after which some ended text is at least as likely as every open one."""
    open_texts, best = [(0.0, letters(1, seed=seed))], -float("inf")
    for step in range(1, 5):
        best = max([best, *(log + float(d._law[0, 0]) for log, d in open_texts)])
        open_texts = [
            (log + float(d._law[0, t]), d.advance(torch.tensor([0]), torch.tensor([t])))
            for log, d in open_texts
            for t in (1, 2, 3)
        ]
        if best >= max(log for log, _ in open_texts):
            return step
    return None


@pytest.fixture(scope="module")
def tiny() -> CausalLM:
    return load("tiny-causal")


def test_report(tiny: CausalLM) -> None:
    report = stopping(tiny, ["The sun", ""], lengths=[8, 2, 8], samples=3, seed=1, k=5, beams=2)
    again = stopping(tiny, ["The sun", ""], lengths=[2, 8], samples=3, seed=1, k=5, beams=2)
    first, second = report.as_dict(), again.as_dict()
    assert first.pop("seconds") and second.pop("seconds") and first == second
    assert json.loads(json.dumps(first)) == first
    names = [decoder.name for decoder in report.decoders]
    assert names == ["the model", "top-k 5", "nucleus 0.9", "greedy", "beam 2"]
    for decoder in report.decoders:
        early, late = decoder.unended
        assert 0 <= late.value <= early.value <= 1
        for never, all_of_it in zip(decoder.never, decoder.unended, strict=False):
            assert never.value <= all_of_it.value
    assert report.decoders[3].unended[0].stderr is None
    text = report.text()
    assert "the model" in text and "2 prompts, 3 texts each" in text


def test_groups_of_prompts_change_no_estimate(
    tiny: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = ["The sun", "", "A dog"]
    whole_run = stopping(tiny, prompts, lengths=[4], samples=2)
    monkeypatch.setattr(module, "ROWS", 1)
    parts = stopping(tiny, prompts, lengths=[4], samples=2)
    assert whole_run.decoders[3:] == parts.decoders[3:]
    for one, other in zip(whole_run.decoders, parts.decoders, strict=True):
        assert one.unended[0].value == pytest.approx(other.unended[0].value, abs=0.2)


def test_neutral_prompts() -> None:
    prompts = neutral_prompts()
    assert len(set(prompts)) == 50 and all(p == p.strip() and len(p) < 60 for p in prompts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": [0]}, "lengths must be a list of integers of at least 1"),
        ({"lengths": []}, "lengths must be a list of integers of at least 1"),
        ({"lengths": 5}, "lengths must be a list of integers of at least 1"),
        ({"lengths": [2.5]}, "lengths must be a list of integers of at least 1"),
        ({"samples": None}, "samples must be an integer of at least 1"),
        ({"samples": 1}, "samples must be an integer of at least 2"),
        ({"p": 1.0}, "p must be between 0 and 1"),
        ({"k": 0}, "k must be an integer of at least 1"),
        ({"prompts": []}, "there are no prompts"),
        ({"prompts": "The sun"}, "prompts must be a list of texts"),
        ({"prompts": ["sun " * 400]}, "exceed the .* that the model's window leaves"),
        ({"lengths": [1 << 20]}, "exceed the .* that the model's window leaves"),
    ],
)
def test_bad_input(tiny: CausalLM, change: dict[str, object], message: str) -> None:
    given = {"prompts": ["The sun"], "lengths": [4], **change}
    with pytest.raises(InputError, match=message) as caught:
        stopping(tiny, **given)
    assert "\n" not in str(caught.value)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(InputError, match="MaskedLM does not write text from left to right"):
        stopping(load("tiny-masked"), lengths=[4])
