"""``ergotext index``, in process and as a process."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer
from ergotext.lm.trie import build, load, save
from ergotext.support import files
from tests.lm.tokenizers.test_fast import bart, bert

KB = """苹果（水果）\t产地\t山东
苹果（公司）\t创始人\t乔布斯
苹果\t颜色\t红
香蕉\t产地\t海南
香蕉\t产地\t广东
"""


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["index", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def left(folder: Path) -> list[str]:
    """All but locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    path = tmp_path / "kb.tsv"
    path.write_text(KB, encoding="utf-8")
    return path


@pytest.fixture
def index(kb: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = kb.with_suffix(".ergo")
    assert call(capsys, "build", kb, "-o", path)[0] == 0
    return path


def shown(capsys: pytest.CaptureFixture[str], index: Path, prefix: str, *more: str) -> list[str]:
    code, out, _ = call(capsys, "get", index, prefix, *more)
    assert code == 0
    return out.splitlines()


def test_build_says_what_it_did(capsys, kb) -> None:
    code, out, err = call(capsys, "build", kb, "-o", kb.with_suffix(".ergo"))
    assert code == 0 and err == ""
    assert "kb.ergo: 4 keys, 1,706 bytes (5 of 5 lines used" in out


def test_info(capsys, index) -> None:
    code, out, err = call(capsys, "info", index)
    assert code == 0 and err == ""
    for fact in ("4, the longest of 10 tokens", "format version 2", "1,706 bytes", "4 inner nodes",
                 "18 tokens in tails", "characters", "subject,predicate,object"):  # fmt: skip
        assert fact in out, fact
    record = json.loads(call(capsys, "info", index, "--json")[1])
    assert record["keys"] == 4 and record["bytes"] == index.stat().st_size
    assert record["fingerprint"] == load(index).alphabet.fingerprint


def test_all_keys_come_back_as_lines(capsys, index) -> None:
    assert sorted(shown(capsys, index, "")) == sorted(KB.splitlines())


@pytest.mark.parametrize(
    ("prefix", "lines", "tail"),
    [
        ("香", ["香蕉\t产地\t海南", "香蕉\t产地\t广东"], "(1 of 1 key; next: '蕉')"),
        ("香蕉\t产地", ["香蕉\t产地\t海南", "香蕉\t产地\t广东"], "(1 of 1 key; next: 'end')"),
        ("苹果（水", ["苹果（水果）\t产地\t山东"], "(1 of 1 key)"),
        ("苹果（水果）\t产", ["苹果（水果）\t产地\t山东"], "(1 of 1 key)"),
        ("苹果\t产地", ["苹果（水果）\t产地\t山东"], "(1 of 1 key; next: '\\t')"),
    ],
)
def test_get(capsys, index, prefix, lines, tail) -> None:
    code, out, err = call(capsys, "get", index, prefix)
    assert (code, out.splitlines(), err.strip()) == (0, lines, tail)


def test_get_is_limited_and_speaks_json(capsys, index) -> None:
    code, out, err = call(capsys, "get", index, "", "-n", "2", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(records) == 2 and err.startswith("(2 of 4 keys")
    assert list(records[0]) == ["subject", "predicate", "objects"]


def test_titles(capsys, tmp_path) -> None:
    lines, index = tmp_path / "titles.txt", tmp_path / "titles.ergo"
    lines.write_text("Berlin\nBern\nBerlin\nRome\n")
    assert call(capsys, "build", lines, "-o", index, "--columns", "key")[0] == 0
    assert shown(capsys, index, "Ber") == ["Bern", "Berlin"]
    assert json.loads(shown(capsys, index, "R", "--json")[0]) == {"key": "Rome", "objects": []}
    lines.write_text("Riga\n")
    assert call(capsys, "add", index, lines)[0] == 0  # the columns are those of the index
    assert shown(capsys, index, "R") == ["Riga", "Rome"]


def test_nothing_shown_drives_the_terminal(capsys, tmp_path) -> None:
    save(build([("a\x1b[2J", "b\x07\nc")], CharacterTokenizer("ab")), tmp_path / "x")
    assert shown(capsys, tmp_path / "x", "a") == ["a [2J\tb  c"]
    assert json.loads(shown(capsys, tmp_path / "x", "a", "--json")[0])["objects"] == ["b\x07\nc"]


def test_add_and_remove(capsys, index, tmp_path) -> None:
    more = tmp_path / "more.tsv"
    more.write_text("香蕉\t产地\té岛\n梨\t颜色\t黄\n", encoding="utf-8")
    code, out, err = call(capsys, "add", index, more)
    assert code == 0 and err == "" and "5 keys" in out and "2 of 2 lines" in out
    assert shown(capsys, index, "香蕉") == [
        "香蕉\t产地\t海南",
        "香蕉\t产地\t广东",
        "香蕉\t产地\té岛",
    ]
    assert shown(capsys, index, "梨") == ["梨\t颜色\t黄"]
    less = tmp_path / "less.tsv"
    less.write_text(
        "香蕉\t产地\t广东\n香蕉\t产地\t月球\n苹果（公司）\t创始人\t乔布斯\n柿子\t产地\t山\n",
        encoding="utf-8",
    )
    code, out, err = call(capsys, "remove", index, less)
    assert code == 0 and "4 keys" in out and "2 of 4 lines" in out
    assert "line 2: its key has no such object" in err and "line 4: no such key" in err
    assert shown(capsys, index, "香蕉") == ["香蕉\t产地\t海南", "香蕉\t产地\té岛"]
    assert call(capsys, "get", index, "苹果（公司）")[0] == 1
    less.write_text("香蕉\t产地\n", encoding="utf-8")
    assert call(capsys, "remove", index, less, "--columns", "subject,predicate")[0] == 0
    assert sorted(shown(capsys, index, "")) == sorted(
        ["苹果（水果）\t产地\t山东", "苹果\t颜色\t红", "梨\t颜色\t黄"]
    )
    assert call(capsys, "verify", index)[0] == 0
    assert left(tmp_path) == ["kb.ergo", "kb.tsv", "less.tsv", "more.tsv"]


def test_a_file_without_a_single_key_is_refused(capsys, kb, index, tmp_path) -> None:
    before, less = index.read_bytes(), tmp_path / "less.tsv"
    less.write_text("no tabs\nnor here\n", encoding="utf-8")
    for command in (["add", index, less], ["build", less, "-o", tmp_path / "new"]):
        code, out, err = call(capsys, *command)
        assert (code, out) == (2, "") and err.count("\n") == 1
        assert "2 of 2 lines are malformed" in err and "line 1: 1 field" in err
    assert index.read_bytes() == before
    less.write_text("", encoding="utf-8")
    code, _, err = call(capsys, "build", less, "-o", tmp_path / "new")
    assert code == 2 and "less.tsv is empty" in err
    code, _, err = call(capsys, "add", index, less)
    assert code == 2 and "less.tsv is empty" in err and index.read_bytes() == before
    assert not (tmp_path / "new").exists()
    assert call(capsys, "remove", index, kb)[0] == call(capsys, "remove", index, kb)[0] == 0


def test_removing_everything_leaves_an_empty_index(capsys, kb, index) -> None:
    assert "0 keys" in call(capsys, "remove", index, kb)[1]
    assert call(capsys, "info", index)[0] == 0 and call(capsys, "verify", index)[0] == 0
    code, out, err = call(capsys, "get", index, "")
    assert (code, out) == (1, "") and "no key of" in err
    assert "4 keys" in call(capsys, "add", index, kb)[1]


BAD = b"no tabs\n\na\t\tb\n\xff\tb\tc\na\tb\tc\td\na\tb\n\n"


def test_bad_lines_are_counted_and_the_first_few_shown(capsys, kb, tmp_path) -> None:
    kb.write_bytes(KB.encode() + BAD)
    code, out, err = call(capsys, "build", kb, "-o", tmp_path / "x")
    assert code == 0 and "5 of 12 lines" in out
    lines = err.splitlines()
    assert lines[0] == "ergotext: 7 of 12 lines left out:" and len(lines) == 7
    assert "line 6: 1 field where 3 are expected" in lines[1]
    assert "line 9: byte 1 is not UTF-8" in lines[4] and lines[6] == "  … and 2 more"
    for command in (["build", kb, "-o", tmp_path / "y"], ["add", tmp_path / "x", kb]):
        code, out, err = call(capsys, *command, "--strict")
        assert (code, out) == (2, "") and "line 6: 1 field" in err and err.count("\n") == 1
    assert left(tmp_path) == ["kb.tsv", "x"]


def damaged(path: Path, what: str) -> Path:
    data = path.read_bytes()
    target = path.with_name(what)
    if what == "truncated":
        data = data[:-1]
    elif what == "newer":
        data = data.replace(b'"version": "2"', b'"version": "3"', 1)
    elif what == "empty":
        data = b""
    elif what == "text":
        data = KB.encode()
    elif what == "flipped":
        data = data[:-1] + bytes([data[-1] ^ 1])
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("truncated", "it was truncated or appended to"),
        ("newer", "an index of version 3, but this ergotext reads versions up to 2"),
        ("empty", "is empty"),
        ("text", "is not an index"),
    ],
)
@pytest.mark.parametrize("command", ["info", "get", "verify", "add", "remove"])
def test_files_that_are_no_index(capsys, index, kb, command, what, message) -> None:
    path = damaged(index, what)
    more = {"get": [""], "add": [kb], "remove": [kb]}.get(command, [])
    code, out, err = call(capsys, command, path, *more)
    assert (code, out) == (1, "") and err.startswith("ergotext: ") and err.count("\n") == 1
    assert message in err


