"""Commands on many inputs, here and by workers: the same to the byte."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ergotext.cli import main
from ergotext.commands import many, retrieve, texts
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.tasks import infill, searching, workers, write
from tests.commands.test_retrieve import KB
from tests.faulty import load_with_fault
from tests.paths import ROOT
from tests.tiny_t5 import saved

KILLED = Path(__file__).with_name("killed_worker.py")
GIVEN = {
    "write": ('["dog"]\n["sun", "sea"]\n["cat", "dog"]\n["sun"]\n', ["--particles", "8"]),
    "infill": ("A ___ ran.\nThe ___ sat.\n\nOne ___ more.\n", ["--particles", "8", "-n", "1"]),
    "retrieve": ("苹果产地？\n香蕉\nApple founder\n\nwhere?\n" * 3, ["--batch-size", "1"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder-decoder with an index."""
    folder = tmp_path_factory.mktemp("many")
    saved(folder / "model", [KB])
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    made = ["index", "build", "kb.tsv", "-o", "kb.ergo", "--tokenizer", "model"]
    assert main([str(folder / one) if one in ("kb.tsv", "kb.ergo", "model") else one
                 for one in made]) == 0  # fmt: skip
    return folder


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two workers that share nothing with this process but what travels; how much each did."""
    done = [0, 0]

    def by_workers(start: Any, inputs: Sequence[str], count: int) -> Iterator[str]:
        pool = [pickle.loads(pickle.dumps(start))() for _ in range(count)]
        for number, one in enumerate(inputs):
            done[number % count] += 1
            yield pool[number % count](one)

    monkeypatch.setattr(workers, "done_by_ray", by_workers)
    return done


def plain(text: str) -> str:
    """Without the time that a run took."""
    return re.sub(r"\d+\.\d s\b|seconds = [\d.e-]+", "# s", text)


class Call:
    """Runs a command on its inputs: stdout, file, sections of the report, stderr, and the code."""

    def __init__(self, capsys: Any, monkeypatch: Any, models: tuple[Path, Path], to: Path) -> None:
        self.capsys, self.monkeypatch, self.to = capsys, monkeypatch, to
        causal, folder = models
        self.models = {name: ["--model", str(causal)] for name in GIVEN}
        self.models["retrieve"] = [
            "--model", str(folder / "model"), "-i", str(folder / "kb.ergo")
        ]  # fmt: skip

    def __call__(self, command: str, *more: str, lines: str | None = None) -> tuple[Any, ...]:
        given, few = GIVEN[command]
        stdin = io.TextIOWrapper(io.BytesIO((lines or given).encode()))
        self.monkeypatch.setattr(sys, "stdin", stdin)
        page = self.to / "page.html"
        page.unlink(missing_ok=True)
        code = main([command, "-", *few, *self.models[command], "--report", str(page), *more])
        out, err = self.capsys.readouterr()
        text = page.read_text("utf-8") if page.exists() else ""
        sections = re.findall(r"<section>.*?</section>", text, re.DOTALL)
        return plain(out), plain(err), [plain(one) for one in sections], code


@pytest.fixture
def call(capsys, monkeypatch, model_folder: Path, folder: Path, tmp_path: Path) -> Call:
    return Call(capsys, monkeypatch, (model_folder, folder), tmp_path)


def check(
    call: Call, command: str, elsewhere: list[int], monkeypatch: Any, *modes: list[str]
) -> None:
    """The second input of those that are written gets nothing, in this process and in others."""
    real = searching.answers

    def answers(request: Any, fluent: Any, demanded: Any, *given: Any, **options: Any) -> Any:
        if "sea" in repr(demanded) or "sat" in repr(demanded):
            raise ZeroWeightError("all 8 draws have weight zero: none could")
        return real(request, fluent, demanded, *given, **options)

    for module in (write, infill):
        monkeypatch.setattr(module, "answers", answers)
    for more in modes or ([],):
        here = call(command, *more)
        there = call(command, *more, "--engine", "ray")
        assert there == here
        out, err, sections, code = here
        if command == "retrieve":
            assert code == 0 and len(sections) == 12 and "3 of 15 questions named no subject" in err
        else:
            assert (
                code == 1
                and err.count("none could") == 1
                and len(sections) == 3 - (command == "infill")
            )
        assert out
    assert min(elsewhere) > 0


@pytest.mark.parametrize("command", GIVEN)
def test_the_same_by_workers(command: str, call: Call, elsewhere, monkeypatch) -> None:
    check(call, command, elsewhere, monkeypatch, [], ["--json"])
    done = [*elsewhere]
    assert call(command, "--engine", "local")[0] and elsewhere == done


WRONG: dict[str, tuple[str, list[str]]] = {
    "write": ('["dog"]\n["sun", "sun sun sun sun"]\n', ["--max-length", "3"]),
    "infill": ("A ___ ran.\nNo blank.\n", []),
    "retrieve": ("苹果\n", ["-k", "9", "--beams", "2"]),
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_inputs_are_told_alike(command: str, call: Call, elsewhere) -> None:
    """Before anything is written, and with the same words and code."""
    lines, more = WRONG[command]
    here = call(command, *more, lines=lines)
    there = call(command, *more, "--engine", "ray", lines=lines)
    assert here == there and here[0] == "" and here[3] == 2
    assert here[1].startswith("ergotext: ") and len(here[1].splitlines()) == 1


def test_a_file_and_twelve_sections(call: Call, elsewhere, tmp_path: Path) -> None:
    """Of more questions than a page takes, and as a file."""
    lines = "\n".join(["苹果产地？", "香蕉"] * 12)
    found = []
    for engine in ("local", "ray"):
        file = tmp_path / engine
        told = call("retrieve", "--engine", engine, "-o", str(file), "--json", lines=lines)
        found.append((told, file.read_bytes()))
    assert found[0] == found[1] and len(found[0][0][2]) == 12
    assert [json.loads(x)["question"] for x in found[0][1].splitlines()] == lines.split("\n")


FAULTS = {
    "texts come backwards": ("kept", ("for text in self.out:", "for text in self.out[::-1]:")),
    "warnings are lost": ("kept", ("told.err = err.getvalue()", "pass")),
    "sections are lost": ("kept", ("self.sections.append(section)", "pass")),
    "nothing found ends it": (
        "kept", ("except ZeroWeightError as error:", "except OSError as error:")
    ),
    "why is lost": ("kept", ("told.nothing = str(error)", 'told.nothing = "nothing"')),
    "workers write for all": ("many", ("found([one], lm)", "found([one, one], lm)")),
    "no section is asked for": (
        "many", ("writing.ascii_only, writing.report", "writing.ascii_only, False")
    ),
    "all is done here": ("many", ("if not work.shared:", "if True:")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, call: Call, elsewhere, monkeypatch) -> None:
    name, change = FAULTS[fault]
    faulty = load_with_fault(f"commands.{name}", change)
    put(faulty, monkeypatch)
    mode = ["--json"] if "warnings" in fault else []  # of text, nothing is said on stderr
    with pytest.raises((AssertionError, ValueError)):
        check(call, "write", elsewhere, monkeypatch, mode)


def put(faulty: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty module in the place of the real one."""
    if hasattr(faulty, "tell_all"):
        monkeypatch.setattr("ergotext.commands.write.tell_all", faulty.tell_all)
        monkeypatch.setattr(many, "_started", faulty._started)
        faulty._started.__module__ = many.__name__  # so that it travels by its name
        return
    for name in ("kept", "read"):
        monkeypatch.setattr(many, name, getattr(faulty, name))


