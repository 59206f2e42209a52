"""Calibrations fitted where the truth is known, and on a little base."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ergotext as et
from ergotext.cli import main
from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.data import read
from ergotext.tasks.evaluation import calibrate as module
from ergotext.tasks.evaluation import cases as cases_module
from ergotext.tasks.evaluation import checks
from ergotext.tasks.evaluation.cases import KNOWN, NO_KEY, NO_SUBJECT, NONE, Case
from ergotext.tasks.evaluation.coverage import outcomes
from ergotext.tasks.retrieval.calibration import UNFITTED, Calibration
from ergotext.tasks.retrieval.coverage import SetScores
from ergotext.tasks.retrieval.none_features import FEATURES
from tests.faulty import load_with_fault
from tests.tasks.little_base import LittleBase, little_base
from tests.tiny_t5 import saved

SIZE = len(FEATURES)
TRUE = np.random.default_rng(3).normal(size=SIZE) * 0.5
T = 4.0


def drawn(count: int) -> list[Case]:
    """Cases whose outcomes are drawn from a calibration."""
    rng = np.random.default_rng(7)
    found = []
    for number in range(count):
        features = np.concatenate([[1.0], rng.normal(size=SIZE - 1)])
        scores = np.sort(rng.normal(size=6) * 8)[::-1].copy()
        law = np.exp(scores / T - np.logaddexp.reduce(scores / T))
        none = rng.random() < 1 / (1 + np.exp(-features @ TRUE))
        right = None if none else int(rng.choice(6, p=law))
        found.append(Case(number, KNOWN, scores, right, features))
    return found


def check_recovery(fit: Callable[..., Calibration]) -> None:
    """Weights and temperature within five standard errors."""
    some = drawn(4000)
    done = fit(some, np.ones(len(some)), UNFITTED, penalty=1e-6)
    features = np.array([case.features for case in some])
    p = 1 / (1 + np.exp(-features @ TRUE))
    error = np.sqrt(np.diag(np.linalg.inv((features.T * (p * (1 - p))) @ features)))
    off = (np.array([done.weights[name] for name in FEATURES]) - TRUE) / error
    assert np.abs(off).max() < 5
    assert done.temperature == pytest.approx(T, rel=0.15)


def check_weights(fit: Callable[..., Calibration]) -> None:
    """A weight of two is as good as a copy."""
    some = drawn(60)
    twice = fit([*some, *some[:20]], np.ones(80), UNFITTED)
    weighed = fit(some, np.where(np.arange(60) < 20, 2.0, 1.0), UNFITTED)
    np.testing.assert_allclose(
        list(twice.weights.values()), list(weighed.weights.values()), atol=1e-3
    )
    assert twice.temperature == pytest.approx(weighed.temperature, rel=1e-3)


def check_pull(fit: Callable[..., Calibration]) -> None:
    """Few cases leave weights where they were, but for how often there is no answer."""
    own = dict(zip(FEATURES, TRUE.tolist(), strict=True))
    start = Calibration(9.0, own)
    done = fit(drawn(20), np.ones(20), start, penalty=1e7)
    moved = {name: abs(done.weights[name] - own[name]) for name in FEATURES}
    assert moved.pop("one") > 0.01 and max(moved.values()) < 1e-4


def test_what_was_drawn_is_found() -> None:
    check_recovery(module.fit)


def test_weights_are_counts() -> None:
    check_weights(module.fit)


def test_few_cases_change_little() -> None:
    check_pull(module.fit)


FAULTS = {
    "the gradient has the wrong sign": ("(share - none))", "(none - share))"),
    "temperature: the last candidate": ("scores[case.right])", "scores[-1])"),
    "temperature: no weights": ("value += weight * float", "value += float"),
    "nothing is pulled": ("np.full(len(FEATURES), penalty)", "np.zeros(len(FEATURES))"),
    "pulled to nothing": ("off = w - own", "off = w"),
    "how often is pulled too": ('fixed[FEATURES.index("one")] = 0.0', "pass"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    faulty = load_with_fault("tasks.evaluation.calibrate", FAULTS[fault])

    def checks() -> None:
        for check in (check_recovery, check_weights, check_pull):
            check(faulty.fit)

    with pytest.raises(AssertionError):
        checks()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LittleBase:
    folder = tmp_path_factory.mktemp("calibrate")
    made = little_base(folder)
    saved(folder / "model", [made.lines.read_text(encoding="utf-8")], seed=1)
    tokenizer = str(folder / "model")
    arguments = ["index", "build", str(made.lines), "-o", str(made.index)]
    assert main([*arguments, "--tokenizer", tokenizer]) == 0
    return made


def found_in(base: LittleBase, cases: Callable[..., Any], **how: Any) -> list[Case]:
    model = et.load(str(base.index.parent / "model"), device="cpu")
    asked = read(base.questions).asked[:12]
    asked[3] = asked[3]._replace(answer=None, absent=True)
    asked[4] = asked[4]._replace(answer=None)  # unknown: no use
    asked[5] = asked[5]._replace(text=" ")
    retriever = et.Retriever(model, base.index)
    return list(cases(retriever, et.StringMatch(), UNFITTED, asked, **how))


def check_cases(base: LittleBase, cases: Callable[..., Any]) -> None:
    found = found_in(base, cases)
    kinds = [case.kind for case in found]
    known = [case for case in found if case.kind == KNOWN]
    assert kinds.count(KNOWN) == 9 and kinds.count(NONE) == 1
    assert all(case.right is not None for case in known)
    for case in found:
        assert (np.diff(case.scores) <= 0).all() and case.features[0] == 1
        assert (case.right is not None) == (case.kind == KNOWN)
    less = {case.number: case for case in found if case.kind == NO_KEY}
    assert len(less) >= 5
    for case in known:
        if case.number in less:  # all but the keys of its predicate are there
            left = less[case.number].scores
            assert set(left) < set(case.scores) and case.scores[case.right] not in left
    assert {c.kind for c in found_in(base, cases, removed=False)} == {KNOWN, NONE}


def test_cases(base: LittleBase) -> None:
    check_cases(base, cases_module.cases)


def test_a_subject_is_taken_away(base: LittleBase) -> None:
    check_removal(base, cases_module.cases)


def check_removal(base: LittleBase, cases: Callable[..., Any]) -> None:
    """A question about two subjects, of which the right one is not in the base."""
    model = et.load(str(base.index.parent / "model"), device="cpu")
    asked = read(base.questions).asked[0]
    other = next(name for name in ("长江", "红楼梦") if name not in asked.text)
    asked = asked._replace(text=f"{asked.text}{other}")
    retriever = et.Retriever(model, base.index)
    found = list(cases(retriever, et.StringMatch(), UNFITTED, [asked]))
    (case,) = (one for one in found if one.kind == NO_SUBJECT)
    (whole,) = (one for one in found if one.kind == KNOWN)
    assert case.right is None and 0 < len(case.scores) < len(whole.scores)
    (keys,), _ = retriever.spotter.find([asked.text])
    names = [keys.mentions[m].subject for m in keys.mention.tolist()]
    assert len(case.scores) <= names.count(other) < len(names)


CASE_FAULTS = {
    "the right key stays": ("None, ~same)", "None, same)"),
    "the subject stays": ("if subject and one.subject != subject]", "if subject]"),
    "unknown answers count": ("and (one.answer or one.absent)", ""),
}


@pytest.mark.parametrize("fault", CASE_FAULTS)
def test_faults_of_cases_are_seen(fault: str, base: LittleBase) -> None:
    faulty = load_with_fault("tasks.evaluation.cases", CASE_FAULTS[fault])

    def checks() -> None:
        check_cases(base, faulty.cases)
        check_removal(base, faulty.cases)

    with pytest.raises((AssertionError, TypeError)):
        checks()


def test_too_few_questions_are_refused(base: LittleBase, capsys: Any) -> None:
    given = ["calibrate", str(base.questions), "-i", str(base.index), "--device", "cpu"]
    capsys.readouterr()
    assert main([*given, "--model", str(base.index.parent / "model")]) == 2
    assert "takes at least 50; give 20 more" in capsys.readouterr().err
    assert main([*given, "--lookahead", "none"]) == 2
    assert "needs a look-ahead" in capsys.readouterr().err


def test_command(base: LittleBase, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """What it fits is used by retrieve, and by no other look-ahead or changed index."""
    for each in (module, checks):
        monkeypatch.setattr(each, "FEWEST", 20)
    model = str(base.index.parent / "model")
    shared = ["-i", str(base.index), "--model", model, "--device", "cpu"]

    def asked(*more: str) -> tuple[dict[str, Any], str]:
        capsys.readouterr()
        question = "苹果产自哪里？"
        given = ["--json", "--threshold", "0", "-k", "50", *more, question]
        assert main(["retrieve", *shared, *given]) == 0
        out, err = capsys.readouterr()
        return json.loads(out), err

    before, _ = asked()
    assert before["none"] is None
    assert main(["calibrate", str(base.questions), *shared]) == 0
    path = base.index.with_suffix(".calibration.json")
    told = capsys.readouterr().out
    assert str(path) in told and "20 questions with an answer that was found" in told
    assert "measured on 9 other questions; a coverage of up to 0.9 can be promised" in told
    fitted = Calibration.load(path)
    after, err = asked()
    assert 0 < after["none"] < 1 and err == "" and fitted.weights
    weight = np.array([hit["score"] for hit in after["results"]]) / fitted.temperature
    law = (1 - after["none"]) * np.exp(weight - np.logaddexp.reduce(weight))
    assert [hit["probability"] for hit in after["results"]] == pytest.approx(law, abs=1e-6)
    check_sets(base, shared, capsys)
    own, _ = asked("--model-probability")
    assert own["none"] is None
    replace(fitted, about={**fitted.about, "index": "other"}).save(path)
    again, err = asked()
    assert again["none"] == pytest.approx(after["none"]) and "index has changed" in err
    assert main(["retrieve", *shared, "--coverage", "0.9", "?苹果"]) == 2
    for what, name in (("lookahead", "look-ahead"), ("model", "model")):
        replace(fitted, about={**fitted.about, what: "other"}).save(path)
        again, err = asked()
        assert again["none"] is None and f"fitted with another {name} and is not used" in err
        assert len(err.splitlines()) == 1
    assert main(["retrieve", *shared, "--coverage", "0.9", "?苹果"]) == 2  # nothing is promised
    assert "was not: run ergotext calibrate" in capsys.readouterr().err
    replace(fitted, about={}).save(path)
    assert main(["retrieve", *shared, "?苹果"]) == 1
    assert "does not say what it was fitted to" in capsys.readouterr().err
    path.unlink()


def check_sets(base: LittleBase, shared: list[str], capsys: Any) -> None:
    """The command gives sets, says what they promise, and refuses what cannot be promised."""
    capsys.readouterr()
    texts = [one.text for one in read(base.questions).asked]
    assert main(["retrieve", *shared, "--coverage", "0.9", *texts[:3]]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("(the set holds the right entry of at least 90% of questions")
    assert "like the 9 that this was measured on: train.json" in last
    assert main(["retrieve", *shared, "--coverage", "0.9", "--json", *texts]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(one["results"] or one["set"]["none"] for one in told)
    assert {one["set"]["guarantee"] for one in told} == {last.strip("()")}
    assert main(["retrieve", *shared, "--coverage", "0.95", "?"]) == 2
    assert "takes at least 19 questions" in capsys.readouterr().err


def check_split(base: LittleBase, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets are measured on questions that the fit has not seen, with what was fitted."""
    monkeypatch.setattr(module, "FEWEST", 5)
    given: list[str] = []
    real = module.cases

    def seen(retriever: Any, lookahead: Any, start: Any, asked: Any, **how: Any) -> Any:
        given.extend(one.text for one in asked)
        return real(retriever, lookahead, start, asked, **how)

    monkeypatch.setattr(module, "cases", seen)
    measured: list[str] = []

    def kept(retriever: Any, lookahead: Any, asked: Any, calibration: Any, what: str) -> SetScores:
        measured.extend(one.text for one in asked)
        told = outcomes(retriever, lookahead, asked, calibration)
        assert calibration.weights and calibration.temperature != UNFITTED.temperature
        return SetScores.of((one.told for one in told), fitted=calibration.digest, what=what)

    monkeypatch.setattr(module, "measured", kept)
    model = et.load(str(base.index.parent / "model"), device="cpu")
    retriever = et.Retriever(model, base.index)
    asked = [*{one.text: one for one in read(base.questions).asked}.values()]
    found = module.calibrate(retriever, et.StringMatch(), [*asked, asked[0]], start=UNFITTED)
    sets = found.calibration.sets
    assert sets.fitted == found.calibration.digest and sets.count == len(measured)
    assert not set(given) & set(measured) and {*given, *measured} == {one.text for one in asked}
    assert abs(len(given) - len(measured)) <= 2