def test_only_verify_and_changes_read_all(capsys, index) -> None:
    path = damaged(index, "flipped")
    assert call(capsys, "info", path)[0] == 0
    code, _, err = call(capsys, "verify", path)
    assert code == 1 and "its content has changed" in err


def test_lookups_in_a_damaged_index(capsys, index) -> None:
    """Wrong answers at worst, or one line."""
    whole, rng = index.read_bytes(), random.Random(0)
    for _ in range(100):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        index.write_bytes(data)
        for arguments in (["get", index, ""], ["get", index, "苹果（"], ["info", index]):
            code, _, err = call(capsys, *arguments)
            assert code in (0, 1) and (code == 0 or err.startswith("ergotext: ")), err
            assert err.count("\n") <= 1


@pytest.mark.parametrize("command", ["add", "remove"])
def test_damage_is_not_written_down_anew(capsys, index, kb, command) -> None:
    path = damaged(index, "flipped")
    before = path.read_bytes()
    code, out, err = call(capsys, command, path, kb)
    assert (code, out) == (1, "") and "its content has changed" in err
    assert path.read_bytes() == before


def test_input_that_cannot_be_is_one_line(capsys, index, kb, tmp_path) -> None:
    empty, pipe = tmp_path / "empty.tsv", tmp_path / "pipe"
    empty.touch()
    os.mkfifo(pipe)
    none, out = tmp_path / "none", tmp_path / "out"
    for arguments, message in [
        (["build", none, "-o", out], "cannot read"),
        (["build", tmp_path, "-o", out], "is a folder"),
        (["build", pipe, "-o", out], "pipe or device"),
        (["build", empty, "-o", out], "empty.tsv is empty: give a file"),
        (["build", kb, "-o", out, "--columns", "key"], "contains no valid keys: 5 of 5"),
        (["build", kb, "-o", out, "--columns", "key,x"], "do not make up a key"),
        (["build", kb, "-o", tmp_path], "is a folder"),
        (["build", kb, "-o", pipe], "pipe or device"),
        (["build", kb, "-o", none / "kb.ergo"], "does not exist"),
        (["build", kb, "-o", kb], "also the input file"),
        (["build", kb], "Missing option"),
        (["build", kb, "-o", out, "--tokenizer", ""], "is empty"),
        (["build", kb, "-o", out, "--tokenizer", none], "does not exist"),
        (["build", kb, "-o", out, "--tokenizer", f"{none}.json"], "does not exist"),
        (["add", index, none], "cannot read"),
        (["add", none, kb], "cannot read the index"),
        (["add", index, kb, "--columns", "key"], "do not match"),
        (["add", index, index], "also the input file"),
        (["info", none], "cannot read the index"),
        (["info", tmp_path], "cannot read the index"),
        (["get", index, "", "-n", "0"], "-n"),
        (["get", index, "\udcff"], "lone surrogate"),
        (["verify", none], "cannot read the index"),
    ]:
        before = index.read_bytes()
        code, shown, err = call(capsys, *arguments)
        assert (code, shown) == (2, ""), (arguments, err)
        assert err.startswith("ergotext: ") and err.count("\n") == 1, err
        assert message in err, (arguments, err)
        assert index.read_bytes() == before and not out.exists()
    assert kb.read_text(encoding="utf-8") == KB