def test_what_was_told_is_kept_after_an_interrupt(
    call: Call, elsewhere, monkeypatch, tmp_path: Path
) -> None:
    real, seen = many.read, list[str]()

    def read(text: str) -> Any:
        seen.append(text)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(text)

    monkeypatch.setattr(many, "read", read)
    file = tmp_path / "out.jsonl"
    *_, sections, code = call("infill", "--engine", "ray", "--json", "-o", str(file))
    assert code == 130 and len(file.read_text("utf-8").splitlines()) == len(sections) == 2


def test_questions_lost_by_workers_are_counted(call: Call, elsewhere, monkeypatch) -> None:
    faulty = load_with_fault(
        "commands.kept", ("told.value = tell(", "told.value = (0, None); tell(")
    )
    for name in ("kept", "read"):
        monkeypatch.setattr(retrieve, name, getattr(faulty, name))
    with pytest.raises(AssertionError):
        check(call, "retrieve", elsewhere, monkeypatch)


def test_without_ray(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda _: None)
    monkeypatch.setattr(texts, "load", lambda *_: pytest.fail("a model was loaded"))
    for command in GIVEN:
        out, err, _, code = call(command, "--engine", "ray")
        assert (out, code) == ("", 2) and "pip install 'ray[data]" in err


@pytest.mark.slow
def test_ray_and_a_dead_worker(model_folder: Path, folder: Path, tmp_path: Path) -> None:
    """Of each command one worker kills itself in its work, once."""
    for command, (lines, _) in GIVEN.items():
        (tmp_path / f"{command}.txt").write_text(lines, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path), str(model_folder), str(folder)], cwd=ROOT,
        text=True, capture_output=True, timeout=500,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Nor does ray say of dead workers what would stand among the results.
    codes = [f"told: {one} {engine} 0" for one in GIVEN for engine in ("ray", "local")]
    assert done.stdout.splitlines() == codes and "A worker died" in done.stderr
    for command in GIVEN:
        assert (tmp_path / f"{command}.died").exists()
        by_ray, here = ((tmp_path / f"{command}.{one}").read_bytes() for one in ("ray", "local"))
        assert by_ray and by_ray == here
        assert len(set((tmp_path / f"{command}.log").read_text().split())) >= 2
