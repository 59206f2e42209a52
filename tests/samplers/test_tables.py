"""Results in a prompt, a notebook and pandas."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import pytest
import torch

import ergotext as et
from ergotext.samplers import tables
from ergotext.samplers.weighted.samples import HeavyWeightsWarning
from tests.faulty import load_with_fault


@pytest.fixture(scope="module")
def energy() -> et.Term:
    return et.fluency(et.load("tiny-causal")) + et.keywords(["dog"]) + et.length(6)


@pytest.fixture(scope="module")
def chains(energy: et.Term) -> et.Result:
    found = et.sample(energy, "mh", chains=3, steps=11, max_length=12, progress=False)
    assert isinstance(found, et.Result)
    return found


@pytest.fixture(scope="module")
def weighted(energy: et.Term) -> et.WeightedResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeavyWeightsWarning)
        found = et.sample(energy, "smc", n=16, max_length=12, progress=False)
    assert isinstance(found, et.WeightedResult)
    return found


def no_model(monkeypatch: pytest.MonkeyPatch, energy: et.Term) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a look at a result ran the model")

    monkeypatch.setattr(type(energy.scorer.model), "forward", forbidden)
    monkeypatch.setattr(type(energy.scorer), "log_prob", forbidden)


def test_chains_show_their_best_texts(chains, energy, monkeypatch) -> None:
    best = [f"{one.energy:.2f}  {one.text}" for one in chains.best(1)]
    no_model(monkeypatch, energy)
    head, names, *rows = repr(chains).splitlines()
    assert head == f"Result: {chains.text()}" and names.split() == [
        "energy",
        "text",
        *names.split()[2:],
    ]
    assert 1 <= len(rows) <= 5 and rows[0].strip() == best[0]
    energies = [float(row.split()[0]) for row in rows]
    assert energies == sorted(energies) and all("dog" in row for row in rows)
    assert chains._repr_html_().count("<tr>") == len(rows) + 1


def test_weighted_texts_show_what_they_weigh(weighted, energy, monkeypatch) -> None:
    fresh = et.WeightedResult(energy, weighted.samples, "smc", 0, 1.0)
    no_model(monkeypatch, energy)
    head, names, *rows = repr(fresh).splitlines()
    assert head.startswith("WeightedResult: smc, 16 draws") and names.split()[:2] == [
        "weight",
        "text",
    ]
    texts = energy.scorer.decode(weighted.samples.batch)
    shares = dict.fromkeys((text.strip() for text in texts), 0.0)
    for text, weight in zip(texts, weighted.samples.weights.tolist(), strict=True):
        shares[text.strip()] += weight
    for row in rows:
        weight, _, text = row.strip().partition("  ")
        assert float(weight) == pytest.approx(shares[text], abs=6e-4)
    assert float(rows[0].split()[0]) == pytest.approx(max(shares.values()), abs=6e-4)


def test_energies_are_shown_once_they_are_known(weighted) -> None:
    known = weighted.energy
    assert repr(weighted).splitlines()[1].split()[:2] == ["weight", "energy"]
    shown = float(repr(weighted).splitlines()[2].split()[1])
    assert any(abs(shown - one) < 0.006 for one in known.tolist())
    assert "log Z" in repr(weighted.samples) and "16 draws" in repr(weighted.samples)


def test_lengths_and_places(chains, weighted) -> None:
    assert len(weighted) == len(weighted.samples) == len(list(weighted))
    assert weighted[-1] == weighted.all()[-1]
    assert weighted[1:3] == [weighted[1], weighted[2]] and weighted[5000:] == []
    assert chains[:2] == [chains[0], chains[1]]
    assert len(chains) == (12 - 6) * 3 and len(list(chains)) == 18
    assert (chains[0].step, chains[0].chain) == (6, 0) and (chains[-1].step, chains[-1].chain) == (
        11,
        2,
    )
    assert chains[4].energy == float(chains.energy[7, 1])
    for result, count in ((weighted, len(weighted)), (chains, 18)):
        with pytest.raises(IndexError):
            result[count]


def test_a_sample_is_short(chains) -> None:
    shown = repr(chains[0])
    assert shown.startswith("Sample(text='") and "None" not in shown and "chain=0, step=6" in shown


def test_tables_of_pandas(chains, weighted) -> None:
    frame = chains.to_pandas()
    assert (
        list(frame.columns) == ["chain", "step", "warm_up", "energy", "text"] and len(frame) == 36
    )
    row = frame.iloc[13]
    assert (
        (row.step, row.chain) == (4, 1) and row.warm_up and row.energy == float(chains.energy[4, 1])
    )
    later = frame[~frame.warm_up]
    assert len(later) == len(chains) and later.text.tolist() == [one.text for one in chains]
    frame = weighted.to_pandas()
    assert frame.weight.sum() == pytest.approx(1) and len(frame) == len(weighted)
    assert frame.text[3] == weighted[3].text and frame.energy[3] == weighted[3].energy


def test_chains_for_arviz(chains) -> None:
    tree = chains.to_arviz({"commas": lambda texts: [float(text.count(",")) for text in texts]})
    assert tree["posterior"]["commas"].shape == (3, 6) and tree.attrs["sampler"] == "mh"


def test_pandas_is_named_where_it_is_missing(weighted, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        et.InputError, match=r"pandas is not installed .*; run: pip install 'pandas"
    ):
        weighted.to_pandas()


def test_a_row_counts_once() -> None:
    check(tables)


def check(module: ModuleType) -> None:
    class Scorer:
        def decode(self, batch: et.TokenBatch) -> list[str]:
            return [" " + "ab"[row[0]] for row in batch.rows()]

    class Problem:
        scorer = Scorer()

    rows = [(0,), (1,), (0,), (1,), (1,)]
    table = module.weight_table(
        "x", Problem(), rows, [0.25, 0.3, 0.3, 0.1, 0.05], torch.arange(5.0)
    )
    assert table.rows == [["0.550", "2.00", "a"], ["0.450", "4.00", "b"]]
    table = module.energy_table("x", Problem(), zip(rows, range(5), strict=True))
    assert table.rows == [["0.00", "a"], ["1.00", "b"]]
    assert module.texts_of(Problem(), [(1,), (0,)]) == ["b", "a"]
    assert module.heaviest(torch.tensor([0.1, 0.9])) == [1, 0]


@pytest.mark.parametrize(
    "change",
    [
        ("share.get(row, 0.0) + weight", "weight"),
        ("first.setdefault(row, energy)", "first[row] = energy"),
        ("key=lambda row: -share[row]", "key=lambda row: share[row]"),
        ("[text.strip() for text in", "[text for text in"),
    ],
)
def test_faults_are_seen(change: tuple[str, str]) -> None:
    with pytest.raises(AssertionError):
        check(load_with_fault("samplers.tables", change))
