"""Save and resume runs, with results identical to an uninterrupted run.

How it lies in the file is in ``checkpoint_file``, what of a run is there in ``records``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ergotext.errors import ErgotextError
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import State
from ergotext.samplers.checkpoint.file import CheckpointError, Record, RecordFile
from ergotext.samplers.checkpoint.records import of_state, of_trace, state_of, trace_of
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.run import Run

SAME = 1e-3
"""Nats within which an energy is the one that the checkpoint was made with (float32 rounds)."""


@dataclass
class Keeper:
    """Saves a run to a file as it progresses, appending what is new.

    Parameters
    ----------
    journal : RecordFile
    energy : Energy
        Its terms at the last state are kept too, as a fingerprint of model and energy.
    draws : SeededDraws
    made_of : mapping
        Names and values that another run must share to continue from here; JSON.
    steps : int
        How many of the run's are kept.
    """

    journal: RecordFile
    energy: Energy
    draws: SeededDraws
    made_of: Mapping[str, Any]
    steps: int = 0

    @classmethod
    def begin(
        cls, path: Path, run: Run, energy: Energy, draws: SeededDraws, made_of: Mapping[str, Any]
    ) -> Keeper:
        """Keep a run that begins; the file is there thereafter."""
        first = _record(run, 0, energy, draws, made_of)
        return cls(RecordFile.begin(path, *first), energy, draws, made_of, run.steps)

    def keep(self, run: Run) -> None:
        """Keep what is new of the run. The caller sees to it that the models forget."""
        if run.steps > self.steps:
            record = _record(run, self.steps + 1, self.energy, self.draws, self.made_of)
            self.journal.append(*record)
            self.steps = run.steps

    @classmethod
    def go_on(
        cls,
        path: Path,
        start: State,
        energy: Energy,
        draws: SeededDraws,
        made_of: Mapping[str, Any],
        over: Callable[[Run], bool],
    ) -> tuple[Keeper, Run]:
        """Load the saved run; ``draws`` continue as they would have.

        Where it had ended between two checkpoints and is to go on, the steps after the last one on
        its way are taken again: a run that had not ended there would have forgotten nothing there.

        Parameters
        ----------
        start : State
            The first state of a run that starts again.
        over : callable
            Whether a run has come as far as it is to come.

        Raises
        ------
        CheckpointError
            It is broken, or of another model, energy, sampler or configuration.
        """
        journal, records = RecordFile.open(path)
        with _understood(path):
            _check_made(path, made_of, records[0][0]["made_of"])
            run = _restored(path, records, start, energy, made_of, over)
            draws.state = records[-1][0]["draws"]
        journal.back_to(len(records))
        return cls(journal, energy, draws, made_of, run.steps), run


def _record(
    run: Run, first: int, energy: Energy, draws: SeededDraws, made_of: Mapping[str, Any]
) -> Record:
    """A run as it is now, with the trace from state ``first`` on."""
    tensors, numbers = of_state(run.state)
    terms = energy.terms(run.state.batch)
    tensors |= of_trace(run.trace, first)
    tensors |= {f"terms.{n}": term for n, term in enumerate(terms.values())}
    header = {
        "made_of": dict(made_of),
        "draws": dict(draws.state),
        "seconds": run.seconds,
        "state": numbers,
        "proposed": run.trace.proposed,
        "accepted": run.trace.accepted,
        "terms": list(terms),
    }
    return header, tensors


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Whatever does not fit together in a checkpoint, whose checksum anyone can make."""
    try:
        yield
    except ErgotextError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"the checkpoint {path} is from another version of ergotext or of the sampler, or was "
            f"edited ({error!r:.200}); start a new run with another file"
        ) from error


def _restored(
    path: Path,
    records: list[Record],
    start: State,
    energy: Energy,
    made_of: Mapping[str, Any],
    over: Callable[[Run], bool],
) -> Run:
    """The run to continue with, of all records or of all but the last, which then goes."""
    run = _run(records, start)
    _check_start(path, run, start)
    if len(records) > 1 and run.steps % made_of["every"] and not over(run):
        records.pop()
        run = _run(records, start)
    header, tensors = records[-1]
    terms = {name: tensors[f"terms.{n}"] for n, name in enumerate(header["terms"])}
    _check_terms(path, energy.terms(run.state.batch), terms)
    return run


def _run(records: list[Record], start: State) -> Run:
    """The run of which these are the records."""
    header, tensors = records[-1]
    state = state_of(start, tensors, header["state"])
    trace = trace_of([piece for _, piece in records])
    trace.proposed, trace.accepted = _counts(header["proposed"]), _counts(header["accepted"])
    if trace.states[-1].rows() != state.batch.rows():
        raise ValueError("its trace does not end at its state")
    seconds = float(header["seconds"])
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds are {seconds}")
    return Run(state, trace, seconds)


def _counts(told: Mapping[str, int]) -> Counter[str]:
    if any(type(count) is not int or count < 0 for count in told.values()):
        raise ValueError("its counts are not integers of at least 0")
    return Counter(told)


def _check_made(path: Path, made_of: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """Refuse to continue with a run that is made of something else."""
    here, there = json.loads(json.dumps(dict(made_of))), made
    for name in [*here, *there]:
        if here.get(name) != there.get(name):
            raise CheckpointError(
                f"the checkpoint {path} is from another run: {name} was {there.get(name)!r:.80} "
                f"and is {here.get(name)!r:.80} now; use the same value, or start a new run with "
                "another file"
            )


def _check_start(path: Path, run: Run, start: State) -> None:
    """Refuse to continue with a run that begins elsewhere."""
    first = run.trace.states[0]
    if first.rows() != start.batch.rows() or not torch.equal(
        first.padded(first.longest).locked, start.batch.padded(first.longest).locked
    ):
        raise CheckpointError(
            f"the checkpoint {path} is from a run that started from other texts (another energy or "
            "initial state); use the same, or start a new run with another file"
        )


def _check_terms(path: Path, here: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> None:
    """Refuse an energy that is not the one the checkpoint was made with."""
    if list(here) != list(there):
        raise CheckpointError(
            f"the checkpoint {path} is from another energy ({', '.join(there)}; now "
            f"{', '.join(here)}); use the same, or start a new run with another file"
        )
    for name, value in here.items():
        off = (value - there[name]).abs().nan_to_num(0.0, posinf=torch.inf)
        if bool((off > SAME).any()):
            at = int(off.argmax())
            raise CheckpointError(
                f"the checkpoint {path} is from another model or energy: its {name} gave "
                f"{float(there[name][at]):.6g} nats for a text that now has "
                f"{float(value[at]):.6g}; use the same, or start a new run with another file"
            )
