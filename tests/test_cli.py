"""The command line, in process on a small model and as a process on the real one."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.lm import loading
from ergotext.samplers import sampling
from ergotext.support.words import count_words, holds_words
from ergotext.tasks import searching


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


EDITED = ("--sampler", "annealing")


@pytest.fixture
def small(model_folder: Path) -> list[str]:
    return ["--model", str(model_folder), *EDITED, "--chains", "3", "--steps", "12"]


def test_sentences_and_how_they_were_found(capsys, small) -> None:
    code, out, err = call(capsys, "write", "summer", "ice cream", *small, "-n", "2")
    assert code == 0 and err == ""
    *sentences, how = out.splitlines()
    assert len(sentences) == 2 and len(set(sentences)) == 2
    assert all("summer" in s and "ice cream" in s and "log p -" in s for s in sentences)
    assert "3 chains × 12 steps" in how and "accepted" in how and " s, seed 0" in how


def test_particles_write_by_default(capsys, model_folder) -> None:
    arguments = ["summer", "sun|dog", "--model", str(model_folder), "--particles", "24"]
    limits = ["--without", "cat", "--words", "5-6", "--max-length", "12"]
    code, out, err = call(capsys, "write", *arguments, *limits)
    assert code == 0 and err == ""
    *sentences, how = out.splitlines()
    assert 1 <= len(sentences) <= 3 and how.startswith("(smc, 24 particles, ")
    code, out, err = call(capsys, "write", *arguments, *limits, "--json", "-n", "20")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "24 particles" in err and records
    for record in records:
        words = re.findall(r"[A-Za-z0-9'’-]+", record["text"])
        assert record["keywords"] == ["summer", "sun|dog"] and "chain" not in record
        assert record["spellings"][0] == "summer" and record["spellings"][1] in ("sun", "dog")
        assert holds_words(record["text"], ["summer", ("sun", "dog")], any_order=True)
        assert "cat" not in words and 5 <= count_words(record["text"]) <= 6
        terms = record["terms"]
        assert terms["fluency"] == pytest.approx(-record["log_prob"])
        assert record["energy"] == pytest.approx(terms["fluency"] + terms["request"])
    assert call(capsys, "write", *arguments, *limits, "--json", "-n", "20")[1] == out


def test_forms_are_shown(capsys, model_folder) -> None:
    arguments = ["sit", "--forms", "--model", str(model_folder), "--json", "-n", "40"]
    code, out, _ = call(capsys, "write", *arguments, "--max-length", "6")
    used = {json.loads(line)["spellings"][0] for line in out.splitlines()}
    assert code == 0 and used <= {"sit", "sits", "sat", "sitting"} and len(used) > 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--steps", "5"], "steps goes with the sampler annealing or mh, not smc"),
        (["--chains", "2", "--max-seconds", "1"], "chains, max_seconds goes with the sampler"),
        (["--length", "9"], "a mean length goes with the sampler annealing or mh"),
        (["--sampler", "mh", "--particles", "9"], "particles goes with the sampler smc, not mh"),
        (["--end", "stop"], "'stop' is neither sentence nor token"),
        (["--words", "9-2"], "given as 8-15, the smaller number first"),
        (["--without", "sun"], "'sun' is both demanded and excluded"),
        (["--words", "1-1", "dog", "cat"], "3 keywords cannot stand in 1 word"),
        (["|"], "has an empty alternative"),
        (["--max-length", "0"], "--max-length"),
        ([*"abcdefghijkl", "--max-length", "5"], "keywords alone take"),
        (["dog|cat", "--words", "0-1"], "2 keywords cannot stand in 1 word"),
        (["ice cream", "--without", "cream"], "contains the excluded 'cream'"),
    ],
)
def test_what_cannot_be_written_is_named(capsys, model_folder, more, message) -> None:
    began = time.monotonic()
    code, out, err = call(capsys, "write", "sun", "--model", str(model_folder), *more)
    assert code == 2 and out == "" and message in " ".join(err.split()) and "Traceback" not in err
    assert time.monotonic() - began < 100  # nothing was sampled


def test_json(capsys, small) -> None:
    code, out, err = call(capsys, "write", "summer", "beach", *small, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(records) == 3 and "12 steps" in err
    names = ["text", "log_prob", "log_prob_per_token", "energy", "terms"]
    for record in records:
        assert list(record) == [*names, "keywords", "spellings", "chain", "step"]
        assert sum(record["terms"].values()) == pytest.approx(record["energy"])
        assert record["terms"]["fluency"] == pytest.approx(-record["log_prob"])
        assert record["keywords"] == ["summer", "beach"]
        assert 0 <= record["chain"] < 3 and 0 <= record["step"] <= 12
    energies = [record["energy"] for record in records]
    assert energies == sorted(energies)


def test_same_seed_same_output(capsys, small) -> None:
    arguments = ["write", "summer", "beach", *small, "--json", "--in-order", "--seed"]
    one, two, three = (call(capsys, *arguments, seed)[1] for seed in ("5", "5", "6"))
    assert one == two != three


def test_keyword_sets_from_stdin(capsys, small, monkeypatch) -> None:
    feed(monkeypatch, '["summer", "beach"]\n\n["海滩"]\n')
    code, out, _ = call(capsys, "write", "-", *small, "--json", "-n", "1")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [record["keywords"] for record in records] == [["summer", "beach"], ["海滩"]]
    assert "海滩" in records[1]["text"]
    # What stands before a set on stdin does not change what comes out for it.
    alone = json.loads(call(capsys, "write", "海滩", *small, "--json", "-n", "1")[1])
    assert alone == records[1]


def feed(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_output_file(capsys, small, tmp_path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    code, out, _ = call(capsys, "write", "summer", *small, "-o", str(target))
    assert code == 0 and out == "" and "summer" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


def test_options_reach_the_run(capsys, small) -> None:
    _, plain, _ = call(capsys, "write", "summer", *small, "--json")
    for more in (["--context", "A dog ran."], ["--length", "5"], ["--sampler", "mh"],
                 ["--end", "token"], ["--without", "ra"],
                 ["--dtype", "bfloat16"], ["--max-length", "3", "--length", "2"]):  # fmt: skip
        code, out, err = call(capsys, "write", "summer", *small, "--json", *more)
        assert code == 0 and out != plain, more
        assert ("approximate" in err) == ("bfloat16" in more)


def test_time_limit(capsys, small) -> None:
    began = time.monotonic()
    code, out, _ = call(
        capsys, "write", "summer", *small, "--steps", "100000", "--max-seconds", "1.5"
    )
    assert code == 0 and "stopped by the time limit" in out
    assert time.monotonic() - began < 100  # without a limit it would take far longer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'KEYWORD'"),
        ([""], "a keyword is empty"),
        (["a\x07b"], "control character"),
        (["</s>"], "cannot spell"),
        (["summer", "--steps", "0"], "--steps"),
        (["summer", "--steps", "many"], "--steps"),
        (["summer", "--stepz", "3"], "--stepz"),
        (["summer", "--chains", "0"], "--chains"),
        (["summer", "-n", "0"], "-n"),
        (["summer", "--threads", "0"], "--threads"),
        (["summer", "--max-seconds", "0"], "time limit"),
        (["summer", "--sampler", "gibs"], "annealing"),
        (
            ["summer", "beach", "dog", *EDITED, "--length", "1", "--max-length", "2"],
            "raise the maximum to 3",
        ),
        (["summer", *EDITED, "--length", "50"], "above max_length"),
        (["summer", *EDITED, "--max-length", "10"], "above max_length (10)"),
        (["-", "summer"], "cannot be combined with other"),
        (["summer", "--model", "no-such-model"], "not a bundled name"),
        (["summer", "--model", "./nothere"], "the folder ./nothere does not exist"),
        (["sum\x00mer", "--model", "unread"], "control character"),
        (["summer", "--device", "abacus"], "unknown device"),
        (["summer", "-o", "/no/such/folder/out.txt"], "/no/such/folder does not exist"),
        (["summer", "-o", "."], "is a folder"),
        (["summer", "--context", "long " * 200], "token positions"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(capsys, model_folder, arguments, message) -> None:
    model = [] if "--model" in arguments else ["--model", str(model_folder)]
    code, out, err = call(capsys, "write", *model, *arguments)
    assert code == 2 and out == ""
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err
    assert message in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no keyword set"),
        ("summer beach\n", "line 1 is not a JSON list"),
        ('["summer"]\n{"a": 1}\n', "line 2 is not a JSON list"),
        ('["summer", 3]\n', "line 1 is not a JSON list"),
        ('["summer"]\n[]\n', "no keywords given"),
        ('["summer"]\n["\\u0000"]\n', "control character"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_bad_stdin_is_found_before_any_work(capsys, small, monkeypatch, text, message) -> None:
    feed(monkeypatch, text)
    code, out, err = call(capsys, "write", "-", *small)
    assert code == 2 and out == "" and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["\udcff"], "not valid Unicode"),
        (["summer", "--context", "\udcff"], "not valid Unicode"),
        (["\u202esummer"], "control character"),
        (["summer", "--device", "cuda:99"], "CUDA devices"),
        (["summer", "--device", "meta"], "unknown device"),
        (["summer", "--model", "~nobody-of-that-name/x"], "does not exist"),
        (["summer", "--model", "a/b/c/d"], "does not exist"),
        (["summer", "--model", ""], "empty"),
        (["summer", "--threads", "100000"], "--threads"),
        (["summer", "--max-length", "1000000000"], "context window leaves"),
        (["summer", *EDITED, "--length", "1000000000"], "above max_length"),
        (["summer", "--seed", "-1"], "--seed"),
        (["summer", "--max-seconds", "nan"], "time limit"),
    ],
)
def test_odd_input_is_one_line_too(capsys, model_folder, arguments, message) -> None:
    model = [] if "--model" in arguments else ["--model", str(model_folder)]
    code, out, err = call(capsys, "write", *model, *arguments)
    assert code == 2 and out == ""
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err
    assert message in err


def test_closed_standard_input(capsys, small, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = call(capsys, "write", "-", *small)
    assert code == 2 and "standard input is closed" in err


def test_output_through_links_pipes_and_modes(capsys, small, tmp_path) -> None:
    target, link, pipe = tmp_path / "out.txt", tmp_path / "link", tmp_path / "pipe"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert call(capsys, "write", "summer", *small, "-o", str(link))[0] == 0
    assert link.is_symlink() and "summer" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert call(capsys, "write", "summer", *small, "-o", str(pipe))[0] == 0
    assert "summer" in reader.communicate(timeout=30)[0] and pipe.is_fifo()


def test_a_failure_leaves_the_output_file_as_it_was(capsys, small, tmp_path, monkeypatch) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    code, _, err = call(capsys, "write", "", *small, "-o", str(target))
    assert code == 2 and target.read_text() == "old"
    # With one set written and the next one failing, what was found is not lost.
    feed(monkeypatch, '["summer"]\n["beach"]\n')
    real, calls = sampling.sample, []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError
        return real(*args, **kwargs)

    monkeypatch.setattr(searching, "sample", failing)
    code, _, err = call(capsys, "write", "-", *small, "-o", str(target))
    assert code == 1 and "out of memory" in err and "summer" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


def test_model_failures_exit_1(capsys, tmp_path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 40)
    code, out, err = call(capsys, "write", "summer", "--model", str(tmp_path / "bad.gguf"))
    assert code == 1 and out == "" and "complete GGUF file" in err and "Traceback" not in err


def process(*arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ergotext", *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def interrupted_at(
    place: str, *arguments: str, by: signal.Signals = signal.SIGINT
) -> tuple[int, str, str]:
    """Run the command, send Ctrl-C when it calls ``place`` for the fifth (or only) time."""
    module, _, name = place.rpartition(":")
    holder, _, attribute = name.rpartition(".")
    code = f"""
