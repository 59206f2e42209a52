"""How many texts of ``et.generate`` parse and validate, over a file of JSON schemas.

    python benchmarks/generate_schemas.py PATH [--model tiny-causal] [--chat] [--method best]
        [--skip 0] [--limit 200] [--max-tokens 256] [--beams 8] [--seconds 600] [--largest 3000]

PATH has one ``{"name", "schema"}`` a line.

The prompt is the schema and a request for JSON; a schema of more than ``--largest`` characters is
cut, and left out at 0. Every text is parsed, and validated by the package jsonschema, another
reading of the standard. It stops after so many CPU seconds.

Counted apart: schemas that are refused (a keyword that cannot be followed exactly, or nothing fits)
and those of which no text was found within the tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from jsonschema import validators

import ergotext as et
from ergotext.errors import ErgotextError, InputError


def outcome(lm: et.CausalLM, schema: Any, told: argparse.Namespace) -> tuple[str, str]:
    """What became of a schema, and the text or the reason."""
    shown = json.dumps(schema)[: told.largest]
    prompt = f"JSON schema:\n{shown}\nWrite JSON that satisfies the schema." if shown else "JSON:"
    try:
        found = et.generate(
            lm, prompt if told.chat else f"{prompt}\n", schema=schema, chat=told.chat or None,
            method=told.method, max_tokens=told.max_tokens, beams=told.beams,
        )  # fmt: skip
    except InputError as error:
        return "refused", str(error)
    except ErgotextError as error:
        return "no text found", str(error)
    text = found[0].text
    try:
        value = json.loads(text)
    except ValueError:
        return "NOT JSON", text
    assert found.value == value
    kind = validators.validator_for(schema)
    return "valid" if kind(schema).is_valid(value) else "NOT VALID", text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--model", default="tiny-causal")
    parser.add_argument("--chat", action="store_true")
    parser.add_argument("--method", default="best")
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--beams", type=int)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--largest", type=int, default=3000)
    told = parser.parse_args()
    torch.set_num_threads(1)
    lm = et.load(told.model)
    lines = told.path.read_text(encoding="utf-8").splitlines()
    counted: Counter[str] = Counter()
    began = time.process_time()
    for line in lines[told.skip : told.skip + told.limit]:
        if time.process_time() - began > told.seconds:
            break
        one = json.loads(line)
        at = time.process_time()
        what, text = outcome(lm, one["schema"], told)
        counted[what] += 1
        print(f"{time.process_time() - at:6.1f} {what:14} {one['name']}: {text[:120]}", flush=True)
    spent = time.process_time() - began
    print(f"{counted.total()} schemas, {spent:.0f} CPU seconds, one thread: {dict(counted)}")


if __name__ == "__main__":
    main()
