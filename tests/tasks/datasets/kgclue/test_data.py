"""Data files as they are, and as they should not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.data import Question, Triple, read, triple

GOOD = '{"id": 0, "question": "苹果产自哪里？", "answer": "苹果（水果） ||| 产地 ||| 山东"}'
BAD = {
    '{"id": 1, "question"': "not JSON",
    "[" * 100_000: "nested more than 64 deep",
    '["id", "question"]': "not a JSON object",
    '{"id": 1, "answer": "a ||| b ||| c"}': "it has no question",
    '{"question": "?", "answer": "a ||| b ||| c"}': "it has no id",
    '{"answer": "a ||| b ||| c"}': "it has no id and no question",
    '{"id": 1, "question": "?", "answer": "a|||b|||c"}': "the answer 'a|||b|||c' is not subject",
    '{"id": 1, "question": "?", "answer": "a ||| b"}': "the answer 'a ||| b' is not subject",
    '{"id": 1, "question": "?", "answer": "a ||| b ||| c ||| d"}': "is not subject",
    '{"id": 1, "question": "?", "answer": ["a", "b", "c"]}': "['a', 'b', 'c'] is not a text",
    '{"id": 1, "question": 7, "answer": "a ||| b ||| c"}': "the question 7 is not a text",
    '{"id": true, "question": "?"}': "the id True is neither",
    '{"id": 1.5, "question": "?"}': "the id 1.5 is neither",
    '{"id": 0, "question": "?"}': "the id 0 is already used in line 1",
    '{"id": 1, "question": "half a pair: \\ud83d"}': "not UTF-8",
}


def written(path: Path, *lines: str | bytes, end: bytes = b"\n") -> Path:
    path.write_bytes(end.join(x if isinstance(x, bytes) else x.encode() for x in lines))
    return path


def test_reads_what_is_there(tmp_path: Path) -> None:
    bare = '{"id": "two", "question": "", "answer": null, "more": 1}'
    path = written(
        tmp_path / "q.json", b"\xef\xbb\xbf" + GOOD.encode(), "", bare, "  ", end=b"\r\n"
    )
    found = read(path)
    answer = Triple("苹果（水果）", "产地", "山东")
    assert found.asked == [
        Question(1, 0, "苹果产自哪里？", answer), Question(3, "two", "", None),
    ]  # fmt: skip
    assert str(answer) == json.loads(GOOD)["answer"]
    assert (found.lines.read, found.lines.bad, found.lines.shown) == (2, 0, [])


@pytest.mark.parametrize("titles", [False, True])
def test_an_empty_answer_says_that_the_base_has_none(tmp_path: Path, titles: bool) -> None:
    empty, bare = '{"id": 1, "question": "?", "answer": ""}', '{"id": 2, "question": "?"}'
    path = written(tmp_path / "q.json", empty, bare)
    found = read(path, titles=titles)
    assert [(q.id, q.answer, q.title, q.absent) for q in found.asked] == [
        (1, None, None, True), (2, None, None, False),
    ]  # fmt: skip
    assert found.lines.bad == 0


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
def test_a_bad_line_is_left_out_and_told(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "q.json", GOOD, line, '{"id": 9, "question": "last"}')
    found = read(path)
    assert [q.id for q in found.asked] == [0, 9]
    assert (found.lines.read, found.lines.bad) == (3, 1)
    (told,) = found.lines.shown
    assert told.startswith(f"{path}, line 2: ") and BAD[line] in told
    assert len(told) < len(str(path)) + 150


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    found = read(written(tmp_path / "q.json", b'{"id": 1, "question": "\xff"}', GOOD))
    assert found.lines.bad == 1 and "line 1: not UTF-8" in found.lines.shown[0]


def test_all_are_counted_and_some_shown(tmp_path: Path) -> None:
    found = read(written(tmp_path / "q.json", GOOD, *["no"] * 30))
    assert found.lines.bad == 30 and len(found.lines.shown) == 5


def test_limit_counts_questions_not_lines(tmp_path: Path) -> None:
    lines = [f'{{"id": {n}, "question": "?"}}' if n % 2 else "no" for n in range(8)]
    path = written(tmp_path / "q.json", *lines)
    assert [q.id for q in read(path, 3).asked] == [1, 3, 5]
    assert read(path, 3).digest == read(path).digest


def test_what_is_no_file_of_questions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the questions"):
        read(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot read the questions"):
        read(tmp_path)
    with pytest.raises(
        InputError, match=r"contains no questions: the first fault is in .*line 2: not"
    ):
        read(written(tmp_path / "q.json", "", "no"))
    with pytest.raises(InputError, match=r"contains no questions; give"):
        read(written(tmp_path / "q.json"))


@pytest.mark.parametrize("answer", ["a ||| b ||| ", " |||  ||| ", "a  ||| b ||| |||"])
def test_fields_are_kept_as_they_stand(answer: str) -> None:
    assert str(triple(answer)) == answer


def test_answers_are_what_most_of_them_are(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"

    def asked(*answers: str | None) -> list[Question]:
        given = [{} if answer is None else {"answer": answer} for answer in answers]
        lines = [json.dumps({"id": n, "question": "?"} | one) for n, one in enumerate(given)]
        path.write_text("\n".join(lines), encoding="utf-8")
        return read(path, titles=None).asked

    assert [one.title for one in asked("Paris", "a ||| b ||| c", "Rome")] == ["Paris", "Rome"]
    assert [one.answer for one in asked("a ||| b ||| c", "Rome")] == [("a", "b", "c")]
    assert [(one.answer, one.title) for one in asked(None, None)] == [(None, None)] * 2