def test_texts_as_paths(index: Path, kb: Path) -> None:
    from ergotext.tasks import index as task
    from ergotext.tasks.index_summary import about
    from ergotext.tasks.lookup import get

    assert task.build(str(kb), str(index)).keys == 4
    assert task.add(str(index), str(kb)).keys == 4 and task.remove(str(index), str(kb)).keys == 0
    task.add(str(index), str(kb))
    assert about(str(index)).keys == get(str(index), "").count == 4
    assert "is intact" in task.check(str(index))


def test_one_is_singular(capsys, index, tmp_path) -> None:
    one = tmp_path / "one.txt"
    one.write_text("a\n")
    out = call(capsys, "build", one, "-o", index, "--columns", "key")[1]
    assert "1 key, " in out and "(1 of 1 line used" in out
    assert "1 inner node, 1 edge, 1 token in tails" in call(capsys, "info", index)[1]
    one.write_text("a\tb\n")
    err = call(capsys, "add", index, one)[2]
    assert "1 of 1 line is malformed" in err and "2 fields where 1 is expected" in err


def test_an_index_of_ids_needs_a_tokenizer(capsys, tmp_path) -> None:
    save(build([((2, 3), None)], Alphabet(9, 0, 1)), tmp_path / "ids")
    assert "not in the file, not named" in call(capsys, "info", tmp_path / "ids")[1]
    code, _, err = call(capsys, "get", tmp_path / "ids", "a")
    assert code == 2 and "name it (--tokenizer)" in err


