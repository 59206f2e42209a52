"""Train the look-ahead of a retriever and save it beside the model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.loading import device_of
from ergotext.support.untrusted import read_json
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.learned import learned_folder
from ergotext.tasks.retrieval.lookahead.network import CONFIG, DROP, WEIGHTS, Matcher
from ergotext.tasks.training.checkpoints import File
from ergotext.tasks.training.data import TrainingData
from ergotext.tasks.training.log import Log
from ergotext.tasks.training.lookahead.learner import (
    SHARE,
    DevKeys,
    MatcherLearner,
    characters,
)
from ergotext.tasks.training.lookahead.pairs import Examples
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.lookahead.synonyms import Synonyms, read_synonyms
from ergotext.tasks.training.result import Trained, finish
from ergotext.tasks.training.run import TrainingRun, report_damage, seeded
from ergotext.tasks.training.schedule import Cosine
from ergotext.tasks.training.settings import Record, check_same, claim_file

RECORD, LOG, CURVE = "lookahead.json", "lookahead.jsonl", "lookahead.png"
CHECKPOINT = "lookahead.pt"
_MAY_CHANGE = ("steps", "every", "patience")
_OF_THE_FIRST = ("width", "hidden")
"""Sizes that are those of the look-ahead that a run starts from."""


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
        Files of questions about any subject (``sources.read_templates``).
    synonyms : sequence of str or Path
        Files of words that mean the same (``synonyms.read_synonyms``).
    start : str, optional
        A model whose look-ahead to go on from, or the folder of one, instead of one from scratch:
        its sizes and the characters that it knows stay as they are.
    device : str
    resume : bool
        Go on from the checkpoint in ``output``.

    Raises
    ------
    InputError
        A file cannot be read or holds nothing of use, a number is out of its range, or ``output``
        cannot be used.
    ModelError
        The look-ahead to start from is damaged, or training diverged.
    InterruptedRunError
        Ctrl-C was pressed.
    """
    began = time.monotonic()
    first = None if start is None else learned_folder(start)
    data = TrainingData.read(questions, dev, index, templates)
    return train_lookahead_on(
        data, Path(output), recipe or Recipe(), synonyms=[Path(path) for path in synonyms],
        first=first, began=began, device=device, resume=resume,
    )  # fmt: skip


def train_lookahead_on(
    data: TrainingData,
    output: Path,
    recipe: Recipe,
    *,
    synonyms: Sequence[Path] = (),
    first: Path | None = None,
    seconds: float | None = None,
    began: float | None = None,
    device: str = "auto",
    resume: bool = False,
) -> Trained:
    """As ``train_lookahead``, with data that are read already.

    Parameters
    ----------
    first : Path, optional
        Folder of the look-ahead to go on from.
    seconds : float, optional
        Time limit.
    """
    began = time.monotonic() if began is None else began
    files = list(synonyms)
    same = Synonyms(read_synonyms(files, data.lines))
    spotter = Spotter(data.trie, triples=True)
    examples = Examples(data.questions.asked, spotter, data.templates, same, recipe.seed)
    seen = DevKeys.of(data.dev.asked, spotter)
    digests = data.digests(files) | _digest_of(first)
    claim_file(output, CONFIG, (CHECKPOINT, LOG), resume)
    checkpoints = File(output / CHECKPOINT)
    with seeded(recipe.seed):
        matcher = _matcher(first, examples, recipe)
        recipe = replace(recipe, **{name: matcher.sizes[name] for name in ("width", "hidden")})
        record = Record(output, RECORD, {"recipe": asdict(recipe)}, digests)
        where = device_of(device)
        run = TrainingRun(
            MatcherLearner(matcher.to(where), examples, seen, recipe),
            Cosine(recipe.steps, recipe.learning_rate, recipe.warm_up, seconds),
            checkpoints,
            Log(output / LOG, began),
            every=recipe.every,
            patience=recipe.patience,
            by=SHARE,
            first=recipe.patience is not None and first is not None,
            about={**record.about, "device": where.type},  # a GPU has its own random numbers
        )
        if resume:
            run.restore(_last(checkpoints))
        run.go()
    kept = False
    if first is not None and recipe.patience is not None:
        before = Matcher.load(first).to(where)
        kept = not seen.is_better(matcher.eval(), before)
        matcher = before if kept else matcher
    matcher.save(output)
    checkpoints.remove()
    scores = seen.score(Matcher.load(output))
    return finish(run, record, CURVE, scores, began, data.lines, kept=kept)


def finished(output: Path, recipe: Recipe, data: TrainingData) -> Trained | None:
    """What came of a run in a folder; None if it has not ended.

    Raises
    ------
    InputError
        It was started with other settings.
    """
    if not (output / CONFIG).is_file() or not (output / RECORD).is_file():
        return None
    now = {name: value for name, value in asdict(recipe).items() if name not in _OF_THE_FIRST}
    told = read_json(output / RECORD, advice="train it again in another folder")
    try:
        before = {name: told["recipe"][name] for name in now}
        found = Trained(
            output, told["scores"], told["steps"], told["parameters"], told["seconds"],
            data.lines, kept=told["kept"],
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{output / RECORD} is no record of a run ({error!r:.80}): use another folder"
        ) from error
    check_same(f"the look-ahead in {output}", before, now, _MAY_CHANGE)
    return found


def begun(output: Path) -> bool:
    """Whether a run in a folder has a checkpoint to go on from; what else it left is removed."""
    (output / CONFIG).unlink(missing_ok=True)  # without the record that is written after it
    checkpoint = any(File(output / CHECKPOINT).places())
    if not checkpoint:
        (output / LOG).unlink(missing_ok=True)
    return checkpoint


def _matcher(first: Path | None, examples: Examples, recipe: Recipe) -> Matcher:
    """A matcher from scratch, or the one in a folder."""
    if first is not None:
        return Matcher.load(first, DROP)
    return Matcher(characters(examples), recipe.width, recipe.hidden)


def _digest_of(first: Path | None) -> dict[str, str]:
    """Of the look-ahead that a run starts from."""
    if first is None:
        return {}
    both = b"".join((first / name).read_bytes() for name in (CONFIG, WEIGHTS))
    return {"start": blake2b(both, digest_size=8).hexdigest()}


def _last(checkpoints: File) -> Path:
    """The checkpoint to resume from."""
    place, damaged = checkpoints.last_whole()
    if place is not None:
        report_damage(damaged, place)
        return place
    if damaged:
        raise InputError(f"{'; '.join(damaged)}: remove the damaged files, or start a new run")
    raise InputError(f"there is no {checkpoints.path} to resume from: start without resume")
