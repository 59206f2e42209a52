"""Whole evaluations: what is written, what is scored, what outlives failures and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.trie import load, save
from ergotext.tasks.evaluation import evaluate as module
from ergotext.tasks.evaluation.evaluate import evaluate
from ergotext.tasks.evaluation.predictions import JsonLines
from ergotext.tasks.evaluation.report import Evaluation
from ergotext.tasks.evaluation.workers import Ask
from ergotext.tasks.index import build
from tests.faulty import load_with_fault
from tests.paths import ROOT
from tests.tasks import plain_retriever

KB = """苹果（水果）\t产地\t山东
苹果（公司）\t创始人\t乔布斯
苹果（公司）\t总部\t库比蒂诺
香蕉\t产地\t海南
香蕉\t产地\t广东
香蕉\t颜色\t黄
"""
ASKED = [
    ("苹果的产地在哪里？", "苹果（水果） ||| 产地 ||| 山东"),
    ("谁是苹果的创始人？", "苹果（公司） ||| 创始人 ||| 乔布斯"),
    ("香蕉的产地在哪里？", "香蕉 ||| 产地 ||| 广东"),
    ("香蕉是什么颜色？", "香蕉 ||| 颜色 ||| 黄"),
    ("苹果 nothing", "苹果（公司） ||| 总部 ||| 库比蒂诺"),
]
ANSWERS = [
    "苹果（水果） ||| 产地 ||| 山东", "苹果（公司） ||| 创始人 ||| 乔布斯",
    "香蕉 ||| 产地 ||| 海南", "香蕉 ||| 颜色 ||| 黄", "",
]  # fmt: skip


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Run:
    """An evaluation with its files in a folder."""

    def __init__(self, folder: Path, asked: Sequence[tuple[str, str | None]] = ASKED) -> None:
        self.data, self.index = folder / "dev.json", folder / "kb.ergo"
        self.output, self.log = folder / "out.jsonl", folder / "log"
        self.data.write_text(
            "".join(
                json.dumps({"id": n, "question": q} | ({"answer": a} if a is not None else {}))
                + "\n"
                for n, (q, a) in enumerate(asked)
            ),
            encoding="utf-8",
        )
        (folder / "kb.tsv").write_text(KB, encoding="utf-8")
        build(folder / "kb.tsv", self.index)

    def __call__(self, make: Any = None, by: Any = evaluate, **more: Any) -> Evaluation:
        config = {
            "data": str(self.data), "index": str(self.index), "output": str(self.output),
            "model": "plain", "engine": "local", "workers": 2, **more,
        }  # fmt: skip
        own = partial(plain_retriever.make, str(self.index), str(self.log))
        found: Evaluation = by(config, make or own, progress=False)
        return found

    @property
    def told(self) -> dict[str, Any]:
        return tomllib.loads(self.output.with_suffix(".run.toml").read_text(encoding="utf-8"))

    @property
    def loaded(self) -> int:
        """How often a retriever was."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_answers_are_written_as_a_submission_and_scored(run: Run) -> None:
    done = run()
    assert lines(run.output) == [{"id": n, "answer": a} for n, a in enumerate(ANSWERS)]
    assert (done.answered, done.empty, done.failed, done.before) == (4, 1, [], 0)
    assert done.marks is not None
    scores = done.marks.scores()
    assert scores["EM_P"] == scores["EM_S"] == 80.0 and scores["EM_O"] == 60.0
    assert scores["EMF1"] == 60.0  # 海南 for 广东: the first object of the index is taken
    assert "EMF1 60.000" in done.text() and done.complaints() == []
    assert json.loads(done.json())["EMF1"] == 60.0


def test_hits_and_record_are_beside(run: Run) -> None:
    run(limit=3)
    hits = lines(run.output.with_suffix(".hits.jsonl"))
    assert [hit["id"] for hit in hits] == [0, 1, 2] and hits[2]["values"] == ["海南", "广东"]
    assert hits[0]["log_prob"] == -1.0 and hits[0]["probability_low"] is None
    told = run.told
    assert told["model"] == "plain" and told["limit"] == 3 and told["object"] == module.OBJECT
    assert told["result"]["questions"] == 3 and told["result"]["EM_P"] == 100.0
    assert {"ergotext", "torch", "numpy"} <= told["versions"].keys()
    left = {path.name for path in run.output.parent.iterdir() if path.suffix != ".lock"}
    assert left == {
        "dev.json", "kb.tsv", "kb.ergo", "log", "out.jsonl", "out.hits.jsonl", "out.run.toml",
    }  # fmt: skip


def test_what_is_answered_is_not_asked_again(run: Run) -> None:
    run(limit=2)
    first = run.output.read_bytes()
    done = run()
    assert run.output.read_bytes().startswith(first) and len(lines(run.output)) == 5
    assert (done.before, run.loaded) == (2, 2)
    again = run(engine="local", workers=7)
    assert (again.before, run.loaded) == (5, 2)  # nothing is loaded where nothing is asked
    assert again.marks is not None and done.marks is not None
    assert again.marks.scores() == done.marks.scores()
    assert again.calibration() is not None  # from what is beside