def test_another_tokenizer(capsys, kb, model_folder, tmp_path) -> None:
    index = tmp_path / "kb.ergo"
    code, _, err = call(capsys, "build", kb, "-o", index, "--tokenizer", model_folder)
    assert code == 0 and err == ""
    assert f"{model_folder}, 376 tokens" in call(capsys, "info", index)[1]
    assert sorted(shown(capsys, index, "")) == sorted(KB.splitlines())
    assert shown(capsys, index, "香") == ["香蕉\t产地\t海南", "香蕉\t产地\t广东"]
    assert shown(capsys, index, "苹果（水", "--tokenizer", str(model_folder)) == [
        "苹果（水果）\t产地\t山东"
    ]
    whole = json.loads((model_folder / "tokenizer.json").read_text(encoding="utf-8"))
    whole["model"]["merges"] = whole["model"]["merges"][:-1]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(whole), encoding="utf-8")
    for command in (["get", index, ""], ["add", index, kb]):
        code, _, err = call(capsys, *command, "--tokenizer", other)
        assert code == 2 and err.count("\n") == 1, err
    # The name that the index holds now leads to nothing.
    save(load(index), index, {"tokenizer": str(tmp_path / "gone.json")})
    code, _, err = call(capsys, "get", index, "")
    assert code == 2 and "name the right one (--tokenizer)" in err and err.count("\n") == 1
    assert call(capsys, "get", index, "", "--tokenizer", model_folder)[0] == 0


