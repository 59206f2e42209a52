"""The table: ours, others, and the ratio, both sides alternately in one run.

    make bench
    python benchmarks/bench.py --peers FOLDER -o bench.json
    python benchmarks/bench.py --quick

Each side of a row does its work once for nothing, then all sides in turn, five rounds; rates are
medians, ratios medians of the rounds' with the least and the greatest. A ratio above 1 says that
ours is faster. Rates go by the clock: run it on a machine that does nothing else, or with ``--cpu``
by CPU seconds. Packages that are compared with and not installed are looked for in ``--peers``
(``pip install --no-deps --target FOLDER outlines_core xgrammar apache-tvm-ffi``); a row says which
it did not find. What each row measures: ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from table import chains, decoding, starting, tries
from table.rows import Measured, Row, Scale, measure

SUBJECTS: dict[str, Callable[[Scale], Iterator[Row]]] = {
    "decoding": decoding.rows,
    "starting": starting.rows,
    "tries": tries.rows,
    "chains": chains.rows,
}
HEAD = ["row", "unit / s", "ours", "beside", "theirs", "ratio", "range"]


def machine(scale: Scale) -> dict[str, str | int]:
    """What the figures rest on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
        if Path("/proc/cpuinfo").exists()
        else iter([]),
        platform.processor() or platform.machine(),
    )
    return {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": model,
        "cores": os.cpu_count() or 1,
        "threads": scale.threads,
        "seconds": "of the CPU" if scale.cpu else "of the clock",
        "rounds": scale.rounds,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, help="Subjects, by default all.")
    parser.add_argument("--quick", action="store_true", help="Small sizes, one round.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="By CPU seconds.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", type=Path, help="Folder of packages to compare with.")
    parser.add_argument("-o", "--output", type=Path, help="Where to write the figures as JSON.")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    scale = Scale(arguments.quick, rounds, arguments.threads, arguments.cpu, arguments.peers)
    torch.set_num_threads(scale.threads)
    warnings.simplefilter("ignore")
    told, found = machine(scale), list[Measured]()
    print(", ".join(f"{key} {value}" for key, value in told.items()))
    for subject in arguments.only or SUBJECTS:
        print(f"\n## {subject}\n\n| {' | '.join(HEAD)} |\n{'| --- ' * len(HEAD)}|", flush=True)
        for row in SUBJECTS[subject](scale):
            for one in measure(subject, row, scale):
                found.append(one)
                print(f"| {' | '.join(one.cells())} |", flush=True)
    if arguments.output is not None:
        rows = [one.record() for one in found]
        arguments.output.write_text(json.dumps({"machine": told, "rows": rows}, indent=1) + "\n")
        print(f"\n{len(rows)} rows in {arguments.output}")


if __name__ == "__main__":
    main()