import os, sys, importlib
from ergotext.cli import entry
module = importlib.import_module({module!r})
holder = getattr(module, {holder!r}) if {holder!r} else module
real, calls = getattr(holder, {attribute!r}), []
def watched(*args, **kwargs):
    calls.append(1)
    if len(calls) == (5 if {holder!r} else 1):
        os.kill(os.getpid(), {int(by)})
    return real(*args, **kwargs)
setattr(holder, {attribute!r}, watched)
sys.argv = ["ergotext", *{list(arguments)!r}]
entry()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_keeps_the_best_so_far(model_folder: Path, tmp_path: Path) -> None:
    arguments = ["write", "summer", "--model", str(model_folder), *EDITED, "--steps", "1000000"]
    code, out, err = interrupted_at("ergotext.samplers.run:Trace.record", *arguments)
    assert code == 130
    assert "summer" in out.splitlines()[0] and "interrupted" in out
    assert err == "ergotext: interrupted; the best texts so far are shown\n"
    target = tmp_path / "out.txt"
    code, out, err = interrupted_at(
        "ergotext.samplers.run:Trace.record", *arguments, "-o", str(target), by=signal.SIGTERM
    )
    assert code == 143 and out == "" and "summer" in target.read_text()
    assert err == "ergotext: interrupted; the best texts so far are shown\n"


