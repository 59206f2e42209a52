"""Many inputs in one process and by Ray workers, one of which is killed: the same bytes, and time.

    python benchmarks/many.py write sets.jsonl -- --json --model tiny-causal --particles 4
    python benchmarks/many.py retrieve questions.txt -- -i kb.ergo --json

Runs ``ergotext COMMAND -`` on the file with one thread: here, then by two workers, of which the one
that first gets to its second input kills itself. Prints seconds, CPU seconds (of workers: from
their first line of Python to their last result, the dead one's as well) and whether what they
wrote is the same. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ergotext.cli import main as ergotext
from ergotext.commands.work_options import WorkOptions
from ergotext.tasks.workers import Start, Work


def watched(start: Start, mark: Path) -> Work:
    """The same work, whose CPU seconds are noted; the first at its second input dies."""
    work, done = start(), []

    def one(text: str) -> str:
        done.append(text)
        died = mark.with_suffix(".died")
        if len(done) == 2 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)  # this worker alone
        result = work(text)
        with mark.with_suffix(".log").open("a") as log:
            log.write(f"{os.getpid()} {time.process_time()}\n")
        return result

    return one


def run(mark: Path, engine: str, command: str, file: Path, more: Sequence[str]) -> int:
    """One command in this process."""
    if engine == "ray":
        results = WorkOptions.results
        WorkOptions.results = lambda self, start, inputs: results(  # type: ignore[method-assign]  # to kill one
            self, partial(watched, start, mark), inputs
        )
    with file.open(encoding="utf-8") as sys.stdin:
        output = ["-o", str(mark.with_suffix(f".{engine}"))]
        return ergotext([command, "-", *more, "--threads", "1", "--engine", engine, *output])


def timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of this script as a process with such arguments."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - began, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["write", "infill", "retrieve", "generate"])
    parser.add_argument("file", type=Path)
    parser.add_argument("more", nargs="*")
    parser.add_argument("--as", dest="engine", choices=["local", "ray"], help=argparse.SUPPRESS)
    parser.add_argument("--mark", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.engine:
        sys.exit(run(told.mark, told.engine, told.command, told.file, told.more))
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "many"
        for engine in ("local", "ray"):
            own = ["--as", engine, "--mark", str(mark)]
            seconds, cpu = timed([*own, told.command, str(told.file), "--", *told.more])
            print(f"{engine}: {seconds:.1f} s, {cpu:.1f} CPU s of this process", flush=True)
        used = dict(line.split() for line in mark.with_suffix(".log").read_text().splitlines())
        print("workers:", ", ".join(f"{float(each):.1f} CPU s" for each in used.values()))
        print("a worker was killed:", mark.with_suffix(".died").exists())
        same = filecmp.cmp(mark.with_suffix(".local"), mark.with_suffix(".ray"), shallow=False)
        print("the same bytes:", same)
        sys.exit(not same)


if __name__ == "__main__":
    main()
