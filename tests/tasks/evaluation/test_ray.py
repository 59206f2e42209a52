"""The same evaluations by actors of ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.tasks import workers
from tests.tasks.evaluation.test_evaluate import ROOT, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def ray_script(run: Run, tmp_path: Path) -> str:
    """An evaluation that goes well, and one that cannot, in a session of ray that outlives both."""
    return f"""
from functools import partial
from ergotext.errors import ErgotextError
from ergotext.tasks.evaluation import evaluate as module
from tests.tasks import plain_retriever
import ray

ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
module.BATCH = 1
config = dict(data={str(run.data)!r}, index={str(run.index)!r}, model="plain", engine="ray",
              workers=2)
make = partial(plain_retriever.make, {str(run.index)!r}, {str(run.log)!r})
done = module.evaluate(dict(config, output={str(tmp_path / "ray.jsonl")!r}), make, progress=False)
print("told:", done.json())
try:
    module.evaluate(
        dict(config, output={str(tmp_path / "none.jsonl")!r}),
        partial(plain_retriever.none, "it"), progress=False,
    )
except ErgotextError as error:
    print("told:", error, ray.is_initialized())
"""


@pytest.mark.slow
def test_ray_answers_alike(run: Run, ray_script: str, tmp_path: Path) -> None:
    """With two workers, to the byte; a question that fails is told by these as well."""
    with run.data.open("a", encoding="utf-8") as file:
        file.write('{"id": "last", "question": "this fails"}\n')
    here = run()
    run.log.unlink()
    done = subprocess.run(
        [sys.executable, "-c", ray_script], cwd=ROOT, capture_output=True, text=True, timeout=500,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ray.jsonl").read_bytes() == run.output.read_bytes()
    hits = tmp_path / "ray.hits.jsonl"
    assert hits.read_bytes() == run.output.with_suffix(".hits.jsonl").read_bytes()
    told = [x.removeprefix("told: ") for x in done.stdout.splitlines() if x.startswith("told: ")]
    result, cannot = told  # ray may have lines of its own between
    there = json.loads(result)
    assert there["failures"] == here.failed and there["EMF1"] == 60.0
    assert len(set(run.log.read_text().split())) == 2  # processes
    assert cannot == "UnanswerableError: no model for it True"


def test_without_ray(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'ray\[data\]"):
        run(engine="ray")
    assert not run.output.exists()