@pytest.mark.parametrize("place", ["ergotext.lm.loading:load", "ergotext.lm.loading:_pretrained"])
def test_ctrl_c_while_loading(place: str, model_folder: Path) -> None:
    code, out, err = interrupted_at(place, "write", "summer", "--model", str(model_folder))
    assert (code, out, err) == (130, "", "ergotext: interrupted\n")


def test_ctrl_c_that_a_lazy_import_has_wrapped(capsys, small, monkeypatch) -> None:
    def wrapped(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ModuleNotFoundError("Could not import module") from error

    monkeypatch.setattr(loading, "load", wrapped)
    assert call(capsys, "write", "summer", *small) == (130, "", "ergotext: interrupted\n")


def test_a_reader_that_leaves(model_folder: Path) -> None:
    running = process("write", "summer", "--model", str(model_folder), *EDITED, "--steps", "5")
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    with running.stderr:
        assert "Traceback" not in running.stderr.read()
    assert running.wait(60) == 1


def test_progress_is_silent_off_a_terminal(model_folder: Path) -> None:
    out, err = process(
        "write", "sun", "--model", str(model_folder), *EDITED, "--steps", "5"
    ).communicate()
    assert err == "" and "sun" in out


def test_help_is_quick_and_needs_no_model() -> None:
    """No torch on the way to the help text."""
    code = (
        "import sys; from ergotext.cli import main; main(['--help']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "write" in done.stdout and done.stdout.strip().endswith("False")


def test_help_has_a_short_name_everywhere(capsys) -> None:
    for command in ([], ["write"], ["retrieve"], ["index"], ["index", "build"], ["samplers"]):
        assert call(capsys, *command, "-h") == (shown := call(capsys, *command, "--help"))
        assert shown[0] == 0 and "-h, --help" in shown[1]
    names = re.findall(r"^  ([a-z-]+)  ", call(capsys, "-h")[1].partition("Commands:")[2], re.M)
    assert names[:2] == ["write", "retrieve"] and {"samplers", "index"} < set(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["writ", "dog"], "No such command 'writ'. Did you mean 'write'?"),
        (["write", "dog", "--lenth", "1"], "(Possible options: --end, --length, --max-length)"),
        (["write", "dog", "--sampler", "aneal"], "'mh'; did you mean 'annealing'?"),
        (["write", "dog", "--sampler", "x"], "'x' is not one of 'smc', 'annealing', 'mh'"),
        (["write", "dog", "--steps", "many"], "'--steps': must be an integer, got 'many'"),
        (["write", "dog", "--threads", "2000"], "'--threads': must be at most 1024, got '2000'"),
        (["write", "dog", "--max-seconds", "x"], "'--max-seconds': must be a number, got 'x'"),
        (["write", "dog", "--model", "smollm"], "; did you mean 'smollm2'?"),
    ],
)
def test_misspelt_and_out_of_range(capsys, arguments, message) -> None:
    code, out, err = call(capsys, *arguments)
    assert code == 2 and out == "" and err.endswith(f"{message}\n") and err.count("\n") == 1, err


