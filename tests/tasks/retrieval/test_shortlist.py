"""Near subjects are looked for, and their keys read, only where they could be the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.spotted import EVIDENCE, Naming
from ergotext.tasks.retrieval import shortlist
from ergotext.tasks.retrieval.candidates import Candidates, Mention, MentionPotential, Spotter
from ergotext.tasks.retrieval.lookahead import learned, mentions
from ergotext.tasks.retrieval.lookahead.mentions import FEATURES, MentionWeights
from ergotext.tasks.retrieval.lookahead.network import Matcher
from tests.faulty import load_with_fault
from tests.lm.trie.names.names_cases import CASES, LINES, made

TEXTS = [text for text, *_ in CASES] + [
    "Mars or guerncia?", "is Mars in the USA?", "Mars", "what is it", "龙门石窟的米是什么",
    "阿根廷男足和龙门石窟", "Mars or da vinci",
]  # fmt: skip
REACHES = (-2.0, -0.1, 0.1, 10.0)
WEIGHTS = dict.fromkeys(FEATURES, 0.1) | {"exact": 1.0, "value length": 0.05, "near extra": -0.2}


@pytest.fixture(scope="module")
def trie(tmp_path_factory: pytest.TempPathFactory) -> TokenTrie:
    return made(tmp_path_factory.mktemp("names"), LINES)


@pytest.fixture
def spotter(trie: TokenTrie) -> Spotter:
    return Spotter(trie, triples=True)


def potential(reach: float, module: object = learned) -> learned.Matched:
    torch.manual_seed(1)
    matcher = Matcher("abcdefirstcond什么", width=8, hidden=8).eval()
    weighs = MentionWeights(WEIGHTS, reach)
    # A module with a fault in it is an object to mypy; likewise below.
    found: learned.Matched = module.Matched(matcher, 20.0, mentions=weighs)  # type: ignore[attr-defined]
    return found


def everything(spotter: Spotter, ahead: learned.Matched) -> dict[str, dict[int, float]]:
    """The potential of every key of each question, none left out for its mention."""
    keys, _ = spotter.find(TEXTS, other_letters=True, near="always")
    whole = replace(ahead, mentions=replace(ahead.mentions, reach=np.inf))
    told = whole.many(TEXTS, keys)
    return {
        text: dict(zip(each.ordinals.tolist(), values.tolist(), strict=True))
        for text, each, values in zip(TEXTS, keys, told, strict=True)
    }


def shortlisted(
    spotter: Spotter, ahead: learned.Matched, module: object = shortlist
) -> tuple[dict[str, dict[int, float]], list[Candidates], object]:
    # A module with a fault in it is an object to mypy.
    found = module.shortlisted(spotter, TEXTS, ahead)  # type: ignore[attr-defined]
    each = zip(TEXTS, found.candidates, found.potentials, strict=True)
    told = {
        text: dict(zip(keys.ordinals.tolist(), values.tolist(), strict=True))
        for text, keys, values in each
    }
    return told, found.candidates, found.paths


def check_shortlist(spotter: Spotter, reach: float, here: object, ahead: object) -> int:
    """Nothing is left out but what cannot come up to the best; how many questions were settled."""
    weighed = potential(reach, ahead)
    assert isinstance(weighed, MentionPotential)
    whole = everything(spotter, potential(reach))
    told, candidates, paths = shortlisted(spotter, weighed, here)
    firm, _ = spotter.find(TEXTS, other_letters=True)
    every, _ = spotter.find(TEXTS, other_letters=True, near="always")
    at_once = weighed.many(TEXTS, every)
    settled = 0
    for number, (text, keys) in enumerate(zip(TEXTS, candidates, strict=True)):
        sure = {n: whole[text][n] for n in firm[number].ordinals.tolist()}
        best = max(sure.values(), default=-np.inf)
        weights = MentionWeights(WEIGHTS)(keys)
        here_too = set(told[text])
        if best > 20 * (MentionWeights(WEIGHTS).most + reach):
            settled += 1
            assert here_too == set(sure)
        else:
            assert here_too == set(whole[text])
        for row, (ordinal, value) in enumerate(told[text].items()):
            near = keys.mentions[keys.mention[row]].kind > Naming.OTHER
            if near and 20 * (weights[row] + reach) < best:
                assert value == -np.inf
            else:
                assert value == pytest.approx(whole[text][ordinal], abs=1e-3)
            again = np.searchsorted(every[number].ordinals, ordinal)
            assert value == pytest.approx(at_once[number][again], abs=1e-3)
        # The fault's function takes whatever the real one takes.
        edges = paths.input == number  # type: ignore[attr-defined]
        near = "never" if here_too == set(sure) else "always"
        _, expected = spotter.find([text], other_letters=True, near=near)
        assert edges.sum() == len(expected.input)
    return settled


@pytest.mark.parametrize("reach", REACHES)
def test_only_what_cannot_be_the_best_is_left_out(spotter: Spotter, reach: float) -> None:
    settled = check_shortlist(spotter, reach, shortlist, learned)
    assert (settled == 0) == (reach > 5)


def test_settled_questions_are_not_searched(
    spotter: Spotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def nearer(questions: Sequence[str], spotted: object) -> object:
        asked.extend(questions)
        # The fault passes on what it was given, without its type.
        return before(questions, spotted)  # type: ignore[arg-type]

    before = spotter.nearer
    monkeypatch.setattr(spotter, "nearer", nearer)
    ahead = potential(0.0)
    told, _, _ = shortlisted(spotter, ahead)
    assert 0 < len(asked) < len(TEXTS)
    for text in set(TEXTS) - set(asked):
        assert ahead.settled(np.array(list(told[text].values())))


def test_no_near_mention_weighs_more_than_the_most(spotter: Spotter) -> None:
    rng = np.random.default_rng(0)
    keys, _ = spotter.find(TEXTS, other_letters=True, near="always")
    found = [one for each in keys for one in each.mentions if one.kind > Naming.OTHER]
    assert {one.kind for one in found} == {Naming.NEAR, Naming.VALUE}
    for _ in range(200):
        values = rng.normal(size=len(FEATURES)).tolist()
        weights = MentionWeights(dict(zip(FEATURES, values, strict=True)))
        made_up = [
            Mention("x", 0, 1, kind, evidence=tuple(
                rng.random(len(EVIDENCE)) * ([90.0, 90.0] + [1.0] * (len(EVIDENCE) - 2))))
            for kind in (Naming.NEAR, Naming.VALUE)
        ]  # fmt: skip
        vector = np.array(values)
        told = [float(mentions.features(one) @ vector) for one in (*found, *made_up)]
        assert max(told) <= weights.most + 1e-12


SHORTLIST = {
    "potentials of other questions": ("keys[number], values[number] = candidates, potentials",
                                      "keys[number], values[0] = candidates, potentials"),
    "paths of the first search only": ("paths = _replaced(paths, more_paths, np.array(some))",
                                       "pass"),
    "paths of other questions": ("input=some[more.input]", "input=more.input"),
    "known ones of other keys": ("np.searchsorted(more.ordinals, fewer.ordinals)",
                                 "np.arange(len(fewer))"),
    "searched where it is settled": ("if not lookahead.settled", "if lookahead.settled"),
}  # fmt: skip
MATCHED = {
    "the bound without the scale": ("return self.scale * (weight", "return 1.0 * (weight"),
    "no near one is left out": (">= best[part[0]]", ">= -np.inf"),
    "the best of another question": (">= best[part[0]]", ">= best[0]"),
    "settled without weights": ("self._bound(self.mentions.most)", "self._bound(0.0)"),
    "exact ones are left out too": ("kind <= Naming.OTHER\n\n\ndef _cut", "kind > 9\n\n\ndef _cut"),
}  # fmt: skip


@pytest.mark.parametrize("fault", [*SHORTLIST, *MATCHED])
def test_faults_are_seen(spotter: Spotter, fault: str) -> None:
    here, ahead = shortlist, learned
    if fault in SHORTLIST:
        here = load_with_fault("tasks.retrieval.shortlist", SHORTLIST[fault])
    else:
        ahead = load_with_fault("tasks.retrieval.lookahead.learned", MATCHED[fault])
    with pytest.raises((AssertionError, IndexError, ValueError)):
        sum(check_shortlist(spotter, reach, here, ahead) for reach in REACHES)


MOST = {
    "masses without a limit": ("(_MOST if name in _UNIT else 1.0)", "1.0"),
    "values without length": ('+ max(0.0, self.weights["value length"]) * _MOST', ""),
    "near ones alone": ("return max(near, ", "return min(near, "),
}


@pytest.mark.parametrize("fault", MOST)
def test_faults_of_the_most_are_seen(
    spotter: Spotter, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = load_with_fault("tasks.retrieval.lookahead.mentions", MOST[fault])
    monkeypatch.setitem(globals(), "MentionWeights", faulty.MentionWeights)
    with pytest.raises(AssertionError):
        test_no_near_mention_weighs_more_than_the_most(spotter)


def test_a_look_ahead_without_weights_leaves_nothing_out(tmp_path: Path) -> None:
    ahead = potential(np.inf)
    assert not ahead.settled(np.array([1e9])) and MentionWeights.load(tmp_path).reach == np.inf
