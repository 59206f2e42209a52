"""The page that commands save with ``--report``; what is on it, ``ergotext.tasks.report`` makes."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from ergotext.commands.console import ARGUMENTS, place, write_whole

OPTION = "--report"


class ReportPage:
    """Sections that become a page when the command ends, whatever ends it.

    There is no file unless something was found; one that was there stays as it is until then.

    Parameters
    ----------
    path : Path, optional
        Without one, nothing is made.
    *others : Path or None
        Files that the command reads or writes besides; none of them is written over.

    Raises
    ------
    typer.BadParameter
        The file cannot be written, or is one of the others.
    InputError
        What makes reports is not installed.
    """

    def __init__(self, path: Path | None, *others: Path | None) -> None:
        self.path = None if path is None else place(path, OPTION)
        self.sections: list[str] = []
        self.left_out = 0
        if self.path is None:
            return
        if self.path in [Path(os.path.realpath(file)) for file in others if file is not None]:
            raise typer.BadParameter(
                f"{path} is used twice; give each file its own name", param_hint=OPTION
            )
        from ergotext.tasks.report.page import check_libraries

        check_libraries()

    @property
    def wanted(self) -> bool:
        """Whether there is to be a page, so that runs are recorded."""
        return self.path is not None

    def takes(self) -> bool:
        """Whether one more input gets a section; counts those that get none."""
        if self.path is None:
            return False
        from ergotext.tasks.report.page import MOST

        full = len(self.sections) >= MOST
        self.left_out += full
        return not full

    def add(self, section: str) -> None:
        """One more section, HTML."""
        self.sections.append(section)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.path is None or not self.sections:
            return
        from ergotext.tasks.report.page import page

        try:
            write_whole(self.path, page(ARGUMENTS.get(), self.sections, self.left_out))
        except OSError as error:
            raise typer.TyperException(
                f"the report {self.path} could not be written ({error.strerror or error})"
            ) from error
