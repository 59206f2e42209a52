"""What a run records of its steps: no draw is touched, and it is what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ergotext.samplers import Result, WeightedResult, sample
from ergotext.testing.toy import ToyFluency, ToyScorer, flat_energy, toy_energy

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
RUNS: dict[str, dict[str, Any]] = {
    "mh": {"chains": 3, "steps": 40},
    "annealing": {"chains": 2, "steps": 30},
    "tempering": {"chains": 2, "steps": 30},
    "smc": {"n": 24},
    "importance": {"n": 24},
}


@pytest.mark.parametrize("name", RUNS)
def test_the_texts_are_the_same(name: str) -> None:
    both = [
        sample(
            toy_energy(["b"]), name, max_length=4, seed=5, progress=False, record=one, **RUNS[name]
        )
        for one in (False, True)
    ]
    assert [one.record() for one in both[0]] == [one.record() for one in both[1]]
    assert torch.equal(both[0].energy, both[1].energy)
    if isinstance(both[0], Result):
        assert isinstance(both[1], Result)
        assert both[0].trace.infos is None and len(both[1].trace.infos or ()) == both[1].steps
    else:
        assert isinstance(both[1], WeightedResult)
        assert not both[0].growth and bool(both[1].growth) == (name == "smc")


def test_proposals_are_those_before_the_decision() -> None:
    result = sample(flat_energy(), "mh", record=True, max_length=4, progress=False, **RUNS["mh"])
    assert isinstance(result, Result) and result.trace.infos is not None
    trace, counted = result.trace, 0
    for step, info in result.trace.infos.items():
        for chain, yes in enumerate(info.accepted.tolist()):
            before, after = (trace.states[at].rows()[chain] for at in (step - 1, step))
            assert after == (info.proposal.rows()[chain] if yes else before)
            counted += trace.moves[int(info.move[chain])] != "stay"
    assert counted == trace.proposed.total()


def test_particles_go_on_from_their_parents() -> None:
    result = sample(
        ToyFluency(ToyScorer()), "smc", n=24, max_length=4, seed=1, record=True,
        threshold=1.0, progress=False,
    )  # fmt: skip
    assert isinstance(result, WeightedResult)
    rows: list[tuple[int, ...]] = [()] * 24
    copied = 0
    for grown in result.growth:
        for parent, row in zip(grown.parent.tolist(), grown.batch.rows(), strict=True):
            assert row[: len(rows[parent])] == rows[parent]
            assert len(row) - len(rows[parent]) in (0, 1)
        copied += len(grown.parent.unique()) < 24
        rows = grown.batch.rows()
    assert copied and not result.growth[-1].open.any()
    met = result.growth[-1].log_weight > -torch.inf
    assert result.samples.batch.rows() == result.growth[-1].batch.select(met).rows()


def test_a_resumed_run_records_from_there_on(tmp_path: Path) -> None:
    run: dict[str, Any] = {"chains": 2, "max_length": 4, "seed": 2, "progress": False, "every": 5}
    run |= {"checkpoint": tmp_path / "run.ckpt"}
    sample(flat_energy(), "mh", steps=10, **run)
    result = sample(flat_energy(), "mh", steps=25, resume=True, record=True, **run)
    assert isinstance(result, Result) and [*(result.trace.infos or ())] == [*range(11, 26)]
