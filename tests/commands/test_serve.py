"""``ergotext serve``: refusals in a line, and a process that answers and ends in order."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ergotext.cli import main
from ergotext.support import extras
from tests.server.conftest import facts as facts  # the fixture
from tests.waiting import until

TINY = ["--model", "tiny-causal", "--device", "cpu"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["serve", *arguments])
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("ergotext: ")
    return code, err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = refused(capsys, *TINY, "--port", str(port))
    assert code == 1 and f"port {port} of 127.0.0.1 is taken" in said and "--port" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "none"], "there is nothing to serve"),
        (["--model", "tiny-casual"], "did you mean 'tiny-causal'?"),
        ([*TINY, "-i", "none.ergo"], "none.ergo"),
        ([*TINY, "--host", "no.such.host.invalid"], "no.such.host.invalid"),
        ([*TINY, "--host", "192.0.2.1"], "192.0.2.1 is no address of this machine"),
        ([*TINY, "--token-file", "none.txt"], "none.txt"),
        ([*TINY, "--port", "70000"], "70000"),
        ([*TINY, "--max-seconds", "0"], "0"),
        ([*TINY, "--max-seconds", "nan"], "nan"),
        ([*TINY, "--queue", "0"], "0"),
    ],
)  # fmt: skip
def test_what_cannot_be_served(capsys, arguments: list[str], said: str) -> None:
    code, told = refused(capsys, *arguments)
    assert code == 2 and said in told


def test_a_token_must_be_one_that_can_be_sent(capsys, tmp_path: Path, monkeypatch) -> None:
    for text in ("", "two words", "naïve"):
        (tmp_path / "token").write_text(text, encoding="utf-8")
        code, said = refused(capsys, *TINY, "--token-file", str(tmp_path / "token"))
        assert code == 2 and "must be one word" in said
        monkeypatch.setenv("ERGOTEXT_TOKEN", text)
        code, said = refused(capsys, *TINY)
        assert code == 2 and "ERGOTEXT_TOKEN must be one word" in said
        monkeypatch.delenv("ERGOTEXT_TOKEN")


def test_a_missing_extra_is_named(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extras, "import_module", missing)
    code, said = refused(capsys, *TINY)
    assert code == 2 and "fastapi is not installed" in said and "pip install" in said


@contextmanager
def started(facts: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The command as a process, and its address; what it says goes into the log."""
    command = [sys.executable, "-c", "from ergotext.cli import entry; entry()", "serve", *TINY,
               "-i", str(facts), "--port", "0", "--threads", "1"]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream, env=environment)
    try:
        while not (found := re.search(r"serving (http://\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


def listening(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), 60).close()
    except ConnectionError:
        return False
    return True


def test_a_process_answers_and_ends_when_it_has_finished(facts: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(facts, log) as (process, address):
        asked = {"questions": ["Who painted Guernica?"]}
        reply = httpx.post(f"{address}/v1/retrieve", json=asked, timeout=60)
        assert reply.json()["data"][0]["results"][0]["values"] == ["Pablo Picasso"]
        body = {"keywords": ["dog"], "sampler": "mh", "steps": 150, "chains": 2}
        with httpx.stream("POST", f"{address}/v1/sample", json=body, timeout=60) as stream:
            got = stream.iter_lines()
            next(got)
            process.send_signal(signal.SIGTERM)
            rest = [*got]
        assert "event: result" in rest
        assert process.wait(60) == 0
    first, *lines = log.read_text().splitlines()
    assert first.startswith("serving http://127.0.0.1:") and "Guernica" not in str(lines)
    events = [json.loads(line) for line in lines]
    assert [one["event"] for one in events] == ["request", "request", "stopped"]
    assert [one.get("route") for one in events] == ["/v1/retrieve", "/v1/sample", None]


def test_a_second_signal_ends_it_at_once(facts: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(facts, log) as (process, address):
        body = {"keywords": ["dog"], "sampler": "mh", "steps": 5000, "chains": 16}
        with httpx.stream("POST", f"{address}/v1/sample", json=body, timeout=60) as stream:
            lines = stream.iter_lines()  # kept: it would close the connection
            next(lines)
            process.send_signal(signal.SIGINT)
            until(lambda: not listening(address))  # or two signals might count as one
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 1
    last = log.read_text().splitlines()[-1]
    assert last == "ergotext: ended at once by a second signal; requests were left unfinished"
