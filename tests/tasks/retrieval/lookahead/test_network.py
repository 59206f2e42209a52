"""The matcher: what it reads, that company changes nothing, that it learns, that files last."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import torch

from ergotext.errors import InputError, ModelError
from ergotext.tasks.retrieval.lookahead.features import (
    FIRST,
    PADDING,
    PREDICATE,
    QUESTION,
    SUBJECT,
    SUBJECT_ID,
    UNKNOWN,
    Asked,
    Key,
    texts_of,
)
from ergotext.tasks.retrieval.lookahead.network import CONFIG, WEIGHTS, Matcher

CHARACTERS = "有多长总作者谁写的产地哪里是什么颜色高"
GROUPS = [
    Asked(f"{SUBJECT}有多长？", "长江", [Key("总长", "6300公里", ""), Key("作者", "无", "河流")]),
    Asked(
        f"谁写的{SUBJECT}", "", [Key("作者", "", ""), Key("颜色", "红", ""), Key("x" * 40, "", "")]
    ),
]


@pytest.fixture
def matcher() -> Matcher:
    torch.manual_seed(0)
    return Matcher(CHARACTERS, width=16, hidden=16).eval()


def test_texts_are_read_as_told(matcher: Matcher) -> None:
    texts = matcher.read(GROUPS)
    number = {c: n for n, c in enumerate(CHARACTERS, FIRST)}
    first = [SUBJECT_ID, *(number[c] for c in "有多长"), UNKNOWN]
    assert texts.question[0].tolist() == first
    assert texts.group.tolist() == [0, 0, 1, 1, 1]
    assert texts.predicate.shape[1] == PREDICATE
    assert texts.value[2].tolist() == [UNKNOWN] + [PADDING] * (texts.value.shape[1] - 1)
    # 总长: its second character is the question's fourth; padding equals nothing, not even padding.
    assert texts.equal[0].nonzero().tolist() == [[1, 3]]
    assert texts.equal[4].sum() == 0
    # An unknown character is told to be equal all the same.
    (row,) = texts_of([Asked(f"{SUBJECT}龘", "", [Key("龘", "", "")])], {}).equal
    assert row.nonzero().tolist() == [[0, 1]]


def test_long_questions_are_read_around_the_subject(matcher: Matcher) -> None:
    rest = "字" * 500 + SUBJECT + "有多长" + "字" * 500
    texts = matcher.read([Asked(rest, "a", [Key("总长", "", "")])])
    row = texts.question[0].tolist()
    assert len(row) == QUESTION and SUBJECT_ID in row
    assert texts.equal[0, 1].sum() == 1


def test_scores_do_not_hang_on_company(matcher: Matcher) -> None:
    together = matcher.scores(GROUPS)
    alone = [matcher.scores([one._replace(keys=[key])]) for one in GROUPS for key in one.keys]
    assert together.dtype == torch.float64
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


def test_nothing_asked(matcher: Matcher) -> None:
    assert matcher.scores([]).shape == (0,)
    assert matcher.scores([Asked("x", "", [])]).shape == (0,)
    assert matcher.scores([Asked("", "", [Key("", "", "")])]).isfinite().all()


def test_it_learns_to_copy_what_it_never_saw(matcher: Matcher) -> None:
    """Right is the predicate that stands in the question, also one of new characters."""
    rng = random.Random(0)
    torch.manual_seed(0)
    matcher.train()
    optimizer = torch.optim.AdamW(matcher.parameters(), lr=3e-3)
    seen, new = CHARACTERS[:10], CHARACTERS[10:]

    def draw(alphabet: str) -> list[Asked]:
        words = ["".join(rng.sample(alphabet, 2)) for _ in range(5)]
        return [Asked(f"{SUBJECT}{words[0]}呢", "", [Key(word, "", "") for word in words])]

    for _ in range(150):
        batch = [draw(seen)[0] for _ in range(16)]
        scores = matcher(matcher.read(batch)).reshape(16, 5)
        loss = -scores.log_softmax(1)[:, 0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = sum(int(matcher.scores(draw(new)).argmax()) == 0 for _ in range(200))
    assert right >= 180  # chance gives 40, and a few draws hold a word twice


def test_saved_and_loaded(matcher: Matcher, tmp_path: Path) -> None:
    matcher.save(tmp_path)
    back = Matcher.load(tmp_path)
    torch.testing.assert_close(back.scores(GROUPS), matcher.scores(GROUPS), rtol=0, atol=2e-2)
    assert not back.training
    back.save(tmp_path)  # float16 already: nothing changes any more
    assert torch.equal(Matcher.load(tmp_path).scores(GROUPS), back.scores(GROUPS))


def test_training_mode_is_left_as_it_was(matcher: Matcher) -> None:
    matcher.train()
    assert torch.equal(matcher.scores(GROUPS), matcher.scores(GROUPS))
    assert matcher.training


def test_no_matcher(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        Matcher.load(tmp_path)


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_damaged(matcher: Matcher, tmp_path: Path, file: str) -> None:
    matcher.save(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match="damaged"):
        Matcher.load(tmp_path)


def test_another_shape(matcher: Matcher, tmp_path: Path) -> None:
    matcher.save(tmp_path)
    text = (tmp_path / CONFIG).read_text(encoding="utf-8")
    (tmp_path / CONFIG).write_text(text.replace('"width": 16', '"width": 8'), encoding="utf-8")
    with pytest.raises(ModelError, match="damaged"):
        Matcher.load(tmp_path)