@pytest.mark.parametrize("cut", range(1, 41, 3))
def test_a_torn_line_is_mended(run: Run, cut: int) -> None:
    """Wherever a kill has cut the last lines off."""
    run()
    whole = run.output.read_bytes()
    for path in (run.output, run.output.with_suffix(".hits.jsonl")):
        path.write_bytes(path.read_bytes()[:-cut])
    done = run()
    assert run.output.read_bytes() == whole and done.answered == 4
    assert len(lines(run.output.with_suffix(".hits.jsonl"))) >= 5


def test_a_question_that_fails_ends_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, [*ASKED[:2], ("this fails", ASKED[2][1]), *ASKED[3:]])
    done = run()
    assert done.failed == [{"line": 3, "id": 2, "error": "UnanswerableError: no idea at all"}]
    assert [one["id"] for one in lines(run.output)] == [0, 1, 3, 4]
    assert done.complaints() == [
        "1 of 5 questions failed:", "  line 3, id 2: UnanswerableError: no idea at all",
    ]  # fmt: skip
    assert done.marks is not None and done.marks.scores()["EM_P"] == 60.0
    assert run.told["result"]["failures"] == done.failed
    assert run().failed == done.failed  # it is asked again


def test_all_fail(tmp_path: Path) -> None:
    run = Run(tmp_path, [("this fails", None)] * 3)
    with pytest.raises(ErgotextError, match="every question failed; the first error: Unansw"):
        run()
    assert run.told["result"]["failed"] == 3


def test_many_failures_are_counted(tmp_path: Path) -> None:
    done = Run(tmp_path, [*ASKED, *[("this fails", None)] * 30])()
    said = done.complaints()
    assert said[0] == "30 of 35 questions failed:" and said[-1] == "  … and 10 more"
    assert len(said) == 22 and len(done.failed) == 30


def test_bad_lines_are_told(run: Run) -> None:
    with run.data.open("a", encoding="utf-8") as file:
        file.write('{"id": 9, "question": "?", "answer": "no separators"}\n')
    said = run().complaints()
    assert said[0] == "1 of 6 lines left out:" and "line 6: the answer 'no separ" in said[1]


def test_a_test_set_has_no_scores(tmp_path: Path) -> None:
    run = Run(tmp_path, [(question, None) for question, _ in ASKED])
    done = run()
    assert done.marks is None and done.calibration() is None and done.answered == 4
    assert done.text().startswith("no answers to score against") and "EMF1" not in done.json()


def test_calibration_counts_what_has_no_answer(run: Run) -> None:
    done = run()
    calibration = done.calibration()
    assert calibration is not None
    told, abstaining = calibration
    assert told.count.sum() == 5 and told.count[0] == 1 and told.accuracy[0] == 0
    assert abstaining.share[-1] == 1 and abstaining.score[-1] == pytest.approx(60.0)
    assert f"calibration error {told.error:.3f}" in done.text()


def test_other_settings_do_not_mix(run: Run) -> None:
    run(limit=2)
    before = run.output.read_bytes()
    with pytest.raises(InputError, match="made with model = 'plain', but it is 'other'"):
        run(model="other")
    with run.data.open("a", encoding="utf-8") as file:
        file.write('{"id": 77, "question": "?"}\n')
    with pytest.raises(InputError, match="the questions changed since the predictions in"):
        run()
    assert run.output.read_bytes() == before


def test_another_index_does_not_mix(run: Run) -> None:
    run(limit=2)
    save(load(run.index), run.index, {"columns": "subject,predicate,object", "new": "yes"})
    assert run(limit=2).before == 2  # the content is the same
    (run.index.parent / "kb.tsv").write_text(KB + "梨\t颜色\t黄\n", encoding="utf-8")
    build(run.index.parent / "kb.tsv", run.index)
    with pytest.raises(InputError, match="the index changed since"):
        run()


@pytest.mark.parametrize(
    "there",
    [b"precious notes", b"precious notes\n", b'{"id": 1}\n', b'{"answer": "x"}\n', b"\xff\n",
     b'{"id": 0, "answer": ""}\n[1]\n', b'{"question": "?", "id": 1'],
)  # fmt: skip
def test_what_is_no_predictions_stays(run: Run, there: bytes) -> None:
    run.output.write_bytes(there)
    with pytest.raises(InputError, match=r"out\.jsonl, line \d does not belong in out\.jsonl"):
        run()
    assert run.output.read_bytes() == there and not run.output.with_suffix(".run.toml").exists()


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("suffix", [".hits.jsonl", ".run.toml", ".png"])
@pytest.mark.parametrize("name", ["data", "index"])
def test_no_file_that_is_read_is_written(
    run: Run, tmp_path: Path, name: str, suffix: str, linked: bool
) -> None:
    """Not under the names of the files beside the predictions, nor by a link."""
    path = tmp_path / f"own{suffix}"
    if linked:
        path.symlink_to(getattr(run, name))
    else:
        path.write_bytes(getattr(run, name).read_bytes())
        setattr(run, name, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=rf"own{suffix} is also the {name}"):
        run(output=str(tmp_path / "own.jsonl"), plot=str(tmp_path / "own.png"))
    assert path.read_bytes() == before and run.loaded == 0
    assert not (tmp_path / "own.jsonl").exists()


