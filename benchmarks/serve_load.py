"""Load on ``ergotext serve`` over loopback: throughput by clients, and a crowd that misbehaves.

``python benchmarks/serve_load.py throughput`` asks ``/v1/retrieve`` by 1 and by 16 clients in turn,
each for ``--seconds``, and prints questions a second, their ratio, and the CPU seconds that the
server spent for each. ``crowd`` runs 64 clients (``--clients``) for ``--seconds``: a tenth send
what is malformed, hang up, or send only half. It counts what became of every request and compares
the server's memory before and after; it fails if a request was lost or memory grew beyond 1.2
times.

The server is started here, on a free port, with an index of ``examples/facts.tsv``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = [
    "Who painted Guernica?", "How high is Mount Everest?", "What is the capital of France?",
    "苹果公司是谁创立的？", "Who wrote Hamlet?", "长江有多长？", "Where is Mount Fuji?",
    "Who composed The Magic Flute?",
]  # fmt: skip
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*more: str) -> Iterator[tuple[int, int]]:
    """Process id and port of a server that has just started."""
    run = [sys.executable, "-c", "from ergotext.cli import entry; entry()"]
    with tempfile.TemporaryDirectory() as made:
        index = str(Path(made) / "facts.ergo")
        facts = str(ROOT / "examples" / "facts.tsv")
        build = ["index", "build", facts, "-o", index, "--tokenizer", "tiny-retriever"]
        subprocess.run([*run, *build], check=True, capture_output=True)
        command = [*run, "serve", "-i", index, "--port", "0", "--model", "tiny-causal",
                   "--threads", "1", *more]  # fmt: skip
        log = Path(made) / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(command, stderr=stream)
        try:
            while not (found := re.search(r"serving http://\S+:(\d+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield process.pid, int(found[1])
        finally:
            process.terminate()
            code = process.wait(120)
            failed = [line for line in log.read_text().splitlines() if '"failed"' in line]
            print(f"the server ended with {code}; {len(failed)} faults in its log", *failed[:3])


def memory(pid: int) -> int:
    """Bytes in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """CPU seconds that a process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def posted(path: str, body: bytes, length: int | None = None) -> bytes:
    """A request as it goes over the wire."""
    size = len(body) if length is None else length
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {size}\r\n\r\n").encode() + body  # fmt: skip


async def answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer that is read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if found := re.search(rb"(?i)content-length: (\d+)", head):
        await reader.readexactly(int(found[1]))
    elif re.search(rb"(?i)transfer-encoding: chunked", head):
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:  # after first bytes that are no HTTP: its end is that of the connection
        await reader.read()
    return status


async def client(port: int, until: float, number: int, seconds: list[float]) -> int:
    """Ask one question after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.monotonic() < until:
        question = QUESTIONS[(number + count) % len(QUESTIONS)]
        began = time.monotonic()
        writer.write(posted("/v1/retrieve", json.dumps({"questions": [question]}).encode()))
        assert await answer(reader) == 200
        seconds.append(time.monotonic() - began)
        count += 1
    writer.close()
    return count


async def throughput(port: int, pid: int, clients: int, seconds: float) -> tuple[float, float]:
    """Questions a second, and CPU seconds of the server for each."""
    began, spent = time.monotonic(), cpu(pid)
    waits: list[float] = []
    counts = await asyncio.gather(
        *[client(port, began + seconds, k, waits) for k in range(clients)]
    )
    took, total = time.monotonic() - began, sum(counts)
    waits.sort()
    each = (cpu(pid) - spent) / total
    middle, late = (waits[int(share * len(waits))] for share in (0.5, 0.99))
    print(f"{clients:3} clients: {total / took:7.1f} questions/s, median {middle:.3f} s, "
          f"99% {late:.3f} s, {1000 * each:.1f} CPU ms each")  # fmt: skip
    return total / took, each


