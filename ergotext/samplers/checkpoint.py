"""A run on disk: all it takes to go on as if it had never been stopped.

How it lies in the file is in ``checkpoint_file``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import State
from ergotext.samplers.checkpoint_file import CheckpointError, read, write
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.run import Run, Trace

SAME = 1e-3
"""Nats within which an energy is the one that the checkpoint was made with (float32 rounds)."""

S = TypeVar("S", bound=State)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Parameters
    ----------
    run : Run
    draws : mapping
        State of the source of chance.
    made_of : mapping
        Names and values that another run must share to go on from here; JSON.
    terms : mapping of str to float64 [B]
        The terms of the energy of the last state, as a model that has forgotten all gave them.
    """

    run: Run
    draws: Mapping[str, Any]
    made_of: Mapping[str, Any]
    terms: Mapping[str, Tensor]

    def save(self, path: Path) -> None:
        """Write the file and put it in place of the one before; it is on the disk thereafter."""
        tensors, numbers = _state(self.run.state)
        tensors |= _trace(self.run.trace)
        tensors |= {f"terms.{n}": term for n, term in enumerate(self.terms.values())}
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        header = {
            "made_of": dict(self.made_of),
            "draws": dict(self.draws),
            "seconds": self.run.seconds,
            "state": numbers,
            "proposed": self.run.trace.proposed,
            "accepted": self.run.trace.accepted,
            "terms": list(self.terms),
        }
        write(path, header, tensors)

    @classmethod
    def load(cls, path: Path, start: State) -> Checkpoint:
        """Read a file.

        Parameters
        ----------
        path : Path
        start : State
            The first state of the run, which tells of what class the last one is.

        Raises
        ------
        CheckpointError
            It is broken, no checkpoint, or of another version.
        """
        header, tensors = read(path)
        try:
            state = _restored(start, tensors, header["state"])
            trace = _retraced(tensors, header)
            terms = {name: tensors[f"terms.{n}"] for n, name in enumerate(header["terms"])}
            run = Run(state, trace, float(header["seconds"]))
            return cls(run, header["draws"], header["made_of"], terms)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"the checkpoint {path} is of another version of ergotext or of the sampler "
                f"({error!r}); begin anew with another file"
            ) from error

    def check(self, path: Path, made_of: Mapping[str, Any], start: State) -> None:
        """Refuse to go on with a run that is made of something else, or begins elsewhere."""
        here, there = _plain(made_of), _plain(self.made_of)
        for name in [*here, *there]:
            if here.get(name) != there.get(name):
                raise CheckpointError(
                    f"the checkpoint {path} is of another run: there {name} = "
                    f"{there.get(name)!r:.80}, here {here.get(name)!r:.80}; ask for the same, or "
                    f"begin anew with another file"
                )
        first = self.run.trace.states[0]
        if first.rows() != start.batch.rows() or not torch.equal(
            first.padded(first.longest).locked, start.batch.padded(first.longest).locked
        ):
            raise CheckpointError(
                f"the checkpoint {path} is of a run that began with other texts: with another "
                f"energy or initial state; ask for the same, or begin anew with another file"
            )

    def check_terms(self, path: Path, terms: Mapping[str, Tensor]) -> None:
        """Refuse an energy that is not the one the checkpoint was made with."""
        if list(terms) != list(self.terms):
            raise CheckpointError(
                f"the checkpoint {path} is of another energy: of {', '.join(self.terms)}, and this "
                f"one is of {', '.join(terms)}; ask for the same, or begin anew with another file"
            )
        for name, value in terms.items():
            off = (value - self.terms[name]).abs().nan_to_num(0.0, posinf=torch.inf)
            if bool((off > SAME).any()):
                at = int(off.argmax())
                raise CheckpointError(
                    f"the checkpoint {path} is of another model or energy: its {name} gave "
                    f"{float(self.terms[name][at]):.6g} nats for a text to which this one gives "
                    f"{float(value[at]):.6g}; ask for the same, or begin anew with another file"
                )


