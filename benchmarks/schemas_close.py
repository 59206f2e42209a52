"""Share of draws that close within the budget, over a file of JSON schemas with instances.

    python benchmarks/schemas_close.py PATH [--model tiny-causal] [--sampler smc]
        [--proposal finishing] [-n 8] [--skip 0] [--every 1] [--but-every 8]

PATH has one ``{"name", "schema", "tests": [{"valid", "data"}]}`` a line. The budget of a schema is
what its shortest valid instance takes in the fewest tokens, and ``--slack`` more. Every text that
closes is parsed, and validated where the package jsonschema is installed. Schemas whose budget is
beyond the model's window are counted apart, as nothing is drawn for them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import ergotext as et
from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata import Pieces, json_schema
from ergotext.lm.energies.matches import matches
from ergotext.lm.protocols import Automaton
from ergotext.samplers import SeededDraws
from ergotext.samplers.registry import sampler_named
from ergotext.tasks.sample import _quiet


def written(pieces: Pieces, text: bytes) -> list[int]:
    """A text in the fewest tokens."""
    best: list[tuple[int, int]] = [(0, -1)] * (len(text) + 1)
    for place in reversed(range(len(text))):
        ways = [(1 + best[place + len(pieces.tokens[t])][0], t) for t in pieces.at(text, place)]
        best[place] = min(ways, default=(1 << 20, -1))
    tokens, place = list[int](), 0
    while best[place][1] >= 0:
        tokens.append(best[place][1])
        place += len(pieces.tokens[tokens[-1]])
    return tokens


def taken(automaton: Automaton, tokens: list[int]) -> bool:
    states = automaton.start(1)
    for token in (*tokens, automaton.end):
        states = automaton.advance(states, np.array([token]))
    return bool(states[0] >= 0)


def valid(value: Any, schema: Any) -> bool:
    try:
        import jsonschema
    except ImportError:
        return True
    return bool(jsonschema.validators.validator_for(schema)(schema).is_valid(value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--model", default="tiny-causal")
    parser.add_argument("--sampler", default="smc")
    parser.add_argument("--proposal", default="finishing")
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--skip", type=int, default=0, help="Leave out so many at the beginning.")
    parser.add_argument("--every", type=int, default=1, help="Take every so many of the schemas.")
    parser.add_argument(
        "--but-every", type=int, help="Take all but every so many, which --every took before."
    )
    parser.add_argument("--slack", type=int, default=8)
    given = parser.parse_args()
    lm = et.load(given.model)
    pieces = Pieces.of(lm.vocabulary.tokenizer, size=lm.vocabulary.size, end=lm.end_id)
    drawn = closed = refused = beyond = wrong = empty = schemas = 0
    begun = time.perf_counter()
    lines = given.path.read_text(encoding="utf-8").splitlines()[given.skip :]
    if given.but_every:
        lines = [line for place, line in enumerate(lines) if place % given.but_every]
    for line in lines[:: given.every]:
        case = json.loads(line)
        started = time.process_time()
        try:
            automaton = json_schema(case["schema"], pieces)
        except InputError:
            refused += 1
            continue
        texts = [
            json.dumps(test["data"], ensure_ascii=False, separators=(",", ":"))
            for test in case["tests"]
            if test["valid"]
        ]
        sizes = [
            len(tokens)
            for tokens in (written(pieces, text.encode()) for text in texts)
            if taken(automaton, tokens)
        ]
        if not sizes:
            refused += 1
            continue
        if min(sizes) + given.slack > lm.longest_text:
            beyond += 1
            print(f"{case['name']}: {min(sizes) + given.slack} tokens are beyond the window")
            continue
        schemas += 1
        drawn += given.n
        energy = et.fluency(lm) + matches(automaton)
        sampler = sampler_named(given.sampler)(
            energy, max_length=min(sizes) + given.slack, proposal=given.proposal
        )
        try:
            with _quiet():
                samples = sampler.draw(SeededDraws(0), given.n)
        except ErgotextError as error:
            empty += 1
            print(
                f"{case['name']}: nothing closed within {min(sizes) + given.slack}: {error}",
                flush=True,
            )
            continue
        closed += len(samples)
        print(
            f"{case['name']}: {len(samples)} of {given.n} ({closed} of {drawn}), "
            f"{time.process_time() - started:.1f} s of the processor",
            flush=True,
        )
        for text in lm.decode(samples.batch):
            try:
                wrong += not valid(json.loads(text), case["schema"])
            except ValueError:
                wrong += 1
                print(f"{case['name']}: no JSON: {text!r}")
    share = closed / max(1, drawn)
    print(
        f"{given.model}, {given.sampler} ({given.proposal}): {schemas} schemas ({refused} refused "
        f"or without an instance that is taken, {beyond} beyond the window), "
        f"{closed} of {drawn} draws closed ({share:.1%}), "
        f"{empty} schemas with none; {wrong} that closed are not valid; "
        f"{time.perf_counter() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
