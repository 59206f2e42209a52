"""Faults of sentence ending, put into our code one at a time: each must be caught."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ergotext.lm.endings import abbreviations, closing, scorer, sentence
from ergotext.samplers.chains import token_proposal
from ergotext.testing.toy import TOKENS, ToyScorer
from tests.faulty import load_with_fault
from tests.lm.endings.checks import check_agreement, check_definition, check_mass, every_row
from tests.lm.endings.test_scorer import check_cut, check_cut_after, ends_by_text
from tests.lm.endings.test_sentence import OPENED, PLACES
from tests.lm.endings.toy import TEXTS, pieces_of

REAL = {
    "lm.endings.abbreviations": abbreviations,
    "lm.endings.closing": closing,
    "lm.endings.scorer": scorer,
    "lm.endings.sentence": sentence,
    "samplers.chains.token_proposal": token_proposal,
}
SCORER, SENTENCE = "lm.endings.scorer", "lm.endings.sentence"
FAULTS = {
    "the end keeps its own probability": (
        SCORER, "return law.masked_fill(ends, -torch.inf).scatter(1, column, log_end[:, None])",
        "return law.masked_fill(self.rule.absorbed[kind], -torch.inf)",
    ),
    "the model's end token does not count at a terminator": (
        SCORER, "ends[:, self.end_id] = True", "ends[:, self.end_id] = False",
    ),
    "what opens a next sentence keeps its probability as well": (
        SCORER, "return law.masked_fill(ends, -torch.inf)", "return law",
    ),
    "a row goes on after its end": (
        SCORER, "scores = scores.masked_fill(refused, -torch.inf)", "",
    ),
    "refused by the place behind a token": (
        SCORER, "self.rule.absorbed[kinds[:, :-1], batch.ids]",
        "self.rule.absorbed[kinds[:, 1:], batch.ids]",
    ),
    "the end scored by the place before the last token": (
        SCORER, "last = kinds.gather(1, batch.length[:, None])[:, 0]\n        at = last.n",
        "last = kinds.gather(1, (batch.length - 1).clamp(0)[:, None])[:, 0]\n        at = last.n",
    ),
    "kept ends known by the last token": (
        SCORER, "found[r] = self._log_ends[rows[r]] = value",
        "found[r] = self._log_ends[rows[r]] = value\n"
        "            self._log_ends |= {(t, *rows[r][1:]): value for t in range(1, 5)}",
    ),
    "candidates end as the model says": (
        SCORER, "total = total.index_add(0, at, ended - plain)", "",
    ),
    "a horizon short of the end takes it in": (
        SCORER, "horizon > len(row) - b", "horizon >= len(row) - b",
    ),
    "candidates may stand where the text had ended": (
        SCORER, "return total.masked_fill(refused, -torch.inf).view", "return total.view",
    ),
    "next tokens by the place at the end of the row": (
        SCORER, "self.rule.kinds(batch).gather(1, position[:, None])",
        "self.rule.kinds(batch).gather(1, batch.length[:, None])",
    ),
    "numbers are parted": (
        SENTENCE, "Place.STOP: spaced and not lower", "Place.STOP: not lower",
    ),
    "a lower-case letter opens a sentence": (
        SENTENCE, "Place.STOP: spaced and not lower", "Place.STOP: spaced",
    ),
    "closers end nothing": (
        SENTENCE, 'body = bare.rstrip("".join(CLOSERS | OPEN_OR_CLOSE))', "body = bare",
    ),
    "abbreviations end a sentence": (SENTENCE, "if abbreviated(words):", "if False:"),
    "a number after No. opens a sentence": (
        SENTENCE, "numeric = first.isdigit()", 'numeric = first == "¹"',
    ),
    "a Chinese closer opens a sentence": (
        SENTENCE, "text[0] not in TERMINATORS | CLOSERS", "text[0] not in TERMINATORS",
    ),
    "Chinese stops take a space": (
        SENTENCE, "if wide or (words and is_unspaced(words[-1])):", "if False:",
    ),
    "characters are looked at token by token": (
        SENTENCE, "joined(rows[r][: i + 1])", "joined(rows[r][i : i + 1])",
    ),
    "a stop with text behind it ends": (
        SENTENCE, 'body = bare.rstrip("".join(CLOSERS | OPEN_OR_CLOSE))',
        'body = bare.rstrip("".join(CLOSERS | OPEN_OR_CLOSE) + ",")',
    ),
    "a byte that may begin a closer opens a sentence": (
        SENTENCE, "absorbed[Place.WIDE_STOP, token] &= piece not in BEGUN", "",
    ),
    "whatever is begun goes on": (
        SENTENCE, "absorbed[len(Place) :, token] = True", "",
    ),
    "what is begun is never whole": (
        SENTENCE, "[not _may_close(begun + piece) for begun in BEGUN]", "True",
    ),
    "two bytes begin nothing": (SENTENCE, "for n in range(1, len(char.encode()))", "for n in [1]"),
    "bytes are begun everywhere": (
        SENTENCE, "begun in BEGUN and place_after(text) == Place.WIDE_STOP", "begun in BEGUN",
    ),
    "bytes after the end are text": (
        SCORER, "t.rstrip(BROKEN) if cut else t", "t",
    ),
    "all bytes that are no character are cut": (
        SCORER, "t.rstrip(BROKEN) if cut else t", "t.rstrip(BROKEN)",
    ),
    "a small letter opens nothing after a word": (
        SENTENCE, "Place.WORD: spaced,", "Place.WORD: spaced and not lower,",
    ),
    "a word before a closing quote is ordinary": (
        SENTENCE, "if body == bare and ordinary(words):", "if ordinary(words):",
    ),
    "initials are ordinary words": (
        "lm.endings.abbreviations", "len(word) > 1 and word.islower()", "word.islower()",
    ),
    "names are ordinary words": (
        "lm.endings.abbreviations", "len(word) > 1 and word.islower()", "len(word) > 1",
    ),
    "known abbreviations are ordinary words": (
        "lm.endings.abbreviations", "plain and word not in", "plain and '' in",
    ),
    "what has no vowel is an ordinary word": (
        "lm.endings.abbreviations", " and _VOWEL.search(word) is not None", "",
    ),
    "white space ends nothing": (SENTENCE, "bare = text.rstrip()", "bare = text"),
    "any letter is an initial": (
        "lm.endings.abbreviations", 'word.isupper() and word != "I"', "word.isupper()",
    ),
    "the time of day goes on": (
        "lm.endings.abbreviations", " and word not in TIMES", "",
    ),
    "the last letters of a word are an abbreviation": (
        "lm.endings.abbreviations", r"(?<![^\W_])(?:", "(?:",
    ),
    "a closing token keeps its probability": (
        "lm.endings.closing", "self.absorbed[1, list(tokens)] = True",
        "self.absorbed[1, list(tokens)[:1]] = True",
    ),
    "an empty text cannot be closed": (
        "lm.endings.closing", "(torch.arange(batch.width + 1) <= batch.length[:, None]).long()",
        "(torch.arange(batch.width + 1) <= batch.length[:, None]).long().index_fill("
        "1, torch.tensor([0]), 0)",
    ),
    "texts are cut a token late": (
        "lm.endings.closing", "(place == self.count) &", "(place == self.count + 1) &",
    ),
    "texts are cut from the first token on": (
        "lm.endings.closing", "(place == self.count) &", "(place <= self.count) &",
    ),
    "what is cut keeps the probability of a token": (
        "lm.endings.closing", "self.absorbed[0] = False",
        "self.absorbed[0] = self.absorbed[1, 2] = False",
    ),
    "tokens without a chance are listed among those not allowed": (
        "samplers.chains.token_proposal", "log_next = scorer.next_log_prob(batch, start)"
        ".clamp(min=IMPOSSIBLE)", "log_next = scorer.next_log_prob(batch, start)",
    ),
    "no law where nothing has a chance": (
        "samplers.chains.token_proposal", "score = score.clamp(min=IMPOSSIBLE)", "",
    ),
}  # fmt: skip


def check(code: SimpleNamespace) -> None:
    """All that the other tests say, on toys."""
    for place, texts in PLACES.items():
        assert all(code.sentence.place_after(text).name == place.name for text in texts)
    for place, by_answer in OPENED.items():
        for opens, texts in by_answer.items():
            assert all((place in code.sentence.opened_by(text)) is opens for text in texts)
    for world in TEXTS:
        rule = code.sentence.SentenceEnd(pieces_of(TEXTS[world]), TOKENS)
        _check_law(code.scorer.EndingScorer(ToyScorer(0), rule), ends_by_text(world))
    begun = code.sentence.SentenceEnd(pieces_of(TEXTS["bytes"]), TOKENS)
    check_cut(code.scorer.EndingScorer(ToyScorer(0), begun))
    closing_rule = code.closing.ClosingTokens([2, 4], TOKENS, 0)
    closed = code.scorer.EndingScorer(ToyScorer(1), closing_rule)
    _check_law(closed, lambda _row, token: token in (2, 4))
    check_cut_after(code.closing.Cut)
    _check_slots(code.token_proposal, code.scorer.EndingScorer(ToyScorer(0), _everything(code)))


def _check_law(p: scorer.EndingScorer, ends_at) -> None:
    check_mass(p)
    check_definition(p, ends_at)
    check_agreement(p, every_row(2), torch.arange(1, 5), 1e-9)


def _everything(code: SimpleNamespace):
    """A rule that leaves the end alone after every text."""
    return code.closing.ClosingTokens([1, 2, 3, 4], TOKENS, 0)


def _check_slots(code, p: scorer.EndingScorer) -> None:
    """Edits list tokens that are allowed, where none of them has a chance."""
    rows = every_row(1)
    at = torch.zeros_like(rows.length)
    for horizon in (0, 9):
        law = code.Slot(horizon=horizon).law(p, rows, at, rows.length)
        assert torch.allclose(law.sum(-1), torch.ones(len(rows)).double())
        assert (law[:, 0] == 0).all()


def modules(fault: str | None, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The code, with one fault."""
    found = dict(REAL)
    if fault is not None:
        name, old, new = FAULTS[fault]
        found[name] = load_with_fault(name, (old, new))
        for used in ("abbreviated", "before_number", "ordinary"):
            changed = getattr(found["lm.endings.abbreviations"], used)
            if name == "lm.endings.abbreviations":
                monkeypatch.setattr(sentence, used, changed)
    return SimpleNamespace(**{name.rpartition(".")[2]: code for name, code in found.items()})


def test_the_code_as_it_is_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    check(modules(None, monkeypatch))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        check(modules(fault, monkeypatch))
