"""Learned look-ahead: potentials from the look-ahead network, which a model brings along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.conversion import expanded
from ergotext.lm.sources import source_of
from ergotext.lm.trie.spotted import Naming
from ergotext.tasks.retrieval.calibration import NAME as FITTED
from ergotext.tasks.retrieval.calibration import UNFITTED, Calibration
from ergotext.tasks.retrieval.candidates import Candidates, Mention, Potential
from ergotext.tasks.retrieval.lookahead.features import SUBJECT, Asked, Key
from ergotext.tasks.retrieval.lookahead.fitted import Fitted
from ergotext.tasks.retrieval.lookahead.mentions import ALIKE, NAME, MentionWeights
from ergotext.tasks.retrieval.lookahead.network import CONFIG, WEIGHTS, Matcher
from ergotext.tasks.retrieval.lookahead.strings import StringMatch

TOGETHER = 256
"""Keys that the matcher reads at a time: fewer leave the processor idle, more its caches."""
KNOWN = 0.9
"""Share of the letters of a question, and of its predicates, that a matcher must know."""
OTHERS = "lookaheads"
"""Folder of further matchers beside a model, a folder each."""
Name = Literal["auto", "learned", "strings", "none"]
Group = tuple[NDArray[np.int64], Asked]
"""Rows of the candidates of a mention, and what is asked about them."""
Part = tuple[int, NDArray[np.int64], Asked]
"""The number of a question, and a group or a part of one."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A potential: ``scale`` times the matcher's score of each key and mention, in nats.

    Mentions inside longer ones that stand as the index has them are out of the question (-inf), and
    so are those that do not stand there and cannot reach the best of those that do
    (``MentionWeights.reach``).

    Parameters
    ----------
    matcher : Matcher
    scale : float
        What a nat of the score counts beside one of the model's log-probability.
    mentions : MentionWeights
        Added to the matcher's score.
    calibration : Calibration
        Of the probabilities of mention, matcher and model together.
    others : tuple of Matcher
        For other languages, say. A question goes to one of these if it knows nearly all letters
        (``KNOWN``) of the question and of the predicates; of several, to the one of fewest others.
    """

    matcher: Matcher
    scale: float = Fitted().scale
    others: tuple[Matcher, ...] = ()
    mentions: MentionWeights = ALIKE
    calibration: Calibration = UNFITTED

    @classmethod
    def load(cls, folder: str | Path) -> Matched:
        """The matchers in a model's folder, at its fitted scale; errors as both ``load`` have."""
        first, *others = (Matcher.load(each) for each in matcher_folders(folder))
        scale, mentions = Fitted.load(Path(folder)).scale, MentionWeights.load(folder)
        return cls(first, scale, tuple(others), mentions, Calibration.load(Path(folder) / FITTED))

    @cached_property
    def digest(self) -> str:
        """Of weights and settings, for a calibration that is fitted with them."""
        told = blake2b(f"{self.scale} {self.mentions}".encode(), digest_size=8)
        for matcher in (self.matcher, *self.others):
            told.update(f"{matcher.characters} {matcher.sizes}".encode())
            for name, tensor in sorted(matcher.state_dict().items()):
                told.update(name.encode() + tensor.float().cpu().numpy().tobytes())
        return told.hexdigest()

    def __call__(self, question: str, keys: Candidates) -> NDArray[np.float64]:
        return self.many([question], [keys])[0]

    def many(
        self,
        questions: Sequence[str],
        keys: Sequence[Candidates],
        known: Sequence[NDArray[np.float64]] | None = None,
    ) -> list[NDArray[np.float64]]:
        """The same for each question, at most ``TOGETHER`` keys read at a time.

        What is known of some candidates (the rest NaN) is taken over.
        """
        questions = [each.plain(asked) for asked, each in zip(questions, keys, strict=True)]
        found = [np.full(len(each), -np.inf) for each in keys]
        weights = [self.mentions(each) for each in keys]
        sure, near = dict[Matcher, list[Part]](), dict[Matcher, list[Part]]()
        for number, (question, each) in enumerate(zip(questions, keys, strict=True)):
            groups = grouped(question, each)
            standing = [_stands(rows, each) for rows, _ in groups]
            some = [asked for (_, asked), here in zip(groups, standing, strict=True) if here]
            matcher = self.chosen(some or [asked for _, asked in groups])
            for (rows, asked), here in zip(groups, standing, strict=True):
                if known is not None and not np.isnan(known[number][rows]).any():
                    found[number][rows] = known[number][rows]
                else:
                    parts = (sure if here else near).setdefault(matcher, [])
                    parts.append((number, rows, asked))
        self._read(found, weights, sure)
        best = [values.max(initial=-np.inf) for values in found]
        for matcher, parts in near.items():
            near[matcher] = [
                part for part in parts if self._bound(weights[part[0]][part[1][0]]) >= best[part[0]]
            ]
        self._read(found, weights, near)
        return found

    def settled(self, values: NDArray[np.float64]) -> bool:
        """Whether no mention that does not stand as written could be the best (``reach``)."""
        return bool(values.max(initial=-np.inf) > self._bound(self.mentions.most))

    def _bound(self, weight: float) -> float:
        return self.scale * (weight + self.mentions.reach)

    def _read(
        self,
        found: list[NDArray[np.float64]],
        weights: Sequence[NDArray[np.float64]],
        parts: Mapping[Matcher, Sequence[Part]],
    ) -> None:
        """Put the potentials of groups where they belong."""
        for matcher, mine in parts.items():
            batch: list[Part] = []
            size = 0
            for part in _cut(mine):
                count = len(part[1])
                if batch and size + count > TOGETHER:
                    self._fill(found, weights, matcher, batch)
                    batch, size = [], 0
                batch.append(part)
                size += count
            self._fill(found, weights, matcher, batch)

    def chosen(self, groups: Sequence[Asked]) -> Matcher:
        """The matcher for a question: one for all of its subjects, else they do not compare."""
        rests = [one.rest for one in groups]
        predicates = [key.predicate for one in groups for key in one.keys]
        for other in sorted(self.others, key=lambda matcher: len(matcher.known)):
            if _known(other, rests) >= KNOWN and _known(other, predicates) >= KNOWN:
                return other
        return self.matcher

    def _fill(
        self,
        found: list[NDArray[np.float64]],
        weights: Sequence[NDArray[np.float64]],
        matcher: Matcher,
        batch: Sequence[Part],
    ) -> None:
        scores = self.scale * matcher.scores([asked for _, _, asked in batch]).numpy()
        begin = 0
        for number, rows, _ in batch:
            own = scores[begin : begin + len(rows)]
            found[number][rows] = own + self.scale * weights[number][rows]
            begin += len(rows)


