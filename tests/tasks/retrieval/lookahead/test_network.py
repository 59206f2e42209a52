"""The matcher: what it reads, that company changes nothing, that it learns, that files last."""

from __future__ import annotations

import json
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
    assert texts.question.ids[0].tolist() == first
    assert texts.group.tolist() == [0, 0, 1, 1, 1]
    assert texts.predicate.ids.shape[1] == PREDICATE
    assert texts.value.ids[2].tolist() == [UNKNOWN] + [PADDING] * (texts.value.ids.shape[1] - 1)
    # 总长: its second character is the question's fourth; padding equals nothing, not even padding.
    assert texts.equal[0].nonzero().tolist() == [[1, 3]]
    assert texts.equal[4].sum() == 0
    # An unknown character is told to be equal all the same.
    (row,) = texts_of([Asked(f"{SUBJECT}龘", "", [Key("龘", "", "")])], {}).equal
    assert row.nonzero().tolist() == [[0, 1]]


def test_long_questions_are_read_around_the_subject(matcher: Matcher) -> None:
    rest = "字" * 500 + SUBJECT + "有多长" + "字" * 500
    texts = matcher.read([Asked(rest, "a", [Key("总长", "", "")])])
    row = texts.question.ids[0].tolist()
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


@pytest.fixture
def worded() -> Matcher:
    """Each of the first forty words means the same as one of the last forty."""
    torch.manual_seed(1)
    meanings = torch.randn(40, 16)
    words = [f"{chr(0x4E00 + n)}{chr(0x5E00 + n)}" for n in range(80)]
    vectors = torch.cat([meanings, meanings])
    return Matcher("", width=16, hidden=16, drop=0.0, words=words, vectors=vectors)


def test_what_is_learned_of_words_holds_for_those_that_mean_the_same(worded: Matcher) -> None:
    rng = random.Random(0)
    before = worded.words.weight.clone()
    words = worded.lexicon.words
    optimizer = torch.optim.AdamW(worded.parameters(), lr=3e-3, weight_decay=0.5)

    def draw(low: int, high: int) -> Asked:
        some = rng.sample(range(low, high), 5)
        return Asked(f"{SUBJECT}{words[some[0] + 40]}呢", "", [Key(words[n], "", "") for n in some])

    worded.train()
    for _ in range(250):
        scores = worded(worded.read([draw(0, 30) for _ in range(16)])).reshape(16, 5)
        optimizer.zero_grad()
        (-scores.log_softmax(1)[:, 0].mean()).backward()
        optimizer.step()
    assert torch.equal(worded.words.weight, before)  # training leaves the vectors as they are
    right = sum(int(worded.scores([draw(30, 40)]).argmax()) == 0 for _ in range(200))
    assert right >= 150  # of words that were never seen; chance gives 40
    worded.words.weight.data[71:] = worded.words.weight[71:].flip(0)  # and not by anything else
    assert sum(int(worded.scores([draw(30, 40)]).argmax()) == 0 for _ in range(200)) < 100


def test_words_are_saved_and_loaded(worded: Matcher, tmp_path: Path) -> None:
    worded.eval().save(tmp_path)
    back = Matcher.load(tmp_path)
    asked = [Asked(f"{SUBJECT}{worded.lexicon.words[41]}呢", "", [Key("一帀", "", "")])]
    torch.testing.assert_close(back.scores(asked), worded.scores(asked), rtol=0, atol=2e-2)
    assert back.lexicon.words == worded.lexicon.words
    assert not back.words.weight.requires_grad and back.of_word.weight.requires_grad
    without = Matcher("", width=16, hidden=16, drop=0.0)
    weights = {n: t for n, t in back.state_dict().items() if "word" not in n}
    without.load_state_dict(weights)
    assert abs(without.eval().scores(asked) - back.scores(asked)) > 1e-3  # they are read


@pytest.mark.parametrize("words", ["一帀", "", None])
def test_other_words_than_vectors(worded: Matcher, tmp_path: Path, words: str | None) -> None:
    worded.save(tmp_path)
    about = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    about |= {"words": words}
    if words is None:
        del about["words"]
    (tmp_path / CONFIG).write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ModelError, match="words"):
        Matcher.load(tmp_path)


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