def keep(
    path: Path, run: Run, energy: Energy, draws: SeededDraws, made_of: Mapping[str, Any]
) -> None:
    """Keep a run. What the models kept is forgotten: a run that goes on from here has none of it.

    The terms of the energy at this point are the fingerprint of model and energy; to compute them
    anew here and on going on leaves the same in the models' memory both times.
    """
    energy.forget()
    terms = energy.terms(run.state.batch)
    Checkpoint(run, draws.state, made_of, terms).save(path)


def go_on(
    path: Path, start: State, energy: Energy, draws: SeededDraws, made_of: Mapping[str, Any]
) -> Run:
    """The run that is kept there; ``draws`` go on as they would have.

    Parameters
    ----------
    start : State
        The first state of a run that begins anew.

    Raises
    ------
    CheckpointError
        It is broken, or of another model, energy, sampler or configuration.
    """
    kept = Checkpoint.load(path, start)
    kept.check(path, made_of, start)
    energy.forget()
    kept.check_terms(path, energy.terms(kept.run.state.batch))
    draws.state = kept.draws
    return kept.run


def _plain(value: Any) -> Any:
    """As JSON has it: tuples are lists."""
    return json.loads(json.dumps(dict(value)))


def _state(state: State) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    """The fields of a state: tensors by name, and numbers."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, int | float] = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, TokenBatch):
            for part in ("ids", "length", "locked"):
                tensors[f"state.{field.name}.{part}"] = getattr(value, part)
        elif isinstance(value, Tensor):
            tensors[f"state.{field.name}"] = value
        elif isinstance(value, int | float):
            numbers[field.name] = value
        else:
            raise TypeError(
                f"{type(state).__name__}.{field.name} is a {type(value).__name__}: a state holds "
                f"tensors, batches and numbers"
            )
    return tensors, numbers


def _restored(start: S, tensors: Mapping[str, Tensor], numbers: Mapping[str, int | float]) -> S:
    """A state of the class of ``start``."""
    values: dict[str, Any] = {}
    for field in fields(start):
        name = f"state.{field.name}"
        if isinstance(getattr(start, field.name), TokenBatch):
            parts = (tensors[f"{name}.{part}"] for part in ("ids", "length", "locked"))
            values[field.name] = TokenBatch(*parts)
        else:
            values[field.name] = tensors[name] if name in tensors else numbers[field.name]
    return replace(start, **values)


def _trace(trace: Trace) -> dict[str, Tensor]:
    """The visited rows end to end, in half the bytes: no token id needs more than 32 bits."""
    batches = trace.states
    return {
        "trace.width": torch.tensor([batch.width for batch in batches]),
        "trace.length": torch.stack([batch.length for batch in batches]).int(),
        "trace.ids": torch.cat([batch.ids[batch.inside] for batch in batches]).int(),
        "trace.locked": torch.cat([batch.locked[batch.inside] for batch in batches]).int(),
        "trace.energy": trace.energy,
    }


def _retraced(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Trace:
    lengths = tensors["trace.length"].long()
    sizes = lengths.sum(1).tolist()
    parts = zip(
        lengths,
        tensors["trace.ids"].long().split(sizes),
        tensors["trace.locked"].long().split(sizes),
        tensors["trace.width"].tolist(),
        strict=True,
    )
    states = [_batch(length, ids, locked, width) for length, ids, locked, width in parts]
    return Trace(
        states,
        list(tensors["trace.energy"]),
        Counter(header["proposed"]),
        Counter(header["accepted"]),
    )


def _batch(length: Tensor, ids: Tensor, locked: Tensor, width: int) -> TokenBatch:
    arrays = torch.zeros(2, len(length), width, dtype=torch.int64)
    arrays[:, torch.arange(width) < length[:, None]] = torch.stack([ids, locked])
    return TokenBatch(arrays[0], length, arrays[1])
