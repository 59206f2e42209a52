"""Faults put into the search for names, and the tests that see them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.faulty import load_with_fault
from tests.lm.tokenizers import test_folding
from tests.lm.trie.names import test_align, test_spans
from tests.lm.trie.names.names_cases import CASES, LINES, made

Check = Callable[[Path], None]


def subjects(folder: Path) -> None:
    trie = made(folder, LINES)
    for case in CASES:
        test_spans.test_subjects_as_people_write_them(trie, *case)


def one_letter(_: Path) -> None:
    test_folding.test_what_is_folded_together("Café", "cafe")


FAULTS: dict[str, tuple[str, str, str, Check]] = {
    "what a text adds ends an alignment": (
        "lm.trie.names.align", "np.maximum.accumulate(new + ramp, axis=1) - ramp", "new",
        lambda _: test_align.test_the_score_is_that_of_a_plain_table()),
    "scattered letters are worth as much as words": (
        "lm.trie.names.align", "before | ~apart[:, None], MATCH, ALONE",
        "before | ~apart[:, None], MATCH, MATCH",
        lambda _: test_align.test_the_score_is_that_of_a_plain_table()),
    "pairs of neighbours only": (
        "lm.trie.names.grams", "for gap in range(1, GAP + 1):", "for gap in range(1, 2):",
        subjects),
    "no initials": (
        "lm.trie.names.search", "    if not rows:\n        return near", "    return near",
        subjects),
    "values of any number of keys": (
        "lm.trie.names.build", "counts <= MOST_KEYS", "counts > 0",
        test_spans.test_values_that_many_keys_have_tell_nothing),
    "values with the blanks around them": (
        "lm.trie.names.values", "begin = np.minimum(letters[blank[begin]], stop)", "pass",
        subjects),
    "a subject is found by its value again": (
        "lm.trie.names.spans", "fresh = ~np.isin(its, names[number])", "fresh = its >= 0",
        test_spans.test_a_subject_and_its_value_are_one_subject),
    "spans of parts of words": (
        "lm.trie.names.spans", "        while stop < len(text) and not ends[stop] and not "
        "is_unspaced(text[stop]):", "        while False:", subjects),
    "spaces count": (
        "lm.trie.names.spans", "equal=near.equal - blank", "equal=near.equal",
        test_spans.test_spaces_are_no_letters_of_a_word),
    "accents count": (
        "lm.tokenizers.folding", ".translate(_ACCENTS)", "", one_letter),
    "the name after the one that is meant": (
        "lm.trie.names.search", "name, mass = name[~known], mass[~known]",
        "name, mass = (name[~known] + 1) % len(self.names), mass[~known]", subjects),
}  # fmt: skip
USERS = [
    f"ergotext.lm.{name}"
    for name in (
        "trie.names.align", "trie.names.grams", "trie.names.build", "trie.names.values",
        "trie.names.spans", "trie.names.search", "tokenizers.folding", "trie.mentions",
        "trie.lines",
    )
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_tests_see_it(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, old, new, check = FAULTS[fault]
    check(tmp_path)
    faulty = vars(load_with_fault(name, (old, new)))
    own = f"ergotext.{name}"
    for user in (*USERS, test_align.__name__, test_folding.__name__):
        module = import_module(user)
        for key, value in list(vars(module).items()):
            if _home(value) == own and key in faulty:
                monkeypatch.setattr(module, key, faulty[key])
    with pytest.raises((AssertionError, ValueError)):
        check(tmp_path)


def _home(value: Any) -> str:
    return str(getattr(value, "__module__", ""))
