"""kill -9 at random moments: is anything half-written, and is what goes on from it the same?

    python benchmarks/kill.py --kills 10
    python benchmarks/kill.py --kills 3 --only train evaluate

Each command runs once alone, and is timed. Then it is started again and again, killed at a moment
drawn from that time, and looked at: every file that is there must be whole (an index opens and is
the old or the new one, lines of JSON end, checkpoints can be read). The same command then goes on
to its end, with ``--resume`` where there is one, and must leave what the first run left, byte by
byte where no time of day or duration is written. A server is killed while it answers; its index
must be as it was, and a new server on the same port must give the same answers.

Only facts of the package and made-up ones are read; ``tiny-causal`` and ``tiny-retriever`` run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import httpx
from safetensors.torch import load_file

from ergotext.lm.trie import load

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-c", "from ergotext.cli import entry; entry()"]
FIRST = 0.15
"""Share of a run before which it is not killed: until then it imports its libraries."""
FACTS = 20_000


@dataclass
class Case:
    """A command in a folder of its own.

    ``left`` is what must be equal in the end; ``whole`` looks at what a kill left, and raises.
    """

    name: str
    arguments: list[str]
    left: Callable[[Path], object]
    whole: Callable[[Path], None]
    prepare: Callable[[Path], None] | None = None
    again: list[str] = field(default_factory=list)
    begun: str = ""
    """A file without which there is no run to resume: then it starts anew."""

    def start(self, folder: Path, again: bool = False) -> subprocess.Popen[bytes]:
        again = again and (folder / self.begun).exists()
        own = [*COMMAND, *self.arguments, *(self.again if again else [])]
        with (folder / "stderr.txt").open("ab") as said:
            return subprocess.Popen(own, cwd=folder, stdout=subprocess.DEVNULL, stderr=said)

    def end(self, folder: Path, again: bool = False) -> None:
        if code := self.start(folder, again).wait(600):
            raise AssertionError(f"exit code {code}: {(folder / 'stderr.txt').read_text()[-600:]}")


def killed(case: Case, folder: Path, after: float) -> bool:
    """Start it and kill it after so many seconds; whether it was still running."""
    process = case.start(folder)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def tried(case: Case, kills: int, seed: int) -> str:
    """Kill it so many times; a line on what was found."""
    chance, hit, faults = random.Random(f"{seed} {case.name}"), 0, list[str]()
    with fresh(case) as folder:
        began = time.monotonic()
        case.end(folder)
        seconds, expected = time.monotonic() - began, case.left(folder)
    for number in range(kills):
        with fresh(case) as folder:
            after = seconds * chance.uniform(FIRST, 1)
            hit += killed(case, folder, after)
            try:
                case.whole(folder)
                case.end(folder, again=True)
                if case.left(folder) != expected:
                    faults.append(f"kill {number} after {after:.2f} s: another result")
            except Exception as error:  # any is what is looked for
                faults.append(f"kill {number} after {after:.2f} s: {error!r:.400}")
    said = f"{case.name}: {hit} of {kills} killed on the way ({seconds:.1f} s whole)"
    return "\n  ".join([f"{said}, {len(faults)} faults", *faults])


@contextmanager
def fresh(case: Case) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"kill-{case.name}-"))
    try:
        if case.prepare is not None:
            case.prepare(folder)
        yield folder
    finally:
        shutil.rmtree(folder)


def digest(path: Path) -> str:
    return blake2b(path.read_bytes()).hexdigest()


def digests(folder: Path, *patterns: str) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): digest(path)
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
    }


# The commands.


def many_facts(folder: Path) -> None:
    lines = (f"thing {n}\tnumber\t{n}\nthing {n}\tnext\tthing {n + 1}\n" for n in range(FACTS))
    (folder / "kb.tsv").write_text("".join(lines))
    (folder / "old.tsv").write_text("old\tp\to\n")
    built = [*COMMAND, "index", "build", "old.tsv", "-o", "kb.ergo"]
    subprocess.run(built, cwd=folder, check=True, capture_output=True)


def old_or_new(folder: Path) -> None:
    trie = load(folder / "kb.ergo")
    assert len(trie) in {1, 2 * FACTS}, f"an index of {len(trie):,} keys"
    assert all(key in trie for key in (["old\tp"] if len(trie) == 1 else ["thing 7\tnext"]))


def index_case() -> Case:
    built = ["index", "build", "kb.tsv", "-o", "kb.ergo"]
    return Case("index", built, lambda folder: digest(folder / "kb.ergo"), old_or_new, many_facts)


def facts(folder: Path) -> None:
    shutil.copy(ROOT / "examples" / "facts.tsv", folder)
    shutil.copy(ROOT / "examples" / "questions.jsonl", folder)
    built = [*COMMAND, "index", "build", "facts.tsv", "-o", "facts.ergo"]
    built += ["--tokenizer", "tiny-retriever"]
    subprocess.run(built, cwd=folder, check=True, capture_output=True)


def whole_lines(folder: Path) -> None:
    """All lines but the last, which the next run cuts off, are JSON."""
    path = folder / "out.jsonl"
    if path.exists():
        *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
        for line in lines:
            json.loads(line)


def evaluate_case() -> Case:
    asked = ["evaluate", "questions.jsonl", "-i", "facts.ergo", "-o", "out.jsonl", "--threads", "1"]
    return Case("evaluate", asked, lambda folder: digest(folder / "out.jsonl"), whole_lines, facts)


def readable(folder: Path) -> None:
    """Weights that stand under their names are whole."""
    for path in folder.glob("mine/**/*.safetensors"):
        load_file(path)


def train_case() -> Case:
    trained = [
        "train", "questions.jsonl", "-i", "facts.ergo", "-o", "mine", "--threads", "1",
        "--steps", "6", "--every", "2", "--lookahead-steps", "12", "--dev-limit", "6",
    ]  # fmt: skip
    return Case(
        "train", trained,
        lambda folder: digests(folder / "mine", "*.safetensors", "**/matcher.*", "mentions.json"),
        readable, facts, ["--resume"], "mine/training.json",
    )  # fmt: skip


def resumes(folder: Path) -> None:
    """Only a run that has written its first checkpoint can be resumed; before, it begins anew."""
    checkpoint = folder / "run.pt"
    assert not checkpoint.exists() or checkpoint.stat().st_size


def sample_case() -> Case:
    drawn = [
        "sample", "--model", "tiny-causal", "--sampler", "mh", "--steps", "120", "--chains", "4",
        "--checkpoint", "run.pt", "--every", "10", "-o", "out.jsonl", "--threads", "1",
    ]  # fmt: skip
    return Case(
        "sample", drawn, lambda folder: digest(folder / "out.jsonl"), resumes, again=["--resume"]
    )  # fmt: skip


QUESTIONS = {"questions": ["Who wrote Hamlet?", "What is the capital of France?"]}


@contextmanager
def served(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    own = [*COMMAND, "serve", "-i", "facts.ergo", "--port", str(port), "--threads", "1"]
    with (folder / "stderr.txt").open("ab") as said:
        process = subprocess.Popen(own, cwd=folder, stdout=subprocess.DEVNULL, stderr=said)
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, (folder / "stderr.txt").read_text()[-600:]
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def answers(port: int, count: int) -> str:
    url = f"http://127.0.0.1:{port}/v1/retrieve"
    told = [httpx.post(url, json=QUESTIONS, timeout=60).json() for _ in range(count)]
    assert all(one == told[0] for one in told)
    return json.dumps(told[0], sort_keys=True)


def serve_tried(kills: int, seed: int) -> str:
    """A server that is killed while it answers, and another one in its place."""
    chance, faults = random.Random(seed), list[str]()
    folder = Path(tempfile.mkdtemp(prefix="kill-serve-"))
    try:
        facts(folder)
        before = digests(folder, "*.ergo", "*.json")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with served(folder, port):
            expected = answers(port, 3)
        for number in range(kills):
            with served(folder, port) as process:
                asking = subprocess.Popen(
                    [sys.executable, "-c", f"import httpx\nwhile True: httpx.post('http://127.0.0.1:"
                     f"{port}/v1/retrieve', json={QUESTIONS!r}, timeout=60)"],
                    stderr=subprocess.DEVNULL,
                )  # fmt: skip
                time.sleep(chance.uniform(0.3, 1.5))
                process.send_signal(signal.SIGKILL)
                process.wait()
                asking.kill()
                asking.wait()
            if digests(folder, "*.ergo", "*.json") != before:
                faults.append(f"kill {number}: another index")
        with served(folder, port):
            if answers(port, 3) != expected:
                faults.append("other answers")
    finally:
        shutil.rmtree(folder)
    return "\n  ".join([f"serve: {kills} killed on the way, {len(faults)} faults", *faults])


CASES = {case.name: case for case in (index_case(), train_case(), evaluate_case(), sample_case())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--only", nargs="+", choices=[*CASES, "serve"], default=[*CASES, "serve"])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in args.only:
        if name == "serve":
            print(serve_tried(args.kills, args.seed), flush=True)
        else:
            print(tried(CASES[name], args.kills, args.seed), flush=True)


if __name__ == "__main__":
    main()
