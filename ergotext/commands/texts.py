"""What commands that write texts share: load a model, print texts and statistics of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast, overload

import typer

from ergotext.commands.console import Interrupted
from ergotext.commands.options import DtypeName
from ergotext.support.threads import use_threads
from ergotext.support.words import as_line

if TYPE_CHECKING:
    from ergotext.commands.kept import Told
    from ergotext.lm.causal import CausalLM
    from ergotext.lm.loading import Dtype
    from ergotext.samplers.result import Result
    from ergotext.samplers.texts import Sample
    from ergotext.samplers.weighted.result import WeightedResult
    from ergotext.samplers.weighted.samples import ZeroWeightError


CJK = "\u2e80"
"""The first character of East Asian scripts, and of few others."""
PIECES = 2
"""Tokens a character from which on a script is taken to be unknown."""


def check_model(model: str, device: str) -> None:
    """InputError for a name that leads to no model, or no device; takes no time."""
    from ergotext.lm.sources import check_device, check_name

    check_name(model)
    check_device(device)


def load(model: str, device: str, dtype: str, threads: int | None) -> CausalLM:
    """Load the model that a command was given."""
    from ergotext.lm.loading import load_causal

    use_threads(threads)
    return load_causal(model, device=device, dtype=cast("Dtype", dtype))


@overload
def each_found(  # type: ignore[overload-overlap]  # none but errors are of both
    given: Sequence[str],
    results: Iterable[Result | WeightedResult | ZeroWeightError],
    nothing: str,
) -> Iterator[tuple[int, Result | WeightedResult]]: ...
@overload
def each_found(
    given: Sequence[str], results: Iterable[Told | ZeroWeightError], nothing: str
) -> Iterator[tuple[int, Told]]: ...
def each_found(
    given: Sequence[str],
    results: Iterable[Result | WeightedResult | Told | ZeroWeightError],
    nothing: str,
) -> Iterator[tuple[int, Result | WeightedResult | Told]]:
    """The place of each input for which something was found, and that; a warning for the others.

    Parameters
    ----------
    given : sequence of str
        The inputs, as they are named in warnings.
    results : iterable
        One for each.
    nothing : str
        What is said of those without a result: "texts got no filling".

    Raises
    ------
    ZeroWeightError
        Nothing was found for the only one.
    TyperException
        Nothing was found for some of several, told after the last.
    """
    from ergotext.samplers.weighted.samples import ZeroWeightError

    failed = 0
    for number, (one, result) in enumerate(zip(given, results, strict=True)):
        if not isinstance(result, ZeroWeightError):
            yield number, result
        elif len(given) == 1:
            raise result
        else:
            failed += 1
            typer.echo(f"warning: {about(one)}: {result}", err=True)
    if failed:
        raise typer.TyperException(f"{failed:,} of {len(given):,} {nothing} (see the warnings)")


def joined(texts: Iterable[str]) -> str:
    """A note on those that a Chinese comma stands in, which may have been meant to part them."""
    found = next((text for text in texts if any(sign in text for sign in "，、；")), None)
    return f"({found!r} is read as one: give several apart, with spaces between)" if found else ""


def script_note(lm: CausalLM, texts: Sequence[str]) -> str:
    """A note if the model spells East Asian characters byte by byte: it has hardly met them."""
    letters = "".join(c for text in texts for c in text if c >= CJK and c.isalpha())
    if not letters or len(lm.vocabulary.encode(letters)) < PIECES * len(letters):
        return ""
    return (
        f"({letters[:8]!r}: this model has no tokens for such characters and hardly knows the "
        "language; for Chinese, use --model gemma3-270m)"
    )


def about(given: str) -> str:
    """What was given, in a few characters of one line."""
    return f"{as_line(given)!r:.60}"


def show(
    emit: Callable[[str], None],
    result: Result | WeightedResult,
    found: Sequence[Sample],
    dtype: DtypeName,
    records: str,
    as_json: bool,
    notes: Sequence[str] | None = None,
) -> None:
    """Print the texts that were found, as text with notes or as JSON.

    Raises Interrupted after a Ctrl-C.
    """
    from ergotext.samplers.result import Result
    from ergotext.tasks.texts import as_text, how

    approximate = dtype is not DtypeName.float32
    if as_json:
        emit(records)
        typer.echo(how(result, approximate), err=True)
    else:
        emit(as_text(result, found, approximate, notes))
    if not isinstance(result, Result):
        return
    for line in result.unmoved:
        typer.echo(f"warning: {line}", err=True)
    if result.stopped == "interrupt":
        raise Interrupted("interrupted; the best texts so far are shown")
