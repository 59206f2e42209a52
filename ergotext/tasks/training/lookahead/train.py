"""Train the look-ahead of a retriever and save it beside the model."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path

import torch

from ergotext.errors import InputError
from ergotext.lm.loading import device_of
from ergotext.lm.trie.lines import Lines
from ergotext.support.files import write_text
from ergotext.tasks.config import versions
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.lookup import opened
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.features import Asked
from ergotext.tasks.retrieval.lookahead.learned import grouped
from ergotext.tasks.retrieval.lookahead.loading import learned_folder
from ergotext.tasks.retrieval.lookahead.network import CONFIG, DROP, WEIGHTS, Matcher
from ergotext.tasks.training.log import Log, save_curve
from ergotext.tasks.training.lookahead.fit import Lessons, Recipe, characters, earlier, score
from ergotext.tasks.training.lookahead.pairs import Examples
from ergotext.tasks.training.lookahead.synonyms import Synonyms, read_synonyms
from ergotext.tasks.training.run import SCORE, Trained, interrupted, read_questions
from ergotext.tasks.training.settings import claim_file
from ergotext.tasks.training.sources import digests, read_templates

RECORD, LOG, CURVE = "lookahead.json", "lookahead.jsonl", "lookahead.png"
CHECKPOINT = "lookahead.pt"


@dataclass(frozen=True, eq=False)
class Held:
    """Dev questions: their answers, and what each may be about."""

    answers: Sequence[Triple]
    groups: Sequence[list[Asked]]

    @classmethod
    def of(cls, questions: Sequence[Question], spotter: Spotter) -> Held:
        """Those that have an answer."""
        kept = [(one.text, one.answer) for one in questions if one.answer is not None]
        keys, _ = spotter.find([text for text, _ in kept])
        groups = [
            [asked for _, asked in grouped(text, own)]
            for (text, _), own in zip(kept, keys, strict=True)
        ]
        return cls([answer for _, answer in kept], groups)


def train_lookahead(
    questions: str | Path,
    dev: str | Path,
    index: str | Path,
    output: str | Path,
    recipe: Recipe | None = None,
    *,
    templates: Sequence[str | Path] = (),
    synonyms: Sequence[str | Path] = (),
    start: str | None = None,
    every: int = 1000,
    device: str = "auto",
    resume: bool = False,
) -> Trained:
    """Train a matcher and save it in float16, beside a model or alone.

    Parameters
    ----------
    questions, dev : str or Path
        Files of questions (``data.read``). Dev questions are scored, and nothing else is done with
        them.
    index : str or Path
        Of triples: predicates with their objects are rivals of one another in training, and dev
        questions are answered from it.
    output : str or Path
        A folder without a look-ahead, maybe one with a model.
    recipe : Recipe, optional
    templates : sequence of str or Path
        Files of questions about any subject (``material.read_templates``).
    synonyms : sequence of str or Path
        Files of words that mean the same (``synonyms.read_synonyms``).
    start : str, optional
        A model whose look-ahead to go on from, or the folder of one, instead of one from scratch:
        its sizes and the characters that it knows stay as they are.
    every : int
        Steps between scores on the dev questions, each with a checkpoint.
    device : str
    resume : bool
        Go on from the checkpoint in ``output``.

    Raises
    ------
    InputError
        A file cannot be read or holds nothing of use, a number is out of its range, or ``output``
        cannot be used.
    ModelError
        The look-ahead to start from is damaged.
    InterruptedRunError
        Ctrl-C was pressed.
    """
    began = time.monotonic()
    chosen, output = recipe or Recipe(), Path(output)
    if every < 1:
        raise InputError(f"every is {every}; it must be at least 1")
    first = None if start is None else learned_folder(start)
    lines = Lines()
    asked, held = read_questions(questions, lines), read_questions(dev, lines)
    files = [Path(path) for path in templates], [Path(path) for path in synonyms]
    ways, same = read_templates(files[0], lines), Synonyms(read_synonyms(files[1], lines))
    trie, _ = opened(index, None)
    spotter = Spotter(trie, triples=True)
    examples = Examples(asked.asked, spotter, ways, same, chosen.seed)
    seen = Held.of(held.asked, spotter)
    data = digests(asked.digest, trie, *files)
    if first is not None:
        both = b"".join((first / name).read_bytes() for name in (CONFIG, WEIGHTS))
        data["start"] = blake2b(both, digest_size=8).hexdigest()
    claim_file(output, CONFIG, (CHECKPOINT, LOG), resume)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chosen.seed)
        if first is None:
            matcher = Matcher(characters(examples), chosen.width, chosen.hidden)
        else:
            matcher = Matcher.load(first, DROP)
            chosen = replace(chosen, **{name: matcher.sizes[name] for name in ("width", "hidden")})
        lessons = Lessons(matcher.to(device_of(device)), examples, chosen, data)
        if resume:
            for fault in lessons.restore(output / CHECKPOINT):
                before = earlier(output / CHECKPOINT).name
                print(f"ergotext: {fault}; the run goes on from {before}", file=sys.stderr)
        _run(lessons, seen, output, every, Log(output / LOG, began))
    matcher.save(output)
    for kept in (output / CHECKPOINT, earlier(output / CHECKPOINT)):
        kept.unlink(missing_ok=True)
    scores = score(Matcher.load(output), seen.answers, seen.groups)
    save_curve(output / LOG, output / CURVE, SCORE)
    count, seconds = sum(p.numel() for p in matcher.parameters()), time.monotonic() - began
    told = {"recipe": asdict(chosen), "data": data, "versions": versions(), "scores": scores}
    record = json.dumps({**told, "parameters": count, "seconds": seconds}, indent=1)
    write_text(output / RECORD, record + "\n")
    return Trained(output, scores, lessons.done, count, seconds, lines)


def _run(lessons: Lessons, seen: Held, output: Path, every: int, log: Log) -> None:
    """The steps that are left; a checkpoint, a score and a line of the log sometimes."""
    losses: list[float] = []
    try:
        while lessons.done < lessons.recipe.steps:
            losses.append(lessons.step())
            if lessons.done % every and lessons.done < lessons.recipe.steps:
                continue
            lessons.save(output / CHECKPOINT)
            scores = score(lessons.matcher, seen.answers, seen.groups)
            dev = {f"eval_{name}": value for name, value in scores.items()}
            log.write(lessons.done, {"loss": sum(losses) / len(losses), **dev})
            losses = []
    except KeyboardInterrupt as error:
        path = output / CHECKPOINT
        raise interrupted(lessons.done, path if path.exists() else None) from error