def _stands(rows: NDArray[np.int64], keys: Candidates) -> bool:
    """Whether the mention of these rows stands in the question as the index has it."""
    mention = int(keys.mention[rows[0]])
    return mention < 0 or keys.mentions[mention].kind <= Naming.OTHER


def _cut(parts: Iterable[Part]) -> Iterator[Part]:
    """The same in pieces of at most ``TOGETHER`` keys."""
    for number, rows, asked in parts:
        for low in range(0, len(rows), TOGETHER):
            some = slice(low, low + TOGETHER)
            yield number, rows[some], asked._replace(keys=asked.keys[some])


def _known(matcher: Matcher, texts: Sequence[str]) -> float:
    """The share of letters that a matcher knows: signs and digits are of no language."""
    letters = [c for text in texts for c in text if c.isalpha()]
    return sum(c in matcher.known for c in letters) / len(letters) if letters else 0.0


def matcher_folders(folder: str | Path) -> list[Path]:
    """Folders of the matchers of a model, in order."""
    found = (Path(folder) / OTHERS).glob(f"*/{CONFIG}")
    return [Path(folder), *sorted(one.parent for one in found)]


def grouped(question: str, keys: Candidates) -> list[Group]:
    """For each of the longest subjects in a question its candidates' numbers and what is asked."""
    spans = [(n, mention) for n, mention in enumerate(keys.mentions) if _outside(mention, keys)]
    found = []
    for number, mention in spans or [(-1, Mention("", 0, 0))]:
        rows = np.flatnonzero(keys.mention == number)
        rest = question
        if number >= 0:
            rest = question[: mention.start] + SUBJECT + question[mention.stop :]
        found.append(
            (rows, Asked(rest, mention.subject, [_key(keys, row) for row in rows.tolist()]))
        )
    return [one for one in found if len(one[0])]


def _outside(mention: Mention, keys: Candidates) -> bool:
    """Whether no longer subject, as the index has it, covers this one."""
    return not any(
        other.kind <= Naming.OTHER
        and other.start <= mention.start
        and mention.stop <= other.stop
        and len(other.text) > len(mention.text)
        for other in keys.mentions
    )


def _key(keys: Candidates, number: int) -> Key:
    predicate, meaning = keys.parted(number)
    values = keys.values(number)
    return Key(predicate, values[0] if values else "", meaning)


def lookahead_named(name: str, model: str, decode: str = "beam") -> Potential | None:
    """The look-ahead of this name; ``auto`` is ``learned`` where the model brings one.

    A masked model's answers have none, so ``auto`` is ``none`` for ``decode`` "mlm".

    Raises
    ------
    InputError
        There is no such name, or nothing learned beside the model.
    ModelError
        What was learned is damaged.
    """
    if name not in get_args(Name):
        raise InputError(f"no look-ahead {name!r}; choose one of {', '.join(get_args(Name))}")
    if name == "none" or (name == "auto" and decode == "mlm"):
        return None
    if name == "strings" or (name == "auto" and _learned(model) is None):
        return StringMatch()
    return load_lookahead(model)


def load_lookahead(model: str) -> Matched:
    """The learned look-ahead that a model brings, by the model's name or folder.

    Raises
    ------
    InputError
        It brings none.
    ModelError
        What it brings is damaged.
    """
    return Matched.load(learned_folder(model))


def learned_folder(model: str) -> Path:
    """Folder of the look-ahead of a model; InputError if it has none."""
    folder = _learned(model)
    if folder is None:
        raise InputError(f"the model {model} has no look-ahead ({CONFIG}): use strings")
    return folder


def learned_digest(model: str) -> str:
    """Digest of a model's look-ahead and its scale; empty if there is none."""
    folder = _learned(model)
    if folder is None:
        return ""
    told = blake2b(str(Fitted.load(folder).scale).encode(), digest_size=8)
    for path in (
        each / name for each in matcher_folders(folder) for name in (CONFIG, WEIGHTS, NAME, FITTED)
    ):
        told.update(path.read_bytes() if path.is_file() else b"")
    return told.hexdigest()


def _learned(model: str) -> Path | None:
    """The folder of a model, if a look-ahead lies in it, or of a look-ahead alone."""
    alone = expanded(model)
    if (alone / CONFIG).is_file() and not (alone / "config.json").is_file():
        return alone
    folder = source_of(model)
    return folder if isinstance(folder, Path) and (folder / CONFIG).is_file() else None
