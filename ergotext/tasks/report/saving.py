"""Save a report from Python: what ``--report`` of ``sample`` and ``generate`` saves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergotext.errors import ErgotextError, InputError
from ergotext.samplers.result import Result
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.support.files import write_text
from ergotext.tasks.generation.results import Generations
from ergotext.tasks.report import generations, runs
from ergotext.tasks.report.page import MOST, check_libraries, page
from ergotext.tasks.sample import texts_of

Reported = Result | WeightedResult | Generations
"""What has a section of its own."""


def report(
    found: Reported | Sequence[Reported],
    path: str | Path,
    *,
    titles: str | Sequence[str] | None = None,
) -> None:
    """Save one self-contained page on how texts were found, and what the numbers are worth.

    The page loads nothing and runs no script. The same as ``ergotext sample --report`` and
    ``ergotext generate --report``; for answers to questions use ``ergotext retrieve --report``.

    Parameters
    ----------
    found : Result, WeightedResult or Generations, or a sequence of them
        What ``et.sample`` and ``et.generate`` return. Of a run with ``record=True`` the page shows
        every proposal of chains, or the particles after each token. Of many the first twelve have
        a section.
    path : str or Path
        The page; a file that is there is replaced.
    titles : str or sequence of str, optional
        A heading for each, such as its prompt. [the energy; "Generated texts"]

    Raises
    ------
    InputError
        There is nothing to report, or not as many titles; jinja2 or matplotlib is not installed.
    ErgotextError
        The file cannot be written.

    Examples
    --------
    >>> result = et.sample(energy, sampler="mh", record=True)
    >>> et.report(result, "run.html")
    """
    check_libraries()
    every = [found] if isinstance(found, Reported) or not isinstance(found, Sequence) else found
    for one in every:
        if not isinstance(one, Reported):
            raise InputError(
                "a report is of what et.sample or et.generate returned, got one of type "
                f"{type(one).__name__}"
            )
    if not every:
        raise InputError("nothing to report: give at least one result")
    named = [titles] if isinstance(titles, str) else titles
    if named is not None and len(named) != len(every):
        raise InputError(f"give a title for each result: got {len(named)} for {len(every)}")
    sections = [
        _section(one, None if named is None else named[k]) for k, one in enumerate(every[:MOST])
    ]
    text = page([], sections, len(every) - len(sections))
    try:
        write_text(Path(path), text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ErgotextError(f"the report {path} could not be written ({reason})") from error


def _section(one: Reported, title: str | None) -> str:
    if isinstance(one, Generations):
        return generations.section("Generated texts" if title is None else title, one)
    return runs.section(repr(one.problem) if title is None else title, one, texts_of(one, None))
