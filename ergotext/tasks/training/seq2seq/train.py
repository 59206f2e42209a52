"""Train an encoder-decoder to answer questions with the keys of an index."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from transformers import PreTrainedModel

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.conversion import first_line, quiet
from ergotext.lm.trie.lines import Lines
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.extras import install
from ergotext.tasks.config import versions
from ergotext.tasks.lookup import opened
from ergotext.tasks.training.checkpoints import CHECKPOINTS, last_checkpoint, last_whole
from ergotext.tasks.training.examples import Stream
from ergotext.tasks.training.log import CURVE, LOG, Journal, save_curve
from ergotext.tasks.training.run import SCORE, Trained, interrupted, read_questions
from ergotext.tasks.training.schedule import Pace
from ergotext.tasks.training.seq2seq.batches import maker
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.initial_model import Started, has_bfloat16, started
from ergotext.tasks.training.seq2seq.loop import Loop
from ergotext.tasks.training.seq2seq.objectives import Loss, cross_entropy, listwise, shortfall
from ergotext.tasks.training.seq2seq.scoring import Coder
from ergotext.tasks.training.seq2seq.stream import Feed
from ergotext.tasks.training.settings import Record, Settings, claim
from ergotext.tasks.training.sources import Base, KnownQuestion, digests, read_templates

LOSSES: dict[str, Loss] = {
    "cross-entropy": cross_entropy,
    "listwise": listwise,
    "policy": shortfall,
    "zeroth-order": shortfall,
}


def train(
    questions: str | Path,
    dev: str | Path,
    index: str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    templates: Sequence[str | Path] = (),
    start: str | None = None,
    minutes: float | None = None,
    device: str = "auto",
    bfloat16: bool | None = None,
    resume: bool = False,
) -> Trained:
    """Train, keep the checkpoint with the best dev score, and save it in float16.

    Parameters
    ----------
    questions, dev : str or Path
        Files of questions (``data.read``). Dev questions are scored, and nothing else is done with
        them.
    index : str or Path
        Of triples: its strings are trained on, and dev questions are answered from it. If it was
        built with a tokenizer that has a name, the model takes that one; else one is made, with
        which an index for the model is to be built.
    output : str or Path
        A folder that is empty or not there yet.
    settings : Settings, optional
    templates : sequence of str or Path
        Files of questions about any subject (``material.read_templates``).
    start : str, optional
        An encoder-decoder to continue from, instead of one from scratch.
    minutes : float, optional
        Time limit in minutes; the learning rate reaches zero by then.
    device : str
    bfloat16 : bool, optional
        Whether products are taken in bfloat16; if not given, where the processor has them.
    resume : bool
        Go on from the last checkpoint in ``output``.

    Raises
    ------
    InputError
        A file cannot be read or holds nothing of use, a setting is out of its range, the tokenizer
        is not that of the index, or ``output`` cannot be used.
    InterruptedRunError
        Ctrl-C was pressed.
    """
    began = time.monotonic()
    chosen, output = settings or Settings(), Path(output)
    _check(minutes)
    lines = Lines()
    asked, held = read_questions(questions, lines), read_questions(dev, lines)
    patterns = read_templates([Path(path) for path in templates], lines)
    trie, notes = opened(index, None)
    base = Base.of(trie)
    pairs = [
        KnownQuestion.of(one.text, one.answer) for one in asked.asked if one.answer is not None
    ]
    stream = Stream(pairs, base, patterns, chosen.shares, chosen.seed)
    record = Record(chosen, digests(asked.digest, trie, [Path(path) for path in templates]))
    claim(output, resume)
    if resume:
        record.check(output)
    at = _going_on_from(output) if resume else None
    begun = started(None if at is None else output, start, trie, notes, stream, chosen, device)
    if at is None:
        # The record first: from then on the folder is one that --resume takes, whatever happens.
        record.write(output, versions=versions())
        begun.tokenizer.save_pretrained(output)
    seen = DevSet.of(held.asked, trie)
    with quiet():
        loop = _loop(begun, stream, seen, trie, chosen, output, minutes, bfloat16)
    _run(loop, output, at)
    steps = int(loop.state.global_step)
    scores = _saved(begun.model, begun.coder, seen, output)
    save_curve(output / LOG, output / CURVE, SCORE)
    count = sum(p.numel() for p in begun.model.parameters())
    seconds = time.monotonic() - began
    record.write(
        output, versions=versions(), scores=scores, steps=steps, parameters=count, seconds=seconds
    )
    return Trained(output, scores, steps, count, seconds, lines)


def _loop(
    begun: Started,
    stream: Stream,
    seen: DevSet,
    trie: TokenTrie,
    settings: Settings,
    output: Path,
    minutes: float | None,
    bfloat16: bool | None,
) -> Loop:
    first = seen.first(settings.dev_limit)
    pace = Pace(
        settings.steps,
        settings.learning_rate,
        settings.warm_up,
        settings.cool_down,
        None if minutes is None else 60 * minutes,
    )
    loop = Loop(
        begun.model,
        Feed(stream, settings.batch_size, settings.steps, maker(begun, trie, settings)),
        LOSSES[settings.objective],
        lambda model: first.score(model, begun.coder),
        pace,
        output / CHECKPOINTS,
        every=settings.every,
        patience=settings.patience,
        bfloat16=has_bfloat16(begun.model.device) if bfloat16 is None else bfloat16,
        seed=settings.seed,
        device=begun.model.device.type,
        radius=settings.radius if settings.objective == "zeroth-order" else None,
    )
    loop.add_callback(Journal(output / LOG))
    return loop


def _going_on_from(output: Path) -> Path | None:
    """The last whole checkpoint of a run; one that is passed over is named on stderr."""
    at, damaged = last_whole(output)
    following = "starting from scratch" if at is None else f"resuming from {at.name}"
    for fault in damaged:
        print(f"ergotext: {' '.join(fault.split())}; {following}", file=sys.stderr)
    return at


def _run(loop: Loop, output: Path, at: Path | None) -> None:
    try:
        with quiet():
            loop.train(resume_from_checkpoint=None if at is None else str(at))
    except KeyboardInterrupt as error:
        raise interrupted(loop.state.global_step, last_checkpoint(output)) from error
    except Exception as error:
        if at is None or loop.stepped or isinstance(error, ErgotextError):
            raise
        # Its files are whole, and what they say is none of this run.
        raise InputError(
            f"cannot resume from {at} ({type(error).__name__}: {first_line(error)}): remove that "
            "folder to resume from the checkpoint before it"
        ) from error


def _saved(model: PreTrainedModel, coder: Coder, seen: DevSet, output: Path) -> dict[str, float]:
    """Save in float16, and score what was saved."""
    with quiet():
        model.eval().half().save_pretrained(output)
    return seen.score(model.float(), coder)


def _check(minutes: float | None) -> None:
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes}; it must be above 0")
    if find_spec("accelerate") is None:
        raise InputError(f"accelerate is not installed; run: {install('train')}")
