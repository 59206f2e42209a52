"""One command on many inputs: told here as each is found, or by others and repeated here.

What a command prints for an input, and what it puts on a page, is made by the same code wherever
that runs, so that ``--engine ray`` changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ergotext.commands.console import Output
from ergotext.commands.kept import LineSink, SectionSink, Told, kept, read
from ergotext.commands.report import ReportPage
from ergotext.commands.texts import each_found
from ergotext.commands.work_options import WorkOptions
from ergotext.support.bars import bar

if TYPE_CHECKING:
    from ergotext.commands.groups import ModelOptions
    from ergotext.lm.causal import CausalLM
    from ergotext.samplers.result import Result
    from ergotext.samplers.weighted.result import WeightedResult
    from ergotext.samplers.weighted.samples import ZeroWeightError
    from ergotext.tasks.workers import Work


class TextCommand(Protocol):
    """A command that finds texts for each of its inputs, as it travels to workers."""

    @property
    def lm(self) -> ModelOptions:
        """The model, and how it runs."""

    @property
    def ascii_only(self) -> bool:
        """Whether stdout takes no other characters."""

    @property
    def report(self) -> bool:
        """Whether sections of a report are wanted."""

    def found(
        self, given: Sequence[str], lm: CausalLM
    ) -> Iterator[Result | WeightedResult | ZeroWeightError]:
        """One result for each input; all are checked when this is called."""

    def tell(
        self, one: str, result: Result | WeightedResult, emit: LineSink, page: SectionSink
    ) -> None:
        """Print what was found for an input, and make its section."""


def tell_all(
    writing: TextCommand,
    given: Sequence[str],
    named: Sequence[str],
    nothing: str,
    lm: CausalLM,
    work: WorkOptions,
    emit: Output,
    page: ReportPage,
) -> None:
    """Tell what is found for each input, in order; errors as ``each_found``.

    Parameters
    ----------
    writing : TextCommand
    given, named : sequence of str
        The inputs, and what they are called in warnings.
    nothing : str
        What is said of those for which nothing is found.
    lm : CausalLM
        What finds them here; workers load their own.
    work : WorkOptions
    emit, page
        Where they are told.
    """
    results = writing.found(given, lm)
    if not work.shared:
        with emit, page:
            for k, result in each_found(named, results, nothing):
                writing.tell(given[k], result, emit, page)
        return
    # All inputs were checked; workers make what they need of theirs themselves.
    del results, lm
    with emit, page, bar(desc="writing", total=len(given), unit="input") as shown:
        for _, told in each_found(named, _told(writing, given, work, shown), nothing):
            with shown.external_write_mode():
                told.repeat(emit, page)


def _told(
    writing: TextCommand, given: Sequence[str], work: WorkOptions, shown: Any
) -> Iterator[Told | ZeroWeightError]:
    """What workers tell of each input."""
    from ergotext.samplers.weighted.samples import ZeroWeightError

    for text in work.results(partial(_started, writing), given):
        told = read(text)
        shown.update()
        yield ZeroWeightError(told.nothing) if told.nothing else told


def _started(writing: TextCommand) -> Work:
    """What tells of one input after another, in another process."""
    lm = writing.lm.load()

    def tell(one: str, emit: LineSink, page: SectionSink) -> None:
        from ergotext.tasks.searching import only

        writing.tell(one, only(writing.found([one], lm)), emit, page)

    return lambda one: kept(partial(tell, one), writing.ascii_only, writing.report)
