"""The section of a run: its numbers are the result's, and its way is what happened."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

import ergotext as et
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.samplers import Result, WeightedResult, sample
from ergotext.samplers.result import Result as AnyResult
from ergotext.tasks.report import growth, remarks, runs, steps
from ergotext.testing.toy import ToyFluency, ToyScorer, flat_energy
from tests.faulty import load_with_fault
from tests.html import Element, check_alone, parsed

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
FEW: dict[str, Any] = {"max_length": 8, "seed": 3, "progress": False, "record": True}


@pytest.fixture(scope="module")
def chains(placed_lm: CausalLM) -> Result:
    energy = et.fluency(placed_lm) + et.length(5)
    result = sample(energy, "mh", chains=3, steps=60, **FEW)
    assert isinstance(result, Result)
    return result


@pytest.fixture(scope="module")
def particles(placed_lm: CausalLM) -> WeightedResult:
    energy = et.fluency(placed_lm) + et.length(5)
    result = sample(energy, "smc", n=32, threshold=1.0, **FEW)
    assert isinstance(result, WeightedResult)
    return result


def section(result: Any, texts: Any, **more: Any) -> Element:
    html = runs.section("<b>&", result, texts, **more)
    page = parsed(html)
    check_alone(page, html)
    assert page.all("h2")[0].text == "<b>&"
    return page


def test_chains(chains: Result) -> None:
    page = section(chains, chains.draws(30))
    found = page.all("ol", "found")[0]
    items = [one for one in found.children if isinstance(one, Element)]
    best = chains.best(runs.WAYS)
    assert [one.all("p", "text")[0].text for one in items] == [
        " ".join(one.text.split()) for one in best
    ]
    for item, one in zip(items, best, strict=True):
        note = item.all("p", "soft")[0].text
        assert f"log p {one.log_prob:.1f}, energy {one.energy:.1f}" in note
        assert f"chain {one.chain}, step {one.step}" in note
        assert all(f"{name} {value:.1f}" in note for name, value in one.terms.items() if value)
    rows = [[cell.text for cell in row.all("td")] for row in page.all("tr")[1:]]
    proposed, accepted = chains.trace.proposed, chains.trace.accepted
    assert {row[0]: (int(row[1]), int(row[2])) for row in rows} == {
        name: (count, accepted[name]) for name, count in proposed.items()
    }
    assert len(page.all("svg")) == 2 and "The first 20 of the 30 texts" in page.text
    assert f"seed {chains.seed}" in page.text
    assert page.text == section(chains, chains.draws(30)).text


def check_way(module: Any, result: Result) -> None:
    """Laid end to end, the changes lead from the start to the text, step by step."""
    texts = [
        [text.strip() for text in result.problem.scorer.decode(batch)]
        for batch in result.trace.states
    ]
    for one in result.best(4):
        assert one.chain is not None and one.step is not None
        way = module.way(result, one.chain, one.step)
        rows = [batch.rows()[one.chain] for batch in result.trace.states[: one.step + 1]]
        changed = [k for k in range(1, len(rows)) if rows[k] != rows[k - 1]]
        assert way.count == len(changed) and way.start == texts[0][one.chain]
        assert [c.step for c in way.changes] == changed[-steps.SHOWN :]
        assert way.passed + len(changed) <= one.step
        assert sum(c.passed for c in module.way(result, one.chain, one.step).changes) <= way.passed
        for c in [*way.changes, *way.refused]:
            old, new = ("".join(t for k, t in c.parts if k != drop) for drop in ("new", "gone"))
            assert old == texts[c.step - 1][one.chain]
            assert c.before == float(result.energy[c.step - 1, one.chain])
            if c in way.changes:
                assert new == texts[c.step][one.chain]
                assert c.after == float(result.energy[c.step, one.chain])
            info = result.trace.infos[c.step]
            assert c.move == result.trace.moves[int(info.move[one.chain])] != "stay"
            assert bool(info.accepted[one.chain]) == (c in way.changes)
            proposed = result.problem.scorer.decode(info.proposal.select([one.chain]))[0]
            assert new == proposed.strip()
            assert c.after == pytest.approx(float(info.proposal_energy[one.chain]))
            ratio = float(info.log_ratio[one.chain])
            assert c.chance == pytest.approx(math.exp(min(0.0, ratio)))


def test_the_way_of_a_chain(chains: Result) -> None:
    check_way(steps, chains)
    assert any(steps.way(chains, chain, chains.steps).refused for chain in range(3))


WAY_FAULTS = {
    "the state after a refusal is shown as the proposal": (
        "scorer.decode(info.proposal.select([chain]))[0].strip()",
        "scorer.decode(trace.states[step].select([chain]))[0].strip()",
    ),
    "another chain's move": (
        "        trace.moves[int(info.move[chain])],\n        float",
        "        trace.moves[int(info.move[0]) - 1],\n        float",
    ),
    "a ratio above 1": ("math.exp(min(0.0, ", "math.exp(min(9.0, "),
    "refusals pass for changes": ("if after != before:", "if True:"),
    "what is gone is called new": ('yield "gone"', 'yield "new"'),
    "the energy before is that after": (
        "at in (step - 1, step))\n    chance", "at in (step, step))\n    chance"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WAY_FAULTS)
def test_a_wrong_way_is_seen(fault: str, chains: Result) -> None:
    with pytest.raises(AssertionError):
        check_way(load_with_fault("tasks.report.steps", WAY_FAULTS[fault]), chains)


def test_a_way_without_a_record_has_its_changes(chains: Result) -> None:
    bare = replace(chains, trace=replace(chains.trace, infos=None, moves=()))
    one = chains.best()[0]
    assert one.chain is not None and one.step is not None
    known, way = (steps.way(each, one.chain, one.step) for each in (chains, bare))
    assert [c.parts for c in way.changes] == [c.parts for c in known.changes]
    assert not way.refused and {c.move for c in way.changes} == {steps.UNKNOWN}
    section(bare, bare.draws(3))


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("a b c", "a c", [("same", "a "), ("gone", "b "), ("same", "c")]),
        ("", "a", [("new", "a")]),
        ("我在家", "我在海", [("same", "我在"), ("gone", "家"), ("new", "海")]),
        ("same", "same", [("same", "same")]),
        ("", "", []),
    ],
)
def test_texts_side_by_side(before: str, after: str, parts: list[tuple[str, str]]) -> None:
    assert steps.compared(before, after) == parts


def check_growth(module: Any, result: WeightedResult) -> None:
    for grown in result.growth:
        told = module.counts(grown)
        dead = [w == -torch.inf for w in grown.log_weight.tolist()]
        assert told.dead == sum(dead) and told.open == int(grown.open.sum())
        assert told.open + told.ended + told.dead == 32
        assert 1 - 1e-9 <= told.worth <= 32 - told.dead + 1e-9
        assert told.resampled == (grown.parent.tolist() != [*range(32)])
        alive = {row for row, gone in zip(grown.batch.rows(), dead, strict=True) if not gone}
        assert told.beginnings == len(alive)
    assert module.counts(result.growth[-1]).worth == pytest.approx(result.ess)
    left = module.ancestors_left(result.growth)
    assert left == sorted(left, reverse=True) and left[-1] == len(result.samples.root.unique())
    for one in filter(lambda one: one.tokens, result.best(4)):
        held = module.sharing(result.growth, one.tokens)
        assert len(held) == len(one.tokens) and min(held) >= 1
        last = len(one.tokens) - 1
        rows = result.growth[last].batch.rows()
        weights = result.growth[last].log_weight.tolist()
        assert held[-1] == sum(
            row[: last + 1] == one.tokens and w > -math.inf
            for row, w in zip(rows, weights, strict=True)
        )


def test_the_way_of_particles(particles: WeightedResult) -> None:
    check_growth(growth, particles)
    page = section(particles, particles.all())
    details = [d for d in page.all("details") if d.all("summary")[0].text.startswith("Token")]
    rows = [[c.text for c in row.all("td")] for row in details[0].all("tr", "above")]
    assert [row[:4] for row in rows] == [
        [str(k), str(c.open), str(c.ended), str(c.dead)]
        for k, c in enumerate(map(growth.counts, particles.growth), 1)
    ]
    best = particles.best(runs.WAYS)
    for item, one in zip(page.all("p", "pieces"), best, strict=True):
        numbers = [int(small.text) for small in item.all("small")]
        held = growth.sharing(particles.growth, one.tokens)
        assert 0 < len(numbers) <= len(held) and numbers[-1] == held[-1]
        pieces = item.all("span", "piece")[: len(numbers)]
        shown = "".join(re.sub(r"\d+$", "", piece.text).replace("␣", "") for piece in pieces)
        assert shown.split() == "".join(one.text.split()).split()
    shares = re.findall(r"([\d.]+)% of the weight", page.text)
    of = runs._weights(particles)
    assert shares == [f"{100 * of[one.tokens]:.1f}" for one in best]
    assert sum(of.values()) == pytest.approx(1.0)


def check_all_growth(module: Any, *results: WeightedResult) -> None:
    for result in results:
        check_growth(module, result)


GROWTH_FAULTS = {
    "the dead count as ended": ("(alive & ~grown.open)", "(~grown.open)"),
    "parents are not composed": ("root[grown.parent]", "grown.parent"),
    "a text is compared as a whole": ("row[:written] == start", "row == tuple(tokens)"),
    "the dead have descendants": ("root[grown.log_weight > -torch.inf]", "root"),
    "weights are not normalised": (".softmax(0)", ".exp()"),
    "copies count apart": ("len(set(rows))", "len(rows)"),
}


@pytest.fixture(scope="module")
def dying() -> WeightedResult:
    """Particles of which many end in a text that is forbidden."""

    def never(batch: TokenBatch) -> torch.Tensor:
        held = torch.tensor([1 in row for row in batch.rows()], dtype=torch.bool)
        return torch.where(held, torch.inf, 0.0).double()

    energy = ToyFluency(ToyScorer()) + et.custom(never, of="tokens")
    result = sample(energy, "smc", n=32, threshold=0.7, **(FEW | {"max_length": 5}))
    assert isinstance(result, WeightedResult)
    return result


@pytest.mark.parametrize("fault", GROWTH_FAULTS)
def test_wrong_counts_are_seen(
    fault: str, particles: WeightedResult, dying: WeightedResult
) -> None:
    check_growth(growth, dying)
    module = load_with_fault("tasks.report.growth", GROWTH_FAULTS[fault])
    with pytest.raises(AssertionError):
        check_all_growth(module, particles, dying)


def test_pieces_add_up_to_log_p(chains: Result, particles: WeightedResult) -> None:
    for result in (chains, particles):
        for one in result.best(5):
            pieces, end = runs._pieces(one, result.problem.scorer, ())
            nats = sum(piece.log_prob for piece in pieces) + (end.log_prob if end else 0.0)
            assert nats == pytest.approx(one.log_prob)
            assert "".join(piece.text for piece in pieces).strip() == one.text


def said(result: Any, searched: bool = False) -> list[tuple[str, str]]:
    return [(one.kind, one.text) for one in remarks.remarks(result, searched)]


def test_every_warning_is_said_and_nothing_else_warns(
    chains: Result, particles: WeightedResult
) -> None:
    annealed = sample(flat_energy(), "annealing", chains=2, steps=20, **FEW)
    listed = sample(flat_energy(), "stochastic-beam", n=64, **FEW)
    for result in (chains, particles, annealed, listed):
        warned = [text[:-1].casefold() for kind, text in said(result) if kind == "warn"]
        assert warned == [one.casefold() for one in result.warnings]
    assert not any("R-hat of" in text for _, text in said(annealed))
    assert "of a search" in said(chains, searched=True)[0][1]


def test_good_chains_are_praised_with_their_numbers() -> None:
    result = sample(flat_energy(), "mh", chains=4, steps=4000, max_length=3, progress=False)
    assert isinstance(result, AnyResult)
    told = result.diagnose()
    praise = [text for kind, text in said(result) if kind == "good"]
    assert not result.warnings and len(praise) == 2
    assert f"{told.r_hat:.3f}" in praise[0] and f"worth {told.ess_bulk:.0f}" in praise[1]
    assert f"{told.mean:.2f} ± {told.mcse:.2g}" in praise[1]


def test_copies_are_no_diagnosis(particles: WeightedResult) -> None:
    """Known fault 31: k-hat or an effective sample size after a resampling."""
    assert particles.samples.resampled
    text = " ".join(text for _, text in said(particles))
    assert f"{particles.samples.ancestors:.1f} effective ancestors" in text
    assert "k-hat is" not in text and "of equal weight" not in text
    alone = sample(flat_energy(), "importance", n=500, max_length=3, progress=False)
    text = " ".join(text for _, text in said(alone))
    assert f"worth {alone.ess:.1f} of equal weight" in text
    assert ("k-hat is" in text) != ("no heavy tail" in text)