def test_sets_are_measured_on_other_questions(
    base: LittleBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_split(base, module, monkeypatch)


SPLIT_FAULTS = {
    "all are used to fit": ("asked[taken:stop], removed", "asked, removed"),
    "all are measured": ("for one in shuffled[taken:] if one.text not in used", "for one in asked"),
    "what it started from is measured": ("rest, done, what))", "rest, start, what))"),
    "all go to the fit": ("(len(asked) + 1) // 2", "len(asked)"),
    "what is measured is lost": ("done = replace(done, sets", "replace(done, sets"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SPLIT_FAULTS)
def test_faults_of_the_split_are_seen(
    fault: str, base: LittleBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = load_with_fault("tasks.evaluation.calibrate", SPLIT_FAULTS[fault])
    with pytest.raises((AssertionError, AttributeError)):
        check_split(base, faulty, monkeypatch)


def test_losses_are_of_what_is_right() -> None:
    some = drawn(30)
    with_none = Calibration(T, dict(zip(FEATURES, TRUE.tolist(), strict=True)))
    told = module.losses(some, with_none)
    for case, loss in zip(some, told, strict=True):
        none = 1 / (1 + np.exp(-case.features @ TRUE))
        law = np.exp(case.scores / T - np.logaddexp.reduce(case.scores / T))
        share = none if case.right is None else (1 - none) * law[case.right]
        assert loss == pytest.approx(-np.log(share))
    assert max(module.losses(some, UNFITTED)) == pytest.approx(36)


def test_a_calibration_takes_triples() -> None:
    keys = et.load_tokenizer("tiny-retriever")
    titles = et.Retriever(et.load("tiny-retriever", device="cpu"), et.build_trie(["a"], keys))
    with pytest.raises(InputError, match="an index of triples"):
        module.calibrate(titles, et.StringMatch(), [], start=UNFITTED)
