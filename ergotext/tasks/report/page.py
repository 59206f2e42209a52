"""The page of a report: templates, and what all sections share."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from ergotext.errors import InputError
from ergotext.support.extras import install, needed
from ergotext.support.words import seen
from ergotext.tasks.config import versions

MOST = 12
"""Inputs of one command that have a section of their own; the page of more would be heavy."""


def check_libraries() -> None:
    """InputError if what makes reports is not installed."""
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"a report needs {' and '.join(missing)}, not installed; run: {install('report')}"
        )


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A template of this room with its values; every text in them is escaped."""
    text: str = _environment().get_template(template).render(values)
    return text


def page(arguments: Sequence[str], sections: Sequence[str], left_out: int = 0) -> str:
    """The whole page.

    Parameters
    ----------
    arguments : sequence of str
        Of the command line, without the name of the program; none of a call from Python.
    sections : sequence of str
        HTML, as ``rendered`` made it.
    left_out : int
        Inputs that have no section.
    """
    values = {
        "name": arguments[0] if arguments else "",
        "command": [shlex.quote(one) for one in ("ergotext", *arguments)],
        "sections": sections,
        "left_out": left_out,
        "versions": versions(),
    }
    return rendered("page.html", values)


@cache
def _environment() -> Any:
    jinja = needed("jinja2", "report")
    made = jinja.Environment(
        loader=jinja.PackageLoader("ergotext.tasks.report"),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["inf"] = math.inf
    made.filters["safe_html"] = needed("markupsafe", "report").Markup
    return made


def _finalize(value: Any) -> Any:
    """Texts without what would turn lines around, or is no character of HTML."""
    plain = isinstance(value, str) and not hasattr(value, "__html__")
    return seen(value) if plain else value
