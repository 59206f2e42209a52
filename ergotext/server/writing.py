"""What the worker does for our own routes: answer questions, generate, write sentences."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.slot_source import parted
from ergotext.samplers.progress import Stage
from ergotext.server.models import ServedModels
from ergotext.server.replies import of_generations, of_hits, of_sentences
from ergotext.server.requests import GenerateRequest, RetrieveRequest, SampleRequest
from ergotext.server.worker import Job
from ergotext.support.untrusted import check_depth
from ergotext.support.words import Keyword, spellings_used
from ergotext.tasks.budget import FINALS, Budget
from ergotext.tasks.demands import Demands
from ergotext.tasks.generation.generate import PromptGenerator
from ergotext.tasks.generation.options import GenerationOptions
from ergotext.tasks.generation.wanted import wanted
from ergotext.tasks.selection import chosen
from ergotext.tasks.texts import how
from ergotext.tasks.write import write

WIDEST = 64
"""Questions or prompts that are computed together."""
BATCH = 32
"""Questions that a model reads at a time."""
LEAST_SECONDS = 0.05
"""Between two looks at a run."""
NAMED = "{0} from outside cannot name an index: that is a file of this machine"


def retrieve_job(models: ServedModels, body: RetrieveRequest) -> Job:
    """Questions; those of several requests with the same options are answered together."""
    answerer = models.answering(body.model)
    wishes = body.model_dump(include={"anywhere", "model_probability", "temperature"})
    asked = body.model_dump(include={"k", "beams", "threshold", "coverage", "prefixes"})

    def work(each: Sequence[Any]) -> list[dict[str, Any]]:
        every = [question for questions in each for question in questions]
        found = iter(answerer.answer(every, wishes, **asked, batch_size=BATCH, progress=False))
        notes = answerer.notes(wishes["anywhere"], wishes["model_probability"])
        return [
            {
                "model": answerer.model,
                "data": [of_hits(question, next(found)) for question in questions],
                "notes": notes,
            }
            for questions in each
        ]

    alike = ("retrieve", *wishes.values(), *asked.values())
    return Job(work, body.questions, alike, len(body.questions))


def generate_job(models: ServedModels, body: GenerateRequest) -> Job:
    """A prompt; those of several requests with the same constraint are read together."""
    lm = models.writing(body.model)
    constraint = body.model_dump(include={"schema_", "regex", "choices", "grammar"})
    schema = constraint.pop("schema_")
    options = body.model_dump(exclude={"schema_", "prompt", "model", *constraint})
    constraint = {"schema": schema, **constraint}
    generator = generator_for(models, constraint, options)
    prompt: Any = body.model_dump(include={"prompt"})["prompt"]

    def work(prompts: Sequence[Any]) -> list[dict[str, Any]]:
        return [of_generations(lm.name, one) for one in generator()(prompts)]

    return Job(work, prompt, ("generate", key_of(constraint, options)))


def generator_for(
    models: ServedModels, constraint: Mapping[str, Any], options: Mapping[str, Any]
) -> Callable[[], PromptGenerator]:
    """Makes the generator of a constraint, or finds it; to be called by the worker.

    Raises
    ------
    InputError
        A schema is nested too deep, or a schema or grammar names a file of this machine.
    """
    refuse_files(constraint.get("schema"), constraint.get("grammar"))
    lm = models.writing(None)

    def make() -> PromptGenerator:
        return PromptGenerator(lm, wanted(**constraint), GenerationOptions(**options))

    return lambda: models.generator(key_of(constraint, options), make)


def key_of(constraint: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """What two requests have in common if one generator does for both.

    Members of a schema keep their order: texts have them in it.
    """
    return json.dumps([constraint, options])


def refuse_files(schema: Any, grammar: str | None) -> None:
    """Raise InputError where a schema or a grammar would open an index of this machine."""
    if grammar is not None and parted(grammar)[1]:
        raise InputError(NAMED.format("a grammar"))
    check_depth(schema)
    level = [schema]
    while level:
        tables = [one for one in level if isinstance(one, dict)]
        # What else has this name is a property, or a value.
        if any(isinstance(table.get("x-index"), str) for table in tables):
            raise InputError(NAMED.format("a schema"))
        level = [inner for one in tables for inner in one.values()]
        level += [x for one in level if isinstance(one, list) for x in one]
        level = [one for one in level if isinstance(one, dict | list)]


def sample_job(
    models: ServedModels, body: SampleRequest, tell: Callable[[dict[str, Any]], None] | None
) -> Job:
    """Sentences with keywords, and what is told as they form.

    Raises
    ------
    InputError
        Options do not go together.
    """
    lm = models.writing(body.model)
    window = None if body.words is None else (body.words[0], body.words[1])
    if window is not None and window[0] > window[1]:
        raise InputError(f"words must be the least and the greatest number, got {body.words}")
    demands = Demands(
        body.in_order, tuple(body.without), window, body.end, body.max_length, body.length
    )
    budget = Budget(
        body.sampler,
        body.particles,
        body.chains,
        body.steps,
        body.max_seconds,
        body.seed,
        finals=max(FINALS, 4 * body.n),
    )
    words: list[Keyword] = list(body.keywords)

    def work(_: Sequence[Any]) -> list[dict[str, Any]]:
        progress = False if tell is None else paced(tell)
        result = write(words, lm, budget, demands, context=body.context, progress=progress)
        best = chosen(result, body.n)
        spelled = [spellings_used(one.text, words) for one in best]
        return [of_sentences(lm.name, best, spelled, how(result), result.warnings)]

    return Job(work, None)


def paced(tell: Callable[[dict[str, Any]], None]) -> Callable[[Stage], None]:
    """Tells of a run now and then, and of nothing twice."""
    last, said = 0.0, ""

    def watch(stage: Stage) -> None:
        nonlocal last, said
        now = time.monotonic()
        if now - last < LEAST_SECONDS or stage.text == said:
            return
        last, said = now, stage.text
        tell(
            {
                "done": stage.done,
                "total": stage.total,
                "unit": stage.unit,
                "text": stage.text,
                "whole": stage.whole,
            }
        )

    return watch
