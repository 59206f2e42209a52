"""Run notebooks and store what they print in them: ``make notebooks``.

python benchmarks/notebooks.py examples/*.ipynb

Each runs in its own folder. Progress and warnings (stderr) are not stored, nor when a cell ran.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SECONDS = 600


def run(path: Path) -> None:
    """Run a notebook and write it anew; CellExecutionError, and nothing written, if one fails."""
    book = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.resolve().parent)}}
    NotebookClient(book, timeout=SECONDS, resources=resources, record_timing=False).execute()
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    book.metadata.pop("widgets", None)
    # The version of Python would change with the machine.
    book.metadata.language_info = {"name": "python"}
    nbformat.validate(book)
    nbformat.write(book, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    for path in parser.parse_args().notebooks:
        run(path)
        print(path)


if __name__ == "__main__":
    main()