def test_what_cannot_be(run: Run, tmp_path: Path) -> None:
    for name in ("data", "index"):
        path = Path(str(getattr(run, name)))
        before = path.read_bytes()
        with pytest.raises(InputError, match=f"is also the {name}"):
            run(output=str(path))
        assert path.read_bytes() == before
    with pytest.raises(InputError, match=r"the folder .* does not exist"):
        run(output=str(tmp_path / "none" / "out.jsonl"))
    with pytest.raises(InputError, match="is a folder, pipe or device"):
        run(output=str(tmp_path))
    with pytest.raises(InputError, match="cannot read the questions"):
        run(data=str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="cannot read the index"):
        run(index=str(tmp_path / "none.ergo"))
    assert run.loaded == 0


def test_an_index_without_answers(run: Run, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("香蕉\t产地\n", encoding="utf-8")
    build(pairs, tmp_path / "pairs.ergo", columns="subject,predicate")
    with pytest.raises(InputError, match=r"pairs\.ergo contains no objects"):
        run(index=str(tmp_path / "pairs.ergo"))
    save(load(run.index), tmp_path / "unnoted.ergo")
    with pytest.raises(InputError, match=r"neither triples nor titles \(columns unknown"):
        run(index=str(tmp_path / "unnoted.ergo"))


def test_ctrl_c_is_no_failed_question(run: Run) -> None:
    """Nor is a signal of which a lazy import has made an error."""

    def make() -> Ask:
        def ask(_: Sequence[str]) -> list[list[Any]]:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("cannot import name") from error

        return ask

    with pytest.raises(KeyboardInterrupt):
        run(make)
    assert run.output.read_bytes() == b"" and run().answered == 4


def test_memory_that_a_batch_lacks_is_enough_for_one(run: Run) -> None:
    def make() -> Ask:
        def ask(questions: Sequence[str]) -> list[list[Any]]:
            if len(questions) > 1:
                raise MemoryError
            return plain_retriever.ask(str(run.index), questions)

        return ask

    assert run(make).answered == 4


class Killed(BaseException):
    """What ends a process at once."""


def killed_between_writes(run: Run, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill after the first, second, … write of a run loses no hit of an answer that is kept."""
    add = JsonLines.add
    for writes in range(1, 5):
        for path in run.output.parent.glob("out.*"):
            path.unlink()
        left = iter(range(writes - 1, -1, -1))

        def dying(self: JsonLines, *objects: Any, left: Any = left) -> None:
            add(self, *objects)
            if not next(left):
                raise Killed

        monkeypatch.setattr(JsonLines, "add", dying)
        with pytest.raises(Killed):
            run(by=module.evaluate)
        monkeypatch.setattr(JsonLines, "add", add)
        done = run(by=module.evaluate)
        ids = {one["id"] for one in lines(run.output)}
        assert ids == set(range(5)) and done.answered == 4
        assert {one["id"] for one in lines(run.output.with_suffix(".hits.jsonl"))} == ids
        assert done.calibration() is not None  # every answer has its probability


def test_killed_between_two_writes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    killed_between_writes(run, module, monkeypatch)


def test_fault_of_the_order_of_writes_is_caught(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is written before its hit is never asked again, and its hit is lost."""
    hits = 'hits.add(*({"id": q.id, "answer": r.answer, **(r.hit or {})} for q, r in good))'
    answers = 'predictions.add(*({"id": q.id, "answer": r.answer} for q, r in good))'
    swapped = (hits, "pass"), (answers, f"{answers}; {hits}")
    faulty = load_with_fault("tasks.evaluation.evaluate", *swapped)
    monkeypatch.setattr(faulty, "BATCH", 2)
    with pytest.raises(AssertionError):
        killed_between_writes(run, faulty, monkeypatch)


@pytest.mark.slow
def test_killed_at_any_time(run: Run) -> None:
    """kill -9 in the middle of a run, which then goes on to the same file."""
    whole = run(output=str(run.output.with_name("whole.jsonl"))).answered
    script = f"""
import time
from functools import partial
from ergotext.tasks.evaluation import evaluate as module
from tests.tasks import plain_retriever

module.BATCH = 1
def make():
    def ask(questions):
        time.sleep(0.2)
        return plain_retriever.ask({str(run.index)!r}, questions)
    return ask

config = dict(data={str(run.data)!r}, index={str(run.index)!r}, output={str(run.output)!r},
              model="plain", engine="local", workers=2)
module.evaluate(config, make, progress=False)
"""
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        before = run.output.stat().st_size if run.output.exists() else 0
        while process.poll() is None:
            if run.output.exists() and run.output.stat().st_size > before:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)
        process.wait()
    done = run()
    assert done.before >= 3 and done.answered == whole
    assert run.output.read_bytes() == run.output.with_name("whole.jsonl").read_bytes()