def good(draw: random.Random) -> bytes:
    """A request that can be answered."""
    kind = draw.random()
    if kind < 0.8:
        asked = {"questions": draw.sample(QUESTIONS, draw.choice([1, 1, 2, 4]))}
        return posted("/v1/retrieve", json.dumps(asked).encode())
    if kind < 0.9:
        body = {"prompt": "The weather is ", "choices": ["sunny", "rainy", "cold"]}
        return posted("/v1/generate", json.dumps(body).encode())
    if kind < 0.95:
        sample = {"keywords": ["dog"], "particles": 4, "max_length": 8, "n": 1}
        return posted("/v1/sample", json.dumps(sample).encode())
    chat = {"prompt": "The dog", "max_tokens": 8, "seed": draw.randrange(1000)}
    return posted("/v1/completions", json.dumps(chat).encode())


BAD = [
    posted("/v1/retrieve", b"{"), posted("/v1/retrieve", b'{"questions": 1}'),
    posted("/v1/retrieve", b'{"questions": ["x"], "k": -1}'), posted("/nothing", b"{}"),
    posted("/v1/generate", b'{"prompt": "x", "regex": "("}'),
    posted("/v1/retrieve", b'{"questions": ["' + b"x" * 20000 + b'"]}'),
    b"GET /v1/retrieve HTTP/1.1\r\nHost: localhost\r\n\r\n", b"nonsense\r\n\r\n",
]  # fmt: skip


async def member(port: int, until: float, number: int, counts: Counter[str]) -> None:
    """One of the crowd: mostly asks and reads the answer, now and then misbehaves."""
    draw = random.Random(number)
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(draw.randint(1, 20)):
                if time.monotonic() >= until:
                    break
                kind = draw.random()
                if kind < 0.9:
                    writer.write(good(draw))
                elif kind < 0.95:
                    writer.write(draw.choice(BAD))
                else:
                    whole = good(draw)
                    writer.write(whole if kind < 0.975 else whole[: len(whole) // 2])
                    await writer.drain()
                    await asyncio.sleep(draw.random() * 0.05)
                    counts["hung up"] += 1
                    writer.transport.abort()
                    break
                status = await asyncio.wait_for(answer(reader), 60)
                counts[f"{'good' if kind < 0.9 else 'malformed'}: {status}"] += 1
                if status == 400 and kind >= 0.9:
                    break  # the connection may be closed after what is no HTTP
        except TimeoutError:
            counts["no answer"] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            counts["hung up" if kind >= 0.95 else "lost"] += 1
            print(f"{type(error).__name__} after a draw of {kind:.3f}")
        finally:
            writer.close()


async def crowd(port: int, clients: int, seconds: float) -> Counter[str]:
    """What became of all requests of a crowd."""
    counts: Counter[str] = Counter()
    until = time.monotonic() + seconds
    await asyncio.gather(*[member(port, until, k, counts) for k in range(clients)])
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "crowd"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with server() as (pid, port):
        if given.what == "throughput":
            asyncio.run(throughput(port, pid, 16, 3))  # warm-up
            rates: dict[int, list[float]] = {1: [], 16: []}
            costs: dict[int, list[float]] = {1: [], 16: []}
            for _ in range(given.rounds):
                for count in rates:
                    rate, cost = asyncio.run(throughput(port, pid, count, given.seconds))
                    rates[count].append(rate)
                    costs[count].append(cost)
            ratio = sum(rates[16]) / sum(rates[1])
            print(f"16 clients have {ratio:.2f} times the questions/s of one, and "
                  f"{sum(costs[1]) / sum(costs[16]):.2f} times fewer CPU seconds each")  # fmt: skip
            return
        clients = given.clients or 64
        print("warm-up:", dict(asyncio.run(crowd(port, clients, 15))))
        before = memory(pid)
        counts = asyncio.run(crowd(port, clients, given.seconds))
        time.sleep(1)
        after = memory(pid)
        print(f"{clients} clients, {given.seconds:g} s: {sum(counts.values()):,} requests")
        for what, count in sorted(counts.items()):
            print(f"  {what:16} {count:,}")
        print(f"memory {before >> 20} MB after warm-up, {after >> 20} MB at the end: "
              f"{after / before:.2f} times")  # fmt: skip
        wrong = [what for what in counts if what in ("lost", "no answer") or ": 5" in what]
        if wrong or after > 1.2 * before:
            sys.exit(f"failed: {wrong or 'memory'}")


if __name__ == "__main__":
    main()
