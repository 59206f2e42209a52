"""Runs commands by ray and here; of each, a worker kills itself once. ``test_many`` compares."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from ergotext.cli import main
from ergotext.commands.work_options import WorkOptions

folder, causal, kb = map(Path, sys.argv[1:])
results = WorkOptions.results


def dying(start, mark):
    """The same work, in which the first that gets an input dies."""
    work = start()

    def one(text):
        with mark.with_suffix(".log").open("a") as log:
            log.write(f"{os.getpid()}\n")
        with suppress(FileExistsError):
            mark.with_suffix(".died").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)  # this worker alone
        return work(text)

    return one


def run(command, engine):
    """One command, to a file."""
    more = ["--model", str(causal), "--particles", "8"]
    if command == "retrieve":
        more = ["--model", str(kb / "model"), "-i", str(kb / "kb.ergo"), "--batch-size", "1"]
    mark = folder / command
    WorkOptions.results = lambda self, start, inputs: results(
        self, partial(dying, start, mark) if engine == "ray" else start, inputs
    )
    with mark.with_suffix(".txt").open(encoding="utf-8") as sys.stdin:
        return main([command, "-", *more, "--json", "--threads", "1", "--engine", engine,
                     "-o", f"{mark}.{engine}"])  # fmt: skip


for command in ("write", "infill", "retrieve"):
    for engine in ("ray", "local"):
        print("told:", command, engine, run(command, engine))
