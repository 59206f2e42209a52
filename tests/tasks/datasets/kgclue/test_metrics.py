"""Scores against the published definition, written out plainly, on what data files may hold."""

from __future__ import annotations

import random

import pytest

from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.data import SEPARATOR, Triple
from ergotext.tasks.datasets.kgclue.metrics import Marks, f1, mark
from tests.faulty import load_with_fault

PARTS = ("All", "S", "P", "O")
PIECES = [
    "",
    " ",
    "  ",
    "\t",
    "\u3000",
    "A",
    "a",
    "İ",
    "ß",
    "苹",
    "果",
    "（",
    "）",
    "|||",
    "|",
    "\n",
    "😀",
]


def longest_common_subsequence(a: str, b: str) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a)):
        for j in range(len(b)):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if a[i] == b[j] else max(table[i][j + 1], table[i + 1][j])
            )
    return table[-1][-1]


def plainly(gold: list[str], predicted: list[str]) -> dict[str, float]:
    """The definition, one step behind the other; not rounded."""
    total = {f"{kind}_{part}": 0.0 for kind in ("EM", "F1") for part in PARTS}
    for true, told in zip(gold, predicted, strict=True):
        a = [" ".join(field.lower().split()) for field in true.split(" ||| ")]
        b = [" ".join(field.lower().split()) for field in told.split(" ||| ")]
        if len(b) != 3:
            continue
        pairs = {"All": ("".join(a), "".join(b)), "S": (a[0], b[0]), "P": (a[1], b[1])}
        for part, (x, y) in {**pairs, "O": (a[2], b[2])}.items():
            if x or y:
                common = longest_common_subsequence(x, y)
                total[f"F1_{part}"] += 2 * common / (len(x) + len(y))
            total[f"EM_{part}"] += (a == b) if part == "All" else (x == y)
    total = {name: 100 * value / len(gold) for name, value in total.items()}
    return {"EMF1": (total["EM_O"] + total["F1_O"]) / 2, **total}


def text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.choice([0, 0, 1, 2, 4, 9])))


def pairs(count: int, seed: int) -> tuple[list[str], list[str]]:
    """True answers, and ones told: near them, far from them, and malformed."""
    rng = random.Random(seed)
    gold: list[str] = []
    told: list[str] = []
    while len(gold) < count:
        true = [text(rng) for _ in range(3)]
        near = [rng.choice([f, f.upper(), f" {f}\t", f[1:], f[::-1], text(rng)]) for f in true]
        answer = SEPARATOR.join(rng.choice([near, near, near, near[:2], [*near, "x"], near[:1]]))
        if len(SEPARATOR.join(true).split(SEPARATOR)) == 3:
            gold.append(SEPARATOR.join(true))
            told.append(answer)
    return gold, told


def triples(gold: list[str]) -> list[Triple]:
    return [Triple(*answer.split(SEPARATOR)) for answer in gold]


def test_ten_thousand_pairs() -> None:
    """Every pair by itself, then all of them together, to the last bit."""
    gold, told = pairs(10_000, seed=5)
    marks = mark(triples(gold), told)
    single = [plainly([a], [b]) for a, b in zip(gold, told, strict=True)]
    for column, part in enumerate(PARTS):
        assert [100 * x for x in marks.exact[:, column]] == [s[f"EM_{part}"] for s in single]
        assert [100 * x for x in marks.f1[:, column]] == [s[f"F1_{part}"] for s in single]
    assert marks.scores() == {k: round(v, 3) for k, v in plainly(gold, told).items()}
    # Otherwise the pairs would prove little.
    whole = [s["EM_All"] == 100 for s in single]
    empty = [not any(f.strip() for f in a.split(SEPARATOR)) for a in gold]
    assert sum(whole) > 400 and sum(empty) > 100
    assert sum(b.count(SEPARATOR) != 2 for b in told) > 1000
    assert sum(0 < x < 1 for x in marks.f1[:, 0]) > 1000


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [("", "", 0.0), ("a", "", 0.0), ("ab", "ab", 1.0), ("ab", "ba", 0.5), ("abcd", "ad", 4 / 6)],
)
def test_f1(first: str, second: str, wanted: float) -> None:
    assert f1(first, second) == f1(second, first) == wanted


def test_what_marks_tell() -> None:
    gold = triples(["S ||| P ||| ab", "S ||| P ||| ab", "S ||| P ||| ab", "S ||| P ||| ab"])
    told = ["s |||  p ||| AB", "S ||| P ||| ba", "S ||| Q ||| ab", ""]
    marks = mark(gold, told)
    assert marks.right.tolist() == [True, True, False, False]
    assert marks.emf1.tolist() == [1.0, 0.25, 1.0, 0.0]
    scores = marks.scores()
    assert next(iter(scores)) == "EMF1" and scores["EMF1"] == 56.25
    assert (scores["EM_S"], scores["EM_P"], scores["EM_All"]) == (75.0, 50.0, 25.0)


def test_nothing_to_score() -> None:
    marks = mark([], [])
    assert isinstance(marks, Marks) and marks.emf1.shape == (0,)
    with pytest.raises(InputError, match="no answers to score against"):
        marks.scores()


FAULTS = {
    "two empty strings are alike": ("if total else 0.0", "if total else 1.0"),
    "case counts": ("text.lower().split()", "text.split()"),
    "white space counts": ('" ".join(text.lower().split())', "text.lower()"),
    "a malformed answer counts as far as it goes": (
        "if len(told) != len(true):", "told = [*told, '', ''][:3]\n    if not told:"),
    "the whole is alike when its parts joined are": (
        "float(true == told)", 'float("".join(true) == "".join(told))'),
    "F1 over the greater length": (
        "/ total if", "/ max(2 * len(first), 2 * len(second)) if"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str) -> None:
    gold, told = pairs(2_000, seed=6)
    gold += ["ab ||| c ||| d", " ||| b ||| c"]
    told += ["a ||| bc ||| d", "b |||  ||| c"]
    wanted = {name: round(value, 3) for name, value in plainly(gold, told).items()}
    assert mark(triples(gold), told).scores() == wanted
    faulty = load_with_fault("tasks.datasets.kgclue.metrics", FAULTS[fault])
    assert faulty.mark(triples(gold), told).scores() != wanted
