"""The share of "none of these": its features, its weight, and answers that are withheld."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ergotext.errors import InputError, ModelError
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.spotted import EVIDENCE, Naming
from ergotext.tasks.retrieval import calibration, search
from ergotext.tasks.retrieval import retriever as retriever_module
from ergotext.tasks.retrieval.bearing import Bearing, QuestionKey
from ergotext.tasks.retrieval.calibration import PATHS, UNFITTED, Calibration
from ergotext.tasks.retrieval.candidates import Candidates, Mention
from ergotext.tasks.retrieval.none_features import FEATURES, none_features
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever
from tests.faulty import load_with_fault
from tests.tasks.retrieval import test_retriever_table as table
from tests.tasks.retrieval.table_reader import TableReader

RNG = np.random.default_rng(5)
DRAWN = {name: float(value) for name, value in zip(FEATURES, RNG.normal(size=40), strict=False)}


def always(odds: float) -> Calibration:
    return Calibration(3.0, {name: odds * (name == "one") for name in FEATURES})


def ahead(question: str, keys: Candidates) -> np.ndarray:
    """Something of the key, and of all words around the subject."""
    letters = len("".join(question.split()))
    return ((keys.ordinals * 7919) % 13 + 0.1 * letters).astype(np.float64)


def hits_of(reader: TableReader, trie: TokenTrie, **how: object) -> Hits:
    (hits,) = Retriever(reader, trie, triples=True).retrieve(
        table.QUESTIONS[:1], k=1000, lookahead=ahead, **how
    )
    return hits


def candidates(trie: TokenTrie, *mentions: Mention, rest: str = "birth place") -> Candidates:
    return Candidates(trie, np.array([0]), mentions, np.array([0]), [f"{rest}\tpainter"])


def told(
    keys: Candidates,
    question: str,
    usual: str = "",
    share: float = 0.9,
    rest: float = 0.0,
    **falls: float,
) -> dict[str, float]:
    words = frozenset(usual.split())
    some = [word for word in QuestionKey(question, keys, 0).rest() if word.text not in words]
    bearing = Bearing([(word, falls.get(word.text, 0.0)) for word in some], rest)
    found = none_features(QuestionKey(question, keys, 0), 7.0, share, words, bearing)
    return {name: value for name, value in zip(FEATURES, found.tolist(), strict=True) if value}


def test_features_of_a_subject_as_written(trie: TokenTrie) -> None:
    first = Mention("Goya", 13, 17)
    keys = candidates(trie, first, Mention("Where", 0, 5, Naming.OTHER), Mention("oy", 14, 16))
    question = "Where was mr Goya, painter, born and raised?"
    found = told(keys, question, "where was born")
    odd = 3  # mr, and, raised
    assert found == pytest.approx({
        "one": 1, "spaced": 1, "spaced potential": 7, "spaced unexplained": odd / 2,
        "length": 0.8, "potential": 7, "margin": math.log(9) / 3, "unexplained share": odd / 7,
        "other mentions": 0.5,
    })  # fmt: skip
    verbatim = told(keys, "What is the   Goya birth place of?", "what is the", share=1.0)
    assert verbatim["verbatim"] == 1 and verbatim["verbatim rest"] == 5 / 4  # all but the name
    assert verbatim["margin"] == pytest.approx(math.log(399) / 3)


def test_features_of_what_is_asked_beyond(trie: TokenTrie) -> None:
    evidence = [0.0] * len(EVIDENCE)
    evidence[EVIDENCE.index("mass")] = 15.0
    question = "Who was the old mayor of the birth of Goya?"
    keys = candidates(trie, Mention("Goya", 38, 42, evidence=tuple(evidence)))
    found = told(keys, question, "who was the of", rest=6.0, birth=2.0, old=0.5)
    assert found["mass"] == 1.5 and found["spaced rest"] == 2.0
    assert (found["spaced nested"], found["spaced possessed"], found["spaced outer"]) == (1, 1, 2)
    keys = candidates(trie, Mention("Goya", 0, 4), rest="出生地")
    found = told(keys, "Goya出生地的市长是谁", "是 谁", rest=-3.0)
    assert "spaced rest" not in found and "mass" not in found
    assert (found["nested"], found["possessed"], found["outer"]) == (1, 1, 1.5)  # 的 is not usual


def test_features_are_made_in_a_unit(trie: TokenTrie) -> None:
    choice = QuestionKey("Where was Goya born?", candidates(trie, Mention("Goya", 10, 14)), 0)
    bearing = Bearing([(word, 8.0) for word in choice.rest()[2:]], 6.0)
    some = Calibration(3.0, {}, frozenset(), 2.0)
    found = some.features(choice, 14.0, np.array([1.0, 1.0]), bearing)
    halved = Bearing([(word, 4.0) for word, _ in bearing.words], 3.0)
    wanted = none_features(choice, 7.0, 0.5, frozenset(), halved)
    assert found.tolist() == pytest.approx(wanted.tolist())
    assert found[FEATURES.index("spaced rest")] == 1.0


def test_features_of_a_near_subject(trie: TokenTrie) -> None:
    evidence = tuple(0.01 * n for n in range(1, len(EVIDENCE) + 1))
    near = Mention("维奥", 0, 2, Naming.NEAR, "萨维奥拉", evidence)
    found = told(candidates(trie, near, rest="出生地"), "维奥在哪出生？", "在 哪")
    names = dict(zip(EVIDENCE, evidence, strict=True))
    assert found == pytest.approx({
        "one": 1, "near": 1, "length": 0.4, "mass": names["mass"] / 10,
        "potential": 7, "margin": math.log(9) / 3,
        **{f"near {n}": names[n] for n in ("score", "equal", "extra", "share", "begins")},
    })  # fmt: skip
    assert told(candidates(trie, near, rest="别名"), "维奥在哪出生？")["unexplained"] == 1.0
    value = Mention("维奥", 0, 2, Naming.VALUE, "萨维奥拉")
    assert told(candidates(trie, value), "维奥")["value"] == 1


def test_shares_are_those_of_enumeration(reader: TableReader, trie: TokenTrie) -> None:
    calibration = Calibration(3.0, DRAWN, frozenset("a"), 2.0)
    for temperature in (None, 0.7):
        hits = hits_of(reader, trie, calibration=calibration, temperature=temperature, threshold=0)
        weight = np.array([hit.score for hit in hits])
        share = np.exp(weight / 2 - np.logaddexp.reduce(weight / 2))
        best = next(n for n, m in enumerate(hits.mentions) if m is hits[0].mention)
        spotter = Retriever(reader, trie, triples=True).spotter
        (keys,), _ = spotter.find(table.QUESTIONS[:1], other_letters=True)
        place = int(np.flatnonzero(keys.ordinals == trie.ordinal(table.key_of(hits[0])))[0])
        assert keys.mention[place] == best
        choice = QuestionKey(table.QUESTIONS[0], keys, place)
        (bearing,) = calibration.bearings(ahead, [choice])
        potential = float(ahead(choice.question, keys)[place])
        features = none_features(
            choice, potential / 2, float(share[0]), frozenset("a"), bearing.over(2.0)
        )
        none = 1 / (1 + math.exp(-features @ np.array(list(DRAWN.values()))))
        assert 0.01 < none < 0.99 and hits.none == pytest.approx(none, abs=1e-9)
        t = temperature or 3.0
        law = (1 - none) * np.exp(weight / t - np.logaddexp.reduce(weight / t))
        np.testing.assert_allclose([hit.probability for hit in hits], law, atol=1e-9)


def test_answers_are_withheld(reader: TableReader, trie: TokenTrie) -> None:
    unlikely, likely = (hits_of(reader, trie, calibration=always(odds)) for odds in (-0.01, 0.01))
    assert unlikely and not likely and likely.none == pytest.approx(1 / (1 + math.exp(-0.01)))
    assert likely.notes[-1].startswith("no answer: probably not in this base (0.502); the nearest:")
    name = unlikely[0].fields["subject"]
    assert f"nearest: {name!r}" in likely.notes[-1] and len(likely.notes[-1].split("'")) <= 7
    record = json.loads(likely.json("?"))
    assert record["results"] == [] and record["none"] == likely.none
    assert hits_of(reader, trie, calibration=always(2), threshold=0)
    sure = unlikely[0].probability
    assert hits_of(reader, trie, calibration=always(2), threshold=1e-9)
    assert not hits_of(reader, trie, calibration=always(-0.01), threshold=sure + 1e-9)
    lines = unlikely.shown("?").splitlines()
    assert lines[-1 - len(unlikely.notes)] == "  0.498  (none of these)"
    assert "none of these" not in hits_of(reader, trie, calibration=always(-4)).shown("?")


def test_doubts_are_said(reader: TableReader, trie: TokenTrie) -> None:
    """Where "none of these" is likelier than the first answer, and this is not withheld."""
    likely, unlikely = (hits_of(reader, trie, calibration=always(odds)) for odds in (-0.01, -4))
    assert likely[0].probability < likely.none < 0.5
    said = "perhaps not in this base (0.498), which is likelier than the first answer"
    assert likely.notes[-1] == said
    assert unlikely and not any("perhaps" in note for note in unlikely.notes)
    forced = hits_of(reader, trie, calibration=always(2), threshold=0)
    assert "perhaps not in this base (0.881)" in forced.notes[-1]
    assert not any("perhaps" in note for note in hits_of(reader, trie).notes)


def test_without_weights_there_is_no_share(reader: TableReader, trie: TokenTrie) -> None:
    hits = hits_of(reader, trie)
    assert math.isnan(hits.none) and json.loads(hits.json("?"))["none"] is None
    assert sum(hit.probability for hit in hits) == pytest.approx(1.0)
    own = hits_of(reader, trie, model_probability=True)
    assert math.isnan(own.none) and own[0].probability != hits[0].probability
    with pytest.raises(InputError, match="has no calibration: drop"):
        hits_of(reader, trie, model_probability=True, calibration=always(0))


def test_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    assert Calibration.load(path) is UNFITTED
    weights = {name: round(value, 4) for name, value in DRAWN.items()}
    some = Calibration(
        2.5, weights, frozenset({"who", "谁"}), 4.0, {"index": "x"}, dict.fromkeys(PATHS, 0.5)
    )
    some.save(path)
    assert Calibration.load(path) == some
    good = json.loads(path.read_text(encoding="utf-8"))
    for damaged in (
        "{", "[]", "{}", {**good, "temperature": 0}, {**good, "temperature": 10**400},
        {**good, "weights": {"one": 1.0}}, {**good, "unit": -1}, {**good, "more": 1},
        {**good, "about": {"a": 1}}, {**good, "paths": {"one": 1.0}},
        {**good, "paths": dict.fromkeys(PATHS, math.nan)},
        {**good, "weights": {**weights, "one": math.inf}},
    ):  # fmt: skip
        path.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
        with pytest.raises(ModelError, match=r"calibration.json .*fit it again"):
            Calibration.load(path)


FAULTS = {
    "a usual word is unexplained": ("none_features", "usual.union(", "frozenset().union("),
    "the subject counts as unexplained": ("none_features", "[word.text for word in choice.rest()]",
                                          "words_of(question)"),
    "bearings are of another unit": ("calibration", "bearing.over(self.unit)",
                                     "bearing.over(self.temperature)"),
    "what the rest bears is not counted": ("none_features", "spaced * bearing.rest",
                                           "0 * bearing.rest"),
    "words beyond are not counted": ("none_features", "part * bool(parts.outer)", "0.0"),
    "mentions inside count as others": ("none_features", "other.stop <= mention.start or",
                                        "True or"),
    "near ones are like others": ("none_features", "    if near:", "    if not near:"),
    "none is not in the total": ("search", "np.array([mass.low, mass.low + odds])",
                                 "np.array([mass.low])"),
    "the potential is of another unit": ("calibration", "choice, potential / self.unit, share",
                                         "choice, potential / self.temperature, share"),
    "the share is of another unit": ("calibration", "np.logaddexp.reduce(scores / self.unit)",
                                     "np.logaddexp.reduce(scores / self.temperature)"),
    "features are of the first candidate": ("search", "keys, int(first[0])",
                                            "keys, 0"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(
    fault: str, reader: TableReader, trie: TokenTrie, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *change = FAULTS[fault]
    faulty = load_with_fault(f"tasks.retrieval.{name}", (change[0], change[1]))
    if name == "none_features":
        monkeypatch.setattr(calibration, "none_features", faulty.none_features)
        monkeypatch.setitem(globals(), "none_features", faulty.none_features)
    elif name == "calibration":
        monkeypatch.setattr(Calibration, "features", faulty.Calibration.features)
    else:
        for each in (search, retriever_module):
            monkeypatch.setattr(each, "KeySearch", faulty.KeySearch)

    def checks() -> None:
        test_features_of_a_subject_as_written(trie)
        test_features_of_what_is_asked_beyond(trie)
        test_features_of_a_near_subject(trie)
        test_features_are_made_in_a_unit(trie)
        test_shares_are_those_of_enumeration(reader, trie)

    with pytest.raises((AssertionError, KeyError)):
        checks()
