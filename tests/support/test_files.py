"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.support.files import STALE, locked, replacing, write_text


def test_a_file_takes_the_place_of_the_old_one_and_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(link, "new")
    assert link.is_symlink() and path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o640
    assert {p.name for p in tmp_path.iterdir()} == {"file", "link"}


def test_the_root_is_no_file() -> None:
    with pytest.raises(IsADirectoryError, match="Is a directory: '/'"):
        write_text(Path("/tmp/../.."), "new")


def test_what_is_no_text_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(InputError, match=r"'\\udcff', which is no character"):
        write_text(tmp_path / "file", "a\udcff")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with replacing(path, durable=True) as part:
            part.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_two_writers_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as two:
        one.write_text("one")
        two.write_text("two")
        assert one != two and not path.exists()
    assert path.read_text() == "one"  # the outer one ends last


def test_what_killed_processes_left_is_swept_away(tmp_path: Path) -> None:
    old, new = tmp_path / ".ergotext-1.part", tmp_path / ".ergotext-2.part"
    for part in (old, new):
        part.write_text("half")
    os.utime(old, (time.time() - 2 * STALE,) * 2)
    write_text(tmp_path / "file", "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == [new.name, "file"]


def test_a_lock_keeps_others_waiting(tmp_path: Path) -> None:
    file, seen = tmp_path / "lock", []

    def wait() -> None:
        with locked(file, "waiting"):
            seen.append("other")

    with locked(file):
        other = threading.Thread(target=wait)
        other.start()
        other.join(0.3)
        seen.append("first")
    other.join(10)
    assert seen == ["first", "other"]


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_durable_file_needs_no_right_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """Neither of the file that was there, nor of the folder; root may read both all the same."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o200)
    opened = os.open

    def refused(file: Path, flags: int, *rest: int) -> int:
        if Path(file).is_dir() if of == "folder" else not Path(file).stat().st_mode & 0o400:
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, flags, *rest)

    monkeypatch.setattr("ergotext.support.files.os.open", refused)
    with replacing(path, durable=True) as part, part.open("w") as file:
        file.write("new")
    monkeypatch.undo()
    assert path.stat().st_mode & 0o777 == 0o200
    path.chmod(0o600)
    assert path.read_text() == "new"
