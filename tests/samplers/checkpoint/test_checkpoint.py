"""Checkpoints: what is resumed is, bit by bit, what would have come of never stopping."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.terms import fluency, length
from ergotext.lm.loading import load
from ergotext.samplers import Result, SeededDraws, Trace, sample, sampler_named
from ergotext.samplers.base import State
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.checkpoint.file import CheckpointError, RecordFile
from ergotext.samplers.checkpoint.saving import Keeper
from ergotext.samplers.run import Run
from ergotext.testing.toy import flat_energy, toy_energy
from tests.samplers.test_protocol import CHAINS, with_all


@pytest.fixture(scope="module")
def lm(model_folder: Path) -> CausalLM:
    return load(str(model_folder))


def of_model(lm: CausalLM):
    return fluency(lm) + keywords(["summer"]) + length(8)


def bits(trace: Trace) -> bytes:
    """Everything that the chains visited, as bytes."""
    rows = json.dumps([batch.rows() for batch in trace.states]).encode()
    marks = json.dumps([batch.locked.tolist() for batch in trace.states]).encode()
    counts = json.dumps([trace.proposed, trace.accepted]).encode()
    return rows + marks + counts + trace.energy.numpy().tobytes()


class KilledError(Exception):
    pass


def killed_after(done: int, energy, monkeypatch: pytest.MonkeyPatch, **arguments) -> None:
    """A run that dies in the middle of a step, and leaves its checkpoint."""
    real = Trace.record

    def record(trace, *about):
        if len(trace.states) > done:
            raise KilledError
        real(trace, *about)

    with monkeypatch.context() as patch:
        patch.setattr(Trace, "record", record)
        with pytest.raises(KilledError):
            sample(energy, **arguments)


def check_resumption(energy, folder: Path, monkeypatch: pytest.MonkeyPatch, **same) -> None:
    whole = sample(energy, checkpoint=folder / "whole", progress=False, **same)
    bare = sample(energy, progress=False, **same)
    assert bits(bare.trace) == bits(whole.trace), "to be kept changes a run"
    for done in (3, 19):
        file = folder / f"{done}"
        killed_after(done, energy, monkeypatch, checkpoint=file, progress=False, **same)
        resumed = sample(energy, checkpoint=file, resume=True, progress=False, **same)
        assert resumed.stopped == "steps" and resumed.steps == same["steps"]
        assert bits(resumed.trace) == bits(whole.trace)
        assert resumed.acceptance == whole.acceptance
        assert resumed.best(2) == whole.best(2)


def test_a_run_goes_on_bit_by_bit(lm: CausalLM, tmp_path: Path, monkeypatch) -> None:
    """Float32: what the model kept of earlier steps would show in the last bits."""
    same = {"chains": 3, "steps": 24, "every": 7, "max_length": 12}
    check_resumption(of_model(lm), tmp_path, monkeypatch, **same)


def test_what_is_told_of_texts_is_the_same_to_the_last_digit(lm: CausalLM, tmp_path: Path) -> None:
    """A resumed run that had ended has read nothing: what the first one kept must not show."""
    energy = of_model(lm)
    same = {"chains": 3, "steps": 40, "max_length": 12, "progress": False}
    whole = sample(energy, checkpoint=tmp_path / "run", **same)
    told = whole.draws(30), whole.best(5), list(whole)
    resumed = sample(energy, checkpoint=tmp_path / "run", resume=True, **same)
    lm.forget()
    assert (resumed.draws(30), resumed.best(5), list(resumed)) == told


@pytest.mark.parametrize("name", CHAINS)
def test_every_chain_goes_on_bit_by_bit(name: str, tmp_path: Path, monkeypatch) -> None:
    start = TokenBatch.of([(4, 2, 3, 1, 3), (1, 2, 2, 3)])
    check_resumption(
        with_all(toy_energy(["a"])), tmp_path, monkeypatch, sampler=name, chains=4, steps=24,
        every=7, initial=start,
    )  # fmt: skip


def test_a_run_that_has_ended_can_be_made_longer(tmp_path: Path) -> None:
    same = {"chains": 3, "every": 10, "progress": False}
    whole = sample(toy_energy(["a"]), steps=60, checkpoint=tmp_path / "whole", **same)
    file = tmp_path / "run"
    sample(toy_energy(["a"]), steps=30, checkpoint=file, **same)
    longer = sample(toy_energy(["a"]), steps=60, checkpoint=file, resume=True, **same)
    assert bits(longer.trace) == bits(whole.trace)
    again = sample(toy_energy(["a"]), steps=60, checkpoint=file, resume=True, **same)
    assert bits(again.trace) == bits(whole.trace) and again.stopped == "steps"
    assert again.seconds >= longer.seconds


@pytest.mark.parametrize("short", [10, 13, 14, 17, 20])
def test_a_run_of_any_length_can_be_made_longer_bit_by_bit(
    lm: CausalLM, tmp_path: Path, short: int
) -> None:
    """Float32 and a cache: at the end of the shorter run the longer one forgot nothing."""
    same = {"chains": 2, "every": 7, "max_length": 12, "progress": False}
    file, whole = tmp_path / "run", tmp_path / "whole"
    sample(of_model(lm), steps=24, checkpoint=whole, **same)
    first = sample(of_model(lm), steps=short, checkpoint=file, **same)
    again = sample(of_model(lm), steps=short, checkpoint=file, resume=True, **same)
    assert again.steps == short and bits(again.trace) == bits(first.trace)
    sample(of_model(lm), steps=24, checkpoint=file, resume=True, **same)
    assert run_of(file) == run_of(whole)


def test_an_alias_is_the_same_sampler(tmp_path: Path) -> None:
    same = {"chains": 2, "checkpoint": tmp_path / "run", "progress": False}
    short = sample(flat_energy(), "mh", steps=4, **same)
    longer = sample(flat_energy(), "metropolis-hastings", steps=8, resume=True, **same)
    assert longer.steps == 8 and longer.sampler == short.sampler == "mh"


def test_an_object_as_option_is_refused_at_the_start(tmp_path: Path) -> None:
    energy = flat_energy()
    kernel = sampler_named("mh")(energy, max_length=5)
    same = {"chains": 2, "steps": 4, "max_length": 5, "progress": False}
    with pytest.raises(InputError, match="is an object, which a checkpoint cannot compare"):
        sample(energy, "tempering", kernel=kernel, checkpoint=tmp_path / "run", **same)
    assert not (tmp_path / "run").exists()
    assert sample(energy, "tempering", kernel=kernel, **same).steps == 4
    same |= {"checkpoint": tmp_path / "run"}
    sample(energy, "mh", moves=EditMoves(5), **same)  # one that says by itself what it is
    assert sample(energy, "mh", moves=EditMoves(5), resume=True, **same).steps == 4
    with pytest.raises(CheckpointError, match="options was "):
        sample(energy, "mh", moves=EditMoves(5, (1.0, 1.0, 1.0, 1.0)), resume=True, **same)


def test_what_is_written_grows_with_the_steps_and_no_faster(tmp_path: Path, monkeypatch) -> None:
    """Each byte once: four times the steps, four times the bytes."""
    real, written = os.pwrite, [0]

    def counted(file: int, content: bytes, at: int) -> int:
        done = real(file, content, at)
        written[0] += done
        return done

    monkeypatch.setattr(os, "pwrite", counted)
    took = {}
    for steps in (100, 400):
        written[0], file = 0, tmp_path / f"{steps}"
        sample(flat_energy(), chains=2, steps=steps, every=5, checkpoint=file, progress=False)
        took[steps] = written[0]
        assert written[0] < file.stat().st_size + 64 * (steps / 5 + 1)
    assert took[400] < 4.4 * took[100]


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    file = tmp_path / "run"
    one = RecordFile.begin(file, {"n": 0}, {})
    other, _ = RecordFile.open(file)
    other.append({"n": 1}, {"x": torch.arange(3)})
    with pytest.raises(CheckpointError, match="another process has written"):
        one.append({"n": 2}, {})
    assert [header["n"] for header, _ in RecordFile.open(file)[1]] == [0, 1]


def test_records_that_were_left_do_not_come_back(tmp_path: Path) -> None:
    file = tmp_path / "run"
    one = RecordFile.begin(file, {"n": 0}, {"x": torch.arange(9)})
    one.append({"n": 1}, {"x": torch.arange(90)})
    one.back_to(1)
    assert [header["n"] for header, _ in RecordFile.open(file)[1]] == [0]
    RecordFile.open(file)[0].append({"n": 2}, {"x": torch.arange(3)})
    assert [header["n"] for header, _ in RecordFile.open(file)[1]] == [0, 2]


def test_an_interrupt_leaves_a_checkpoint_on_the_way(tmp_path: Path, monkeypatch) -> None:
    same = {"chains": 2, "steps": 30, "every": 4, "progress": False}
    whole = sample(flat_energy(), checkpoint=tmp_path / "whole", **same)
    real = Trace.record

    def record(trace, *about):
        if len(trace.states) == 15:
            raise KeyboardInterrupt
        real(trace, *about)

    with monkeypatch.context() as patch:
        patch.setattr(Trace, "record", record)
        cut = sample(flat_energy(), checkpoint=tmp_path / "run", **same)
    assert isinstance(cut, Result) and cut.stopped == "interrupt" and cut.steps == 14
    resumed = sample(flat_energy(), checkpoint=tmp_path / "run", resume=True, **same)
    assert bits(resumed.trace) == bits(whole.trace)


def test_time_counts_over_all_parts_of_a_run(tmp_path: Path) -> None:
    same = {"chains": 2, "every": 5, "checkpoint": tmp_path / "run", "progress": False}
    first = sample(flat_energy(), steps=10**6, max_seconds=0.3, **same)
    assert first.stopped == "time"
    more = sample(flat_energy(), steps=10**6, max_seconds=0.3, resume=True, **same)
    assert more.stopped == "time" and more.steps == first.steps
    longer = sample(flat_energy(), steps=10**6, max_seconds=0.6, resume=True, **same)
    assert longer.steps > first.steps


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"sampler": "annealing"}, "sampler was 'mh' and is 'annealing'"),
        ({"chains": 4}, "chains was 3 and is 4"),
        ({"every": 6}, "every was 5 and is 6"),
        ({"max_length": 11}, "max_length"),
        ({"temperature": 0.5}, "options"),
        ({"settings": {"model": "b"}}, "model was 'a' and is 'b'"),
        ({"initial": TokenBatch.of([(1, 2)])}, "started from other texts"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, changed, message: str) -> None:
    file = tmp_path / "run"
    same = {"chains": 3, "every": 5, "settings": {"model": "a"}, "progress": False}
    sample(toy_energy(["a"]), steps=10, checkpoint=file, **same)
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match=message) as caught:
        sample(toy_energy(["a"]), checkpoint=file, resume=True, steps=10, **same | changed)
    assert "\n" not in str(caught.value) and file.read_bytes() == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (toy_energy(["a"], seed=1), "another model or energy: its fluency gave"),
        (toy_energy(["b"]), "started from other texts"),
        (toy_energy(["a"]) + length(4), r"\(fluency, length, keywords; now"),
        (toy_energy(["a"]) + 1e-2 * length(3), "; now"),
        (1.01 * toy_energy() + toy_energy(["a"]).parts[2][1], "its fluency gave"),
    ],
)
def test_another_energy_is_refused(tmp_path: Path, other, message: str) -> None:
    file = tmp_path / "run"
    same = {"chains": 3, "every": 5, "steps": 12, "checkpoint": file, "progress": False}
    sample(toy_energy(["a"]), **same)
    with pytest.raises(CheckpointError, match=message):
        sample(other, resume=True, **same)


def test_another_context_is_another_model(lm: CausalLM, tmp_path: Path) -> None:
    same = {"chains": 2, "steps": 6, "checkpoint": tmp_path / "run", "progress": False}
    sample(of_model(lm), **same)
    with pytest.raises(CheckpointError, match="its fluency gave"):
        sample(of_model(lm.given("A dog.")), resume=True, **same)


def test_a_checkpoint_is_not_written_over(tmp_path: Path) -> None:
    same = {"chains": 2, "steps": 6, "checkpoint": tmp_path / "run", "progress": False}
    sample(flat_energy(), **same)
    before = (tmp_path / "run").read_bytes()
    with pytest.raises(InputError, match="already"):
        sample(flat_energy(), **same)
    assert (tmp_path / "run").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_it_is_seen_at_once_that_a_checkpoint_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        sample(flat_energy(), steps=10**9, checkpoint=tmp_path / "none" / "run", progress=False)


def damaged(data: bytes) -> dict[str, bytes]:
    middle = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    told = data.replace(b'\\"seconds\\": ', b'\\"seconds\\":1', 1)
    return {"empty": b"", "cut": data[:-7], "flipped": middle, "other": b"hello", "header": told}


@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "other", "header"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, how: str) -> None:
    file = tmp_path / "run"
    same = {"chains": 2, "steps": 6, "checkpoint": file, "progress": False}
    sample(flat_energy(), **same)
    bad = damaged(file.read_bytes())[how]
    assert bad != file.read_bytes()
    file.write_bytes(bad)
    with pytest.raises(CheckpointError, match=r"broken|damaged"):
        sample(flat_energy(), resume=True, **same)


@dataclass(frozen=True, eq=False)
class Tempered(State):
    """A state with fields of its own."""

    beta: float = 1.0
    rung: Tensor = field(default_factory=lambda: torch.zeros(0))
    best: TokenBatch = field(default_factory=lambda: TokenBatch.of([]))
    count: int = 0


def test_a_state_may_have_fields_of_its_own(tmp_path: Path) -> None:
    batch = TokenBatch.of([(1, 2), (3,)], [(0, 1), (0,)]).padded(5)
    energy = torch.tensor([1.0, 0.1]).double()
    state = Tempered(  # two fields of one memory
        batch, energy, 7, 0.1 + 0.2, energy[:], TokenBatch.of([(4,)]), -(2**70)
    )
    run = Run(state, Run.start(State(batch, state.energy)).trace, 1.5)
    file, same = tmp_path / "run", {"every": 1}
    Keeper.begin(file, run, flat_energy(), SeededDraws(1), same)
    empty = Tempered(batch, torch.zeros(2).double())

    def go_on(start: State) -> State:
        over = {"over": lambda run: True}
        return Keeper.go_on(file, start, flat_energy(), SeededDraws(1), same, **over)[1].state

    back = go_on(empty)
    assert isinstance(back, Tempered)
    assert (back.beta, back.count, back.step) == (0.1 + 0.2, -(2**70), 7)
    assert torch.equal(back.rung, state.rung) and torch.equal(back.energy, state.energy)
    assert torch.equal(back.batch.ids, batch.ids) and torch.equal(back.batch.locked, batch.locked)
    assert back.batch.width == 5 and back.best.rows() == [(4,)]
    with pytest.raises(CheckpointError, match="version"):
        go_on(_Other(batch, state.energy))


@dataclass(frozen=True, eq=False)
class _Other(State):
    missing: float = 0.0


def test_the_generator_goes_on_where_it_was() -> None:
    one, two, law = SeededDraws(3), SeededDraws(4), torch.full((50, 7), 1 / 7).double()
    one.categorical(law)
    two.state = json.loads(json.dumps(one.state))
    assert torch.equal(one.categorical(law), two.categorical(law))


# kill -9: a process that is forked off one that has imported all, so that each takes a moment.

STEPS, EVERY = 30, 3


def go_on(folder: str, file: str) -> None:
    torch.set_num_threads(1)
    energy = of_model(load(folder))
    same = {"chains": 2, "steps": STEPS, "every": EVERY, "max_length": 12, "progress": False}
    sample(energy, checkpoint=file, resume=True, **same)


@pytest.mark.slow
def test_kill_at_random_moments(model_folder: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments, in steps and in writing; all ends are one."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.samplers.checkpoint.test_checkpoint"])

    def started(file: Path):
        process = context.Process(target=go_on, args=(str(model_folder), str(file)))
        process.start()
        return process

    whole = tmp_path / "whole"
    started(whole).join()
    began = time.monotonic()
    started(tmp_path / "timed").join()
    between = (time.monotonic() - began) / (STEPS / EVERY)
    expected = run_of(whole)
    assert run_of(tmp_path / "timed") == expected
    chance, reached = random.Random(0), []
    number = 0
    # Most are hit on their way; on a machine that has become faster meanwhile it takes more.
    while len([steps for steps in reached if steps < STEPS]) < 15 or len(set(reached)) < 5:
        number += 1
        assert number <= 60
        file = tmp_path / f"run{number}"
        process = started(file)
        wait_for_writes(chance.randrange(STEPS // EVERY), file, process.is_alive)
        time.sleep(chance.uniform(0, between))
        process.kill()  # no error where it has just ended
        process.join()
        if process.exitcode == -signal.SIGKILL and file.exists():
            reached.append(steps_of(file))
        started(file).join()
        assert run_of(file) == expected


def wait_for_writes(count: int, file: Path, alive: Callable[[], bool]) -> None:
    """Until so many records were written to the file: each makes it longer."""
    seen: list[int] = []
    while len(seen) < count and alive():
        if file.exists() and (here := file.stat().st_size) not in seen[-1:]:
            seen.append(here)
        time.sleep(0.002)


def run_of(file: Path) -> list[tuple[dict[str, object], dict[str, bytes]]]:
    """All that is in a file but the seconds it took."""
    records = RecordFile.open(file)[1]
    for header, _ in records:
        header.pop("seconds")
    return [
        (header, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()})
        for header, tensors in records
    ]


def steps_of(file: Path) -> int:
    return sum(len(tensors["trace.width"]) for _, tensors in RecordFile.open(file)[1]) - 1