def test_what_a_tokenizer_does_to_keys_is_said(capsys, tmp_path) -> None:
    bert().save_pretrained(tmp_path / "bert")
    lines, index = tmp_path / "kb.tsv", tmp_path / "kb.ergo"
    lines.write_text("new york\tnews\tx\n")
    build = ["build", lines, "-o", index, "--tokenizer", tmp_path / "bert"]
    code, out, err = call(capsys, *build)
    assert code == 0 and err.count("\n") == 1
    assert err.startswith("ergotext: ") and "drops the tab" in err
    assert shown(capsys, index, "New Y") == ["new york news\tx"]
    lines.write_text("new 🍌\nnew 🍎\n\u00a0\n")
    code, out, err = call(capsys, *build, "--columns", "key")
    assert code == 0 and "1 key," in out and "2 of 3 lines" in out
    assert "line 3: a key without tokens" in err and "does not cover every character" in err


def test_an_index_that_another_process_changes(capsys, index, kb, monkeypatch) -> None:
    from ergotext.tasks import index as task

    def meanwhile(*arguments, **options):
        save(load(index), index)
        return real(*arguments, **options)

    real = task.add_lines
    monkeypatch.setattr(task, "add_lines", meanwhile)
    code, _, err = call(capsys, "add", index, kb)
    assert code == 1 and "changed by another process" in err and len(load(index)) == 4


def test_two_processes_that_add_to_one_index(index: Path, kb: Path, tmp_path: Path) -> None:
    """The second waits for the first, however late in its work that is, and adds to its result."""
    sources, go = [tmp_path / "a.tsv", tmp_path / "b.tsv"], tmp_path / "go"
    for source in sources:
        source.write_text(f"{source.stem}\tp\to\n")
    late = f"""
import os, time
from pathlib import Path
real = Path.replace
def wait(path, other):
    print('here', flush=True)
    while not os.path.exists({str(go)!r}):
        time.sleep(0.02)
    return real(path, other)
Path.replace = wait
"""
    first = process(late, "add", index, sources[0])
    assert first.stdout is not None and first.stdout.readline() == "here\n"
    link = tmp_path / "link.ergo"
    link.symlink_to(index)
    second = process("", "add", link, sources[1])
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(4)
    go.touch()
    for running in (first, second):
        assert running.communicate(timeout=60)[1] == "" and running.returncode == 0
    trie = load(index)
    assert len(trie) == 6 and "a\tp" in trie and "b\tp" in trie


def test_a_build_waits_for_a_change(capsys, index, kb, monkeypatch) -> None:
    from ergotext.tasks import index as task

    held = []
    real = task.save
    monkeypatch.setattr(task, "save", lambda *a, **o: held.append(lock(index)) or real(*a, **o))
    assert call(capsys, "build", kb, "-o", index)[0] == 0
    assert call(capsys, "add", index, kb)[0] == 0
    assert held == [False, False] and lock(index)


def lock(index: Path) -> bool:
    """Whether another process could change the index now."""
    code = (
        "import sys; from filelock import FileLock\n"
        f"from ergotext.tasks.index_lock import lock_of; from pathlib import Path\n"
        f"FileLock(lock_of(Path({str(index)!r}))).acquire(timeout=0)"
    )
    return not subprocess.run([sys.executable, "-c", code], capture_output=True).returncode


