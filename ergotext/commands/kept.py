"""What a command tells of one input, kept so that it can travel from a worker and be told here."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import typer

from ergotext.errors import ErgotextError, InputError


class LineSink(Protocol):
    """Where lines for stdout go."""

    ascii_only: bool

    def __call__(self, text: str) -> None:
        """One more, or several."""


class SectionSink(Protocol):
    """Where sections of a report go."""

    def takes(self) -> bool:
        """Whether one more is wanted."""

    def add(self, section: str) -> None:
        """One more, HTML."""


@dataclass
class Told:
    """What was told of an input: it travels from a worker, and is repeated here."""

    ascii_only: bool = False
    wanted: bool = False
    """whether sections are"""
    out: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    err: str = ""
    nothing: str = ""
    """why nothing was found"""
    error: str = ""
    usage: bool = False
    """whether the error is of the input"""
    value: Any = None
    """what else is to be known of it, as JSON holds it"""

    def __call__(self, text: str) -> None:
        self.out.append(text)

    def takes(self) -> bool:
        """Whether a section is wanted; how many there may be is not known here."""
        return self.wanted

    def add(self, section: str) -> None:
        """One more section."""
        self.sections.append(section)

    def repeat(self, emit: LineSink, page: SectionSink) -> None:
        """Tell it here."""
        for text in self.out:
            emit(text)
        typer.echo(self.err, nl=False, err=True)
        for section in self.sections:
            if page.takes():
                page.add(section)


def kept(tell: Callable[[LineSink, SectionSink], Any], ascii_only: bool, report: bool) -> str:
    """What is told of an input, as JSON; its errors as well."""
    from ergotext.samplers.weighted.samples import ZeroWeightError

    told, err = Told(ascii_only, report), io.StringIO()
    with redirect_stderr(err):
        try:
            told.value = tell(told, told)
        except ZeroWeightError as error:
            told.nothing = str(error)
        except ErgotextError as error:
            told.error, told.usage = str(error), isinstance(error, InputError)
    told.err = err.getvalue()
    return json.dumps(asdict(told))


def read(text: str) -> Told:
    """What ``kept`` wrote; its error is raised here."""
    told = Told(**json.loads(text))
    if told.error:
        raise (InputError if told.usage else ErgotextError)(told.error)
    return told
