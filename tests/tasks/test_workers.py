"""The same work in this process and by actors of ray, one of which dies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.tasks import workers
from tests.paths import ROOT

SCRIPT = """
import json, os, signal, sys
from functools import partial
from pathlib import Path
import ray
from ergotext.cli import main
from ergotext.errors import ErgotextError, InputError
from ergotext.tasks.workers import done_by_ray, done_here

def start(mark):
    def work(text):
        with open(mark + ".log", "a") as log:
            log.write(f"{os.getpid()}\\n")
        if text == "dies" and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)  # this worker alone
        return text.upper()
    return work

def none():
    raise InputError("no work for it")

mark, model = sys.argv[1:3]
ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
texts = [*"abcdef", "dies", *"ghij"]
print("told:", json.dumps([*done_by_ray(partial(start, mark), texts, 2)]))
print("told:", json.dumps([*done_here(partial(start, mark), texts)]))
try:
    list(done_by_ray(none, ["a"], 1))
except InputError as error:
    print("told:", json.dumps([str(error), ray.is_initialized()]))
asked = ["generate", "-", "--choice", " on", "--choice", " no", "--json", "--model", model]
for engine in ("ray", "local"):
    sys.stdin = open(mark + ".prompts", encoding="utf-8")
    files = ["-o", f"{mark}.{engine}", "--report", f"{mark}.html"]
    code = main([*asked, "--threads", "1", "--engine", engine, *files])
    Path(f"{mark}.html").rename(f"{mark}.{engine}.html")
    print("told:", json.dumps(code))
"""


@pytest.mark.slow
def test_ray_does_the_same_and_survives_a_dead_worker(tmp_path: Path, model_folder: Path) -> None:
    mark, prompts = tmp_path / "dead", [f"It is {n}" for n in range(6)]
    (tmp_path / "dead.prompts").write_text("\n".join(prompts), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(mark), str(model_folder)], cwd=ROOT, text=True,
        capture_output=True, timeout=500, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [json.loads(x.removeprefix("told: ")) for x in done.stdout.splitlines()
            if x.startswith("told: ")]  # fmt: skip
    by_ray, here, cannot, *codes = told
    assert by_ray == here == [text.upper() for text in [*"abcdef", "dies", *"ghij"]]
    assert mark.exists() and len(set((tmp_path / "dead.log").read_text().split())) >= 3
    assert cannot == ["no work for it", True] and codes == [0, 0]
    lines = [(tmp_path / f"dead.{engine}").read_text() for engine in ("ray", "local")]
    assert [json.loads(line)["prompt"] for line in lines[0].splitlines()] == prompts
    assert lines[0] == lines[1]
    pages = [(tmp_path / f"dead.{engine}.html").read_text() for engine in ("ray", "local")]
    sections = [re.findall(r"<section>.*?</section>", page, re.DOTALL) for page in pages]
    assert len(sections[0]) == 6 and sections[0] == sections[1]
    assert "Execution plan" not in done.stderr  # nor what else ray tells of itself


def test_an_engine_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'ray\[data\]"):
        next(workers.done_by_ray(lambda: str.upper, ["a"], 1))
    assert [*workers.done_here(lambda: str.upper, ["a", "b"])] == ["A", "B"]