def test_a_lock_that_cannot_be_made(capsys, index, kb) -> None:
    from ergotext.tasks.index_lock import lock_of

    lock_of(index).mkdir()
    code, out, err = call(capsys, "add", index, kb)
    assert (code, out) == (1, "") and err.count("\n") == 1 and "cannot lock" in err, err


class FullDisk(io.FileIO):
    """A disk that is full after some bytes."""

    room = 600

    def write(self, data) -> int:
        if self.tell() + len(memoryview(data).cast("B")) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


@pytest.mark.parametrize("command", ["build", "add", "remove"])
def test_a_full_disk_leaves_the_old_file(capsys, index, kb, command, monkeypatch) -> None:
    class Disk(type(Path())):
        def open(self, *arguments, **options):
            part = self.name.endswith(".part")
            return FullDisk(self, "x") if part else super().open(*arguments, **options)

    before = index.read_bytes()
    monkeypatch.setattr(files, "Path", Disk)
    arguments = ["build", kb, "-o", index] if command == "build" else [command, index, kb]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert "No space left" in err and "the old file is unchanged" in err
    assert index.read_bytes() == before and left(index.parent) == ["kb.ergo", "kb.tsv"]


def process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs this code, and then the command line."""
    call = ["ergotext", "index", *map(str, arguments)]
    whole = f"import sys\n{code}\nfrom ergotext.cli import entry\nsys.argv = {call!r}\nentry()"
    return subprocess.Popen(
        [sys.executable, "-c", whole], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_no_room_for_a_file_of_that_size(index: Path, kb: Path) -> None:
    """As the system says it, for the index and for the files that keys are sorted in."""
    before = index.read_bytes()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"
    small = "import ergotext.lm.trie.lines as l; l.build_from_lines.__kwdefaults__['run_bytes'] = 1"
    for code, message in [(limit.format(700), f"writing {index} failed (File too large)"),
                          (limit.format(4) + "\n" + small, "temporary files")]:  # fmt: skip
        running = process(code, "build", kb, "-o", index)
        out, err = running.communicate(timeout=120)
        assert running.returncode == 1 and out == "" and err.count("\n") == 1, err
        assert message in err, err
        assert index.read_bytes() == before and left(index.parent) == ["kb.ergo", "kb.tsv"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("place", ["sorting", "writing"])
def test_signals_leave_nothing_behind(index: Path, kb: Path, number: int, place: str) -> None:
    scratch = index.parent / "scratch"
    scratch.mkdir()
    before = index.read_bytes()
    waits = {
        "sorting": "import ergotext.lm.trie.levels as m; of, name = m.Levels, 'finish'",
        "writing": "import os as m; of, name = m, 'fsync'",
    }[place]
    code = f"""
import tempfile, time
import ergotext.lm.trie.lines as lines
lines.build_from_lines.__kwdefaults__['run_bytes'] = 1
tempfile.tempdir = {str(scratch)!r}
{waits}
def wait(*_):
    print('here', flush=True)
    time.sleep(60)
