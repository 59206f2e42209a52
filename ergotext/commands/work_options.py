"""Options of commands that work on many inputs, in this process or in others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

if TYPE_CHECKING:
    from ergotext.tasks.workers import Start


class EngineName(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


LOCAL = EngineName.local


@dataclass(frozen=True)
class WorkOptions:
    """Where many inputs are worked on."""

    TITLE: ClassVar = "Work"
    engine: Annotated[
        EngineName,
        typer.Option(
            help="Run in this process (local) or in Ray actors (ray; needs the extra ray)."
        ),
    ] = LOCAL
    workers: Annotated[int, typer.Option(min=1, help="Number of Ray actors.")] = 2

    @property
    def shared(self) -> bool:
        """Whether others do the work."""
        return self.engine is EngineName.ray

    def check(self) -> None:
        """See that the engine is there, before anything is loaded."""
        from ergotext.tasks.workers import check_ray

        if self.shared:
            check_ray()

    def results(self, start: Start, inputs: Sequence[str]) -> Iterator[str]:
        """The result of each input, in order."""
        from ergotext.tasks.workers import done_by_ray, done_here

        if self.shared:
            return done_by_ray(start, inputs, self.workers)
        return done_here(start, inputs)