def test_version() -> None:
    assert process("--version").communicate()[0].startswith("ergotext 0.")


def test_no_arguments_show_the_help() -> None:
    running = process()
    out, err = running.communicate()
    assert running.returncode == 2 and out == ""
    assert "Usage: ergotext" in err and err.count("\n") > 5


def test_json_on_a_terminal_that_is_not_utf_8(model_folder: Path) -> None:
    running = process(
        "write", "👍", "--model", str(model_folder), *EDITED, "--steps", "5", "--json", "-n", "1",
        env={**os.environ, "PYTHONIOENCODING": "latin-1"}, encoding="latin-1",
    )  # fmt: skip
    out, _ = running.communicate()
    assert out.isascii() and "👍" in json.loads(out)["text"]


def test_findings_are_shown_where_they_cannot_be_written(
    capsys, small, tmp_path, monkeypatch
) -> None:
    """The folder goes while the run is on."""
    folder, real = tmp_path / "folder", sampling.sample
    folder.mkdir()

    def sample(*args, **kwargs):
        folder.rmdir()
        return real(*args, **kwargs)

    monkeypatch.setattr(searching, "sample", sample)
    code, out, err = call(capsys, "write", "summer", *small, "-o", str(folder / "out"))
    assert code == 1 and "summer" in out and "No such file" in err and err.count("\n") == 1


def test_long_names_for_the_output(capsys, small, tmp_path) -> None:
    code, out, err = call(capsys, "write", "summer", *small, "-o", str(tmp_path / ("x" * 300)))
    assert code == 1 and out == "" and "too long" in err and err.count("\n") == 1
    long = tmp_path / ("x" * 255)  # the longest there can be
    assert call(capsys, "write", "summer", *small, "-o", str(long))[0] == 0
    assert "summer" in long.read_text() and list(tmp_path.iterdir()) == [long]


def test_a_link_to_itself(capsys, tmp_path) -> None:
    loop, other = tmp_path / "loop", tmp_path / "other"
    loop.symlink_to(loop)
    for command in (
        ["write", "summer"], ["infill", "a ___"], ["paraphrase", "a"], ["sample"],
        ["read", "none.txt", "what?"], ["retrieve", "what?", "-i", "none"],
        ["evaluate", "none", "-i", "none"], ["index", "build", "none"],
    ):  # fmt: skip
        for target, message in ((loop, "is a link to itself"), (tmp_path, "is a folder")):
            code, out, err = call(capsys, *command, "-o", str(target))
            assert code == 2 and out == "" and message in err and err.count("\n") == 1, err
    for option in ("--plot", "--checkpoint", "--config"):
        code, out, err = call(capsys, "sample", option, str(loop), "-o", str(other))
        assert code == 2 and out == "" and err.count("\n") == 1, err
    assert loop.is_symlink() and not other.exists()
