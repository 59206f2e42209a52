"""The twist of templates: its sums by hand, samples exact with it, and faults in it seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.lm.automata import Pieces
from ergotext.lm.automata.template import TemplateAutomaton
from ergotext.lm.automata.template_chain import Blank
from ergotext.lm.energies.template_parts import Parts
from ergotext.lm.twist import templates
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.twists import hazards_of
from ergotext.samplers.weighted.smc import smc
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import mass
from ergotext.testing.toy import SPELLING, ToyScorer, ToyTokenizer, ToyVocabulary
from tests.faulty import load_with_fault

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
HAZARDS: Any = SimpleNamespace(
    goes_on=0.6, stopping=0.2, ends=0.05, ends_stopped=0.3, goes_on_stopped=0.5
)
SHARES = np.array([0.5, 0.3, 0.2])
CHANCE, TOKENS = 0.1, 2
MOST = 7
BLANKS = [
    Blank(),
    Blank(2, 2),
    Blank(1, 3),
    Blank(3, None),
    Blank(2, 3, spaced=False),
    Blank(1, 1, glued=True),
]


class Vocabulary(ToyVocabulary):
    def text(self, ids: Any) -> str:
        return "".join(SPELLING[token] for token in ids)

    @property
    def allowed(self) -> torch.Tensor:
        return Scorer().allowed


class Scorer(ToyScorer):
    vocabulary = Vocabulary()


def worth(blank: Blank, words: int, left: int, given: bool, stopped: bool) -> float:
    """V by its definition: of one text after the other."""
    may_end = words >= blank.least and (blank.most is None or words <= blank.most)
    total = 0.0
    if not given:
        total = (0.3 if stopped else 0.05) * may_end * (left + 1)
        if stopped:
            return total + 0.5 * worth(blank, words, left, False, False)
    elif stopped:
        return 0.5 * worth(blank, words, left, True, False)
    begins = CHANCE * may_end * given
    if left >= TOKENS:
        total += begins * (0.7 + 0.1 * (left - TOKENS))
    if left:
        for more, share in enumerate([0.5, 0.3, 0.2]):
            there = words + (more if words else max(1, more))
            if blank.most is None or there <= blank.most:
                total += (0.6 - begins) * share * worth(blank, there, left - 1, given, False)
        total += 0.2 * worth(blank, words, left - 1, given, True)
    return total


def check_sums(module: Any) -> None:
    text = module._Given(4, 4, [CHANCE, 0.5], {2: 1}, False, [1, 1, 1, 2, 2])
    over = np.arange(MOST + 1) + 1.0
    ends = np.linspace(0.7, 1.4, MOST + 1)[:, None]
    for blank in BLANKS:
        for after in (None, module._Sums(ends, ends)):
            sums = module._summed(blank, text, after, SHARES, HAZARDS, over)
            for left in range(MOST + 1):
                for words in range(blank.least + 1):
                    for stopped in (False, True):
                        wanted = worth(blank, words, left, after is not None, stopped)
                        assert sums.at(left, words)[stopped] == pytest.approx(wanted, abs=1e-12)


def check_exact(module: Any, template: str, power: float, most: int = 3) -> None:
    """The weighted share of every text is its mass, to the power that is asked for."""
    parts, scorer = Parts.of(template), Scorer()
    pieces = Pieces.of(ToyTokenizer(), size=5, end=0)
    automaton = TemplateAutomaton(parts.given, parts.blanks, pieces)
    of = Target(scorer, automaton, most, None, power)
    twist = module.TemplateTwist(
        automaton, scorer.vocabulary, hazards_of(scorer, power), np.zeros(most + 1)
    )
    found: dict[tuple[int, ...], float] = {}
    for p, samples in every_run(lambda draws: smc(of, draws, 1, proposal=Twisted(twist))):
        for row, w in zip(samples.batch.rows(), samples.log_weight.exp(), strict=True):
            found[row] = found.get(row, 0.0) + p * float(w)
    wanted = {row: p**power for row, p in mass(of).items()}
    assert found.keys() == wanted.keys() and len(wanted) > 1
    assert all(abs(found[row] - wanted[row]) < 1e-9 for row in wanted)


def check_reach(module: Any) -> None:
    """Nearly every particle comes to the end, and log Z hardly spreads."""
    parts, scorer = Parts.of("a ___{1,2} b ___ c"), Scorer()
    automaton = TemplateAutomaton(
        parts.given, parts.blanks, Pieces.of(ToyTokenizer(), size=5, end=0)
    )
    of = Target(scorer, automaton, 8)
    twist = module.TemplateTwist(automaton, scorer.vocabulary, hazards_of(scorer), np.zeros(9))
    log_z = [
        smc(of, SeededDraws(seed), 64, proposal=Twisted(twist), threshold=0).log_z
        for seed in range(8)
    ]
    assert np.std(log_z) < 0.4


def test_sums() -> None:
    check_sums(templates)


@pytest.mark.parametrize("template", ["a ___", "a ___{1,2} b", "___ c", "___{1} b ___"])
@pytest.mark.parametrize("power", [1.0, 1.5])
def test_samples_are_exact(template: str, power: float) -> None:
    check_exact(templates, template, power)


def test_it_reaches() -> None:
    check_reach(templates)


FAULTS = {
    "words beyond the most": ("np.where(lost & (there > high), 0.0, led)", "led"),
    "a first token may begin no word": ("np.where(words, more, max(more, 1))", "more"),
    "given texts are of one token": (
        "begins * after.inside[left - len(text.chances), 0]", "begins * after.inside[left - 1, 0]"
    ),
    "given texts fit anywhere": ("elif len(text.chances) <= left:", "else:"),
    "nothing follows a stop": (
        "stopped[left] += hazards.goes_on_stopped * inside[left]", "stopped[left] += 0"
    ),
    "a blank may be over too early": ("full = words >= blank.least", "full = words >= 0"),
    "a stop does not end a text": (
        "stopped[left] = hazards.ends_stopped", "stopped[left] = hazards.ends"
    ),
    "no token stops": ("inside[left] += hazards.stopping * stopped[left - 1]", "pass"),
    "what begins a given text also goes on": (
        "np.maximum(hazards.goes_on - begins, hazards.goes_on / 2)", "hazards.goes_on + 0 * begins"
    ),
    "lengths count for nothing": ("hazards.ends * over[left] * full", "hazards.ends * full"),
    "numbers of words trade places": ("more, share in enumerate(shares)",
                                      "more, share in enumerate(shares[::-1])"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    faulty = load_with_fault("lm.twist.templates", FAULTS[fault])
    with pytest.raises((AssertionError, IndexError)):
        check_sums(faulty)
