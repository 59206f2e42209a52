"""Examples for the matcher, its training on a made-up base, and the potential that comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.trie.file import load
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.features import SUBJECT, Asked, Key
from ergotext.tasks.retrieval.lookahead.learned import Matched, grouped
from ergotext.tasks.retrieval.lookahead.network import Matcher
from ergotext.tasks.training.checkpoints import File
from ergotext.tasks.training.log import Log
from ergotext.tasks.training.lookahead.learner import DevKeys, MatcherLearner, characters
from ergotext.tasks.training.lookahead.pairs import (
    Examples,
    lookalikes,
    parts,
    predicates_of,
    right_key,
)
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.lookahead.synonyms import Synonyms
from ergotext.tasks.training.run import TrainingRun
from ergotext.tasks.training.schedule import Cosine
from ergotext.tasks.training.sources import Template

WAYS = {
    "产地": "{}产自哪里", "颜色": "{}什么颜色", "高度": "{}有多高", "作者": "{}的作者是谁",
    "别名": "{}又叫什么", "语言": "{}用什么语言", "长度": "{}有多长", "重量": "{}多重",
}  # fmt: skip
SUBJECTS = ["苹果", "苹果（公司）", "香蕉", "红楼梦", "长江", "天安门", "红楼", "是谁（歌曲）"]
LINES = [f"{s}\t{p}\t{s}的{p}" for s in SUBJECTS for p in WAYS]
QUESTIONS = [
    Question(n, n, way.format(parts(s)[0]), Triple(s, p, f"{s}的{p}"))
    for n, (s, p, way) in enumerate((s, p, w) for s in SUBJECTS for p, w in WAYS.items())
]
TEMPLATES = [
    Template("总长", "{subject}从头到尾多长"),
    Template("总长", "{subject}一共多长"),
    Template("全长", "{subject}一共多长"),
]
SAME = Synonyms([["颜色", "色彩", "什么色"], ["度", "低"]])


@pytest.fixture(scope="module")
def spotter(tmp_path_factory: pytest.TempPathFactory) -> Spotter:
    folder = tmp_path_factory.mktemp("matching")
    (folder / "kb.tsv").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    build(folder / "kb.tsv", folder / "kb.ergo")
    return Spotter(load(folder / "kb.ergo"), True)


def groups(spotter: Spotter, question: str) -> list[Asked]:
    (keys,), _ = spotter.find([question])
    return [asked for _, asked in grouped(question, keys)]


def test_longest_subjects_count(spotter: Spotter) -> None:
    found = groups(spotter, "红楼梦和长江的作者是谁")
    assert {(one.name, one.rest) for one in found} == {
        ("红楼梦", f"{SUBJECT}和长江的作者是谁"),
        ("长江", f"红楼梦和{SUBJECT}的作者是谁"),
        ("是谁", f"红楼梦和长江的作者{SUBJECT}"),
    }
    assert {key.meaning for key in groups(spotter, "苹果")[0].keys} == {"", "公司"}


def test_potential_holds_the_scores_and_leaves_inner_subjects_out(spotter: Spotter) -> None:
    torch.manual_seed(1)
    matcher = Matcher("红楼梦作者", width=8, hidden=8).eval()
    question = "红楼梦的作者"
    (keys,), _ = spotter.find([question])
    potential = Matched(matcher, scale=0.5)(question, keys)
    inner = np.array([keys.mentions[m].text == "红楼" for m in keys.mention])
    assert inner.any() and (potential[inner] == -np.inf).all()
    wanted = 0.5 * matcher.scores(groups(spotter, question)).numpy()
    np.testing.assert_array_equal(potential[~inner], wanted)


def test_right_key(spotter: Spotter) -> None:
    for question in QUESTIONS:
        assert question.answer is not None
        found = groups(spotter, question.text)
        number = right_key(found, question.answer)
        assert number is not None
        name, key = [(one.name, key) for one in found for key in one.keys][number]
        assert key.predicate == question.answer.predicate
        assert (name, key.meaning) == parts(question.answer.subject)
    assert right_key(found, Triple("苹果", "没有", "")) is None


def test_examples(spotter: Spotter) -> None:
    """Each has its right key in place, once; swaps rename question and keys alike."""
    examples = Examples(QUESTIONS, spotter, TEMPLATES, SAME, seed=3)
    swapped = templates = reworded = 0
    ways = {way.format(SUBJECT) for way in WAYS.values()}
    for _ in range(500):
        one = examples.draw()
        keys = [(asked, key) for asked in one.asked for key in asked.keys]
        asked, right = keys[one.right]
        same = [k for a, k in keys if a is asked and k[0] == right[0] and k[2] == right[2]]
        assert len(same) == 1
        if right.predicate in {"总长", "全长"}:
            templates += 1
            assert "多长" in asked.rest and asked.rest.count(SUBJECT) == 1
            assert not any(key.value for _, key in keys)  # the base has no such predicate
            assert "一共" not in asked.rest or {k.predicate for _, k in keys} & {
                "总长",
                "全长",
            } == {right.predicate}
        elif asked.rest not in ways:
            swapped += 1
            others = {"颜色": ("色彩", "什么色"), "高度": ("高低",), "长度": ("长低",)}
            said = [
                w for w in (right.predicate, *others.get(right.predicate, ())) if w in asked.rest
            ]
            assert said and not any(
                k.predicate == said[0] for k in asked.keys if k is not right and k[2] == right[2]
            )
            reworded += said[0] != right.predicate
    assert templates > 80 and swapped > 20 and reworded > 2


def test_a_script_of_few_templates_comes_as_often(spotter: Spotter) -> None:
    english = Template("length", "how long is {subject}")
    short = Template("CEO", "{subject}的老大是谁")  # Chinese, whatever its predicate's letters
    examples = Examples(QUESTIONS, spotter, [*TEMPLATES, english, short], SAME, seed=4)
    for share in (0.0, 0.9):
        drawn = [examples.draw(share) for _ in range(400)]
        asked = [one.asked[0].rest for one in drawn if one.right == 0]
        counts = [
            sum(part in rest for rest in asked) for part in ("how long", "头到尾", "一共", "老大")
        ]
        if share:
            # Binomial, mean 180 of 400, standard deviation 10; were all alike, 90 and 270.
            assert abs(counts[0] - 180) < 40 and abs(sum(counts[1:]) - 180) < 40 < counts[3]
        else:
            assert counts == [0, 0, 0, 0]


def test_examples_are_seeded(spotter: Spotter) -> None:
    one, same, other = (Examples(QUESTIONS, spotter, TEMPLATES, SAME, seed=s) for s in (1, 1, 2))
    drawn = [[e.draw() for _ in range(20)] for e in (one, same, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_questions_of_another_base(spotter: Spotter) -> None:
    with pytest.raises(InputError, match="no question"):
        Examples([Question(1, 1, "火星多高", Triple("火星", "高度", "1"))], spotter, [], SAME)
    with pytest.raises(InputError, match="no question"):
        Examples([q._replace(answer=None) for q in QUESTIONS], spotter, [], SAME)


def test_predicates_of_the_base(spotter: Spotter) -> None:
    found = predicates_of(spotter.trie)
    assert set(found) == set(WAYS)
    assert sorted(found["颜色"]) == sorted(f"{s}的颜色" for s in SUBJECTS)


def test_lookalikes() -> None:
    found = lookalikes(["出生日期", "出生地", "出生", "作者"])
    assert found["出生日期"] == ["出生地"]  # not 出生, which it holds
    assert found["作者"] == []


def test_trained(spotter: Spotter, tmp_path: Path) -> None:
    """A few steps tell most keys of the training questions apart; a seed gives the same weights."""
    dev = DevKeys.of(QUESTIONS, spotter)
    weights = []
    for _ in range(2):
        examples = Examples(QUESTIONS, spotter, TEMPLATES, SAME, seed=0)
        torch.manual_seed(0)
        matcher = Matcher(characters(examples), width=24, hidden=24)
        before = dev.score(matcher)
        recipe = Recipe(steps=60, batch_size=16, learning_rate=5e-3, warm_up=10)
        learner = MatcherLearner(matcher, examples, dev, recipe)
        files = File(tmp_path / "m.pt"), Log(tmp_path / "m.jsonl")
        run = TrainingRun(learner, Cosine(60, 5e-3, 10), *files, every=100)
        losses = [run.step()[0] for _ in range(recipe.steps)]
        weights.append(torch.cat([p.flatten() for p in matcher.parameters()]))
    after = dev.score(matcher.eval())
    assert before["EM_P"] < 40 and after["EM_P"] > 85
    assert run.done == 60 and run.over and np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    assert torch.equal(*weights)


def test_score_without_candidates() -> None:
    matcher = Matcher("作者", width=8, hidden=8)
    key = Key("作者", "曹雪芹", "小说")
    dev = DevKeys(
        [Triple("红楼梦（小说）", "作者", "曹雪芹")] * 2,
        [[Asked(f"{SUBJECT}谁写的", "红楼梦", [key])], []],
    )
    told = dev.score(matcher)
    assert told["EMF1"] == 50.0 and told["EM_All"] == 50.0


def test_recipe() -> None:
    schedule = Cosine(1000, rate=1.0, warm_up=Recipe().warm_up)
    assert schedule.rate_at(50, 0.0) == pytest.approx(0.5, rel=0.01)
    assert schedule.rate_at(1000, 0.0) == pytest.approx(0.05)
    assert schedule.share(999, 1e9) < schedule.share(1000, 0.0) == 1.0
    with pytest.raises(InputError, match="steps"):
        Recipe(steps=0)


def test_better_beyond_chance(spotter: Spotter, monkeypatch: pytest.MonkeyPatch) -> None:
    """One question that is better understood is chance; the same for many is none."""
    dev, shares = DevKeys.of(QUESTIONS, spotter), {}
    monkeypatch.setattr(DevKeys, "_read", lambda _, matcher: ([], shares[matcher]))

    def better(gains: list[float]) -> bool:
        shares.update(new=gains, old=[0.0] * len(gains))
        return dev.is_better("new", "old")  # type: ignore[arg-type]  # names stand for matchers

    assert not better([3.0, *[0.0] * 29]) and not better([0.0] * 30)
    assert better([0.3, 0.2, 0.4, 0.1, 0.3] * 6) and not better([-0.3, -0.2, -0.4] * 10)
    assert better([3.0, 3.0, 2.0, 4.0, 3.0, 2.5, *[0.0] * 24]) and not better([1.0])