setattr(of, name, wait)
"""
    running = process(code, "build", kb, "-o", index)
    assert running.stdout is not None and running.stdout.readline() == "here\n"
    running.send_signal(number)
    began = time.monotonic()
    _, err = running.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert index.read_bytes() == before and left(scratch) == []
    if number == signal.SIGKILL:  # nobody can clear up behind that, but the next build is not hurt
        assert len(left(index.parent)) == (4 if place == "writing" else 3)
        return
    assert running.returncode == 128 + number and err.count("\n") == 1, err
    assert left(index.parent) == ["kb.ergo", "kb.tsv", "scratch"]


@pytest.mark.parametrize("command", [["info"], ["get", "香"], ["verify"]])
def test_asking_is_quick(index: Path, command: list[str]) -> None:
    """Neither torch nor transformers on the way."""
    call = ["index", command[0], str(index), *command[1:]]
    code = f"import sys; from ergotext.cli import main; main({call!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "numpy" in loaded and not loaded & {"torch", "transformers"}


def test_a_reader_that_leaves(index: Path) -> None:
    running = process("", "get", index, "")
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    with running.stderr:
        assert "Traceback" not in running.stderr.read()
    assert running.wait(60) == 1


def test_help() -> None:
    running = process("", "--help")
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert all(name in out for name in ("build", "add", "remove", "info", "get", "verify"))


def test_build_leaves_what_is_no_index_alone(capsys, tmp_path, kb) -> None:
    notes = tmp_path / "notes.tsv"
    notes.write_text("mine\n")
    code, out, err = call(capsys, "build", kb, "-o", notes)
    assert (code, out) == (2, "") and "already exists and is not an index" in err
    assert notes.read_text() == "mine\n"
    notes.write_text("")
    assert call(capsys, "build", kb, "-o", notes)[0] == 0  # as mktemp leaves it
    assert call(capsys, "build", kb, "-o", notes)[0] == 0  # an index makes room for another


def test_keys_with_special_and_added_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = bart()
    tokenizer.add_special_tokens({"mask_token": "<mask>"})
    tokenizer.add_tokens(["ñandú"])
    tokenizer.save_pretrained(tmp_path / "bart")
    lines, index = tmp_path / "lines.tsv", tmp_path / "kb.ergo"
    lines.write_text("a <mask> b\tx\nthe ñandú\ty\n", encoding="utf-8")
    build_ = ("build", lines, "-o", index, "--columns", "key,object")
    code, _, said = call(capsys, *build_, "--tokenizer", tmp_path / "bart")
    assert code == 0 and "special tokens of the tokenizer" in said and "(<mask>)" in said
    assert shown(capsys, index, "a <m") == ["a <mask> b\tx"]
    assert shown(capsys, index, "the ñandú") == ["the ñandú\ty"]


def test_a_table_in_another_encoding(capsys, index: Path, tmp_path: Path) -> None:
    """As spreadsheets save it in China: the advice is to convert it, not to name columns."""
    table = tmp_path / "facts.csv"
    table.write_bytes("大桥,长度,1860米\n中学,人数,300\n".encode("gbk"))
    code, _, err = call(capsys, "build", table, "-o", index)
    assert code == 2 and "save it as UTF-8, for example by iconv -f GBK -t UTF-8" in err
    assert "columns" not in err


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("kb.csv", "Subject,Predicate,Object"),
        ("kb.tsv", "entity\tattribute\tvalue"),
        ("kb.tsv", "\ufeff主体\t属性\t值"),
        ("kb.csv", '"name", "property", value'),
    ],
)
def test_a_header_is_told(
    name: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, between = tmp_path / name, "," if name.endswith("csv") else "\t"
    path.write_text(f"{line}\n{between.join(('tea', 'price', '3 euros'))}\n", encoding="utf-8")
    code, _, err = call(capsys, "build", path, "-o", path.with_suffix(".ergo"))
    assert code == 0
    assert f"line 1 of {path}" in err and "looks like a header" in err


@pytest.mark.parametrize("line", ["tea,price,object", "value,price,3", "title,name"])
def test_a_fact_is_no_header(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kb.csv"
    path.write_text(f"{line}\ncoffee,price,2 euros\n", encoding="utf-8")
    code, _, err = call(capsys, "build", path, "-o", path.with_suffix(".ergo"))
    assert code == 0
    assert "looks like a header" not in err


def test_names_of_columns_are_a_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kb.tsv"
    path.write_text("was\twie\nTee\tgut\n", encoding="utf-8")
    index, columns = path.with_suffix(".ergo"), ("--columns", "was,wie", "--key", "was")
    code, _, err = call(capsys, "build", path, "-o", index, *columns, "--answer", "wie")
    assert code == 0, err
    assert "looks like a header" in err
