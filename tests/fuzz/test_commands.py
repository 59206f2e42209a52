"""Every command under arguments and files of any kind: no traceback, no hang, nothing lost.

``ERGOTEXT_FUZZ=5000`` tries so many examples a command, others each time.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import hostile as h
from tests.fuzz.running import ASKED, SMALL, TEMPLATES, check, options, run
from tests.paths import ROOT

MANY = int(os.environ.get("ERGOTEXT_FUZZ", "0"))
FEW = 100


def examples(share: float = 1.0) -> Callable[[Any], Any]:
    """So many of them; the same each time where they are few."""
    return settings(
        max_examples=max(5, int((MANY or FEW) * share)), derandomize=not MANY, deadline=None,
        database=None, print_blob=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if not MANY else [])],
        report_multiple_bugs=bool(MANY),
    )  # fmt: skip


MODEL = {
    "model": h.models, "device": st.sampled_from(["cpu", "cuda:99", "meta", ""]),
    "dtype": st.sampled_from(["bfloat16", "float16", ""]), "threads": h.numbers,
}  # fmt: skip
WRITING = {
    "n": h.numbers, "chains": h.small, "steps": h.small, "context": h.texts, "seed": h.numbers,
    "sampler": st.sampled_from(["mh", "annealing", "smc", ""]), "max_seconds": h.numbers,
    "json": None, "o": h.paths, **MODEL,
}  # fmt: skip


@given(
    words=st.lists(h.words, max_size=3),
    more=options(
        **WRITING, length=h.numbers, max_length=h.numbers, in_order=None, forms=None,
        without=h.words, words=st.one_of(h.numbers, st.just("2-9")), end=h.words,
        particles=h.small,
    ),
    stdin=h.as_file(h.json_lines),
    grown=st.booleans(),
)  # fmt: skip
@examples()
def test_write(words: list[str], more: list[str], stdin: bytes, grown: bool) -> None:
    edited = ["--sampler", "annealing", *SMALL, "--length", "4"]
    small = [*SMALL[: SMALL.index("--chains")], "--particles", "4"] if grown else edited
    run(["write", *small, *more, *(words or ["-"])], {}, stdin)


@given(text=h.texts, more=options(**WRITING), stdin=h.as_file(h.texts))
@examples()
def test_infill(text: str, more: list[str], stdin: bytes) -> None:
    run(["infill", *SMALL[:-2], *more, text], {}, stdin)


@given(text=h.texts, more=options(**WRITING, similarity=h.models))
@examples()
def test_paraphrase(text: str, more: list[str]) -> None:
    chains = [*SMALL[:-2], "--sampler", "annealing"]
    run(["paraphrase", *chains, "--similarity", "words", *more, text], {})


SAMPLERS = [
    "mh", "annealing", "smc", "importance", "rejection", "ais", "stochastic-beam", "gibbs",
    "mlm-mh",
    "mlm-gibbs", "tempering", "independence", "suffix", "rewrite", "none", "",
]  # fmt: skip


@given(
    more=options(**WRITING | {"sampler": st.sampled_from(SAMPLERS)}, option=h.texts,
    keyword=h.words,
                 length=h.numbers, regex=h.regexes, json_schema=h.paths | st.just("s.json"),
                 masked=h.models, start=h.texts, max_length=h.small, r_hat=h.numbers,
                 checkpoint=h.paths | st.just("run.ckpt"), every=h.numbers, resume=None,
                 plot=h.paths | st.just("x.png")),
    config=st.none() | h.as_file(h.settings), schema=h.as_file(h.schemas), data=st.data(),
)  # fmt: skip
@examples(2)
def test_sample(more: list[str], config: bytes | None, schema: bytes, data, good) -> None:
    weighted = {"smc", "importance", "rejection", "ais", "stochastic-beam"} & set(more)
    small = (
        SMALL[:2]
        if weighted or ({"--regex", "--json-schema"} & set(more) and "--sampler" not in more)
        else SMALL
    )
    files = {"s.json": schema, "run.ckpt": good["run.ckpt"]}
    if data.draw(st.booleans()):
        files["run.ckpt"] = data.draw(h.mutated(good["run.ckpt"]))
    more = [*more, *(["-n", "2"] if "-n" not in more else []), "--max-length", "16"]
    if config is not None:
        files["run.toml"] = config
        more = ["--config", "run.toml", *more]
    run(["sample", *small, *more], files, may=["run.ckpt", "x.png"])


@given(
    schema=h.schemas, regex=st.none() | h.regexes, keyword=st.none() | h.words,
    sampler=st.sampled_from(["smc", "importance"]),
)  # fmt: skip
@examples(0.3)
def test_constraints(schema: str, regex: str | None, keyword: str | None, sampler: str) -> None:
    given = ["--regex", regex] if regex is not None else ["--json-schema", schema]
    more = [] if keyword is None else ["--keyword", keyword]
    run(
        ["sample", *SMALL[:2], "--sampler", sampler, *given, *more, "-n", "2", "--max-length", "8"],
        {},
    )


CONSTRAINTS = st.one_of(
    st.tuples(st.just("--schema"), h.schemas | h.paths | st.just("s.json")),
    st.tuples(st.just("--regex"), h.regexes), st.tuples(st.just("--choice"), h.words),
    st.tuples(st.just("--grammar"), h.paths | st.just("g.lark")),
    st.tuples(st.just("-i"), h.paths | st.just("kb.ergo")),
)  # fmt: skip


@given(
    prompt=h.texts, constraint=CONSTRAINTS, grammar=h.as_file(h.grammars), data=st.data(),
    schema=h.as_file(h.schemas), stdin=h.as_file(h.texts),
    times=st.sampled_from([1, 1, 1, 1, 2, 0]),
    more=options(n=h.small, method=st.sampled_from(["best", "sample", ""]), seed=h.numbers,
                 max_tokens=h.small, chat=None, end=st.sampled_from(["token", "line", "x"]),
                 whitespace=None, alternatives=None, beams=h.small, particles=h.small, json=None,
                 o=h.paths | st.just("kb.ergo"), **MODEL),
)  # fmt: skip
@examples()
def test_generate(
    prompt: str, constraint, grammar: bytes, data, schema: bytes, stdin: bytes, times, more, good
) -> None:
    index = good["plain.ergo"]
    if data.draw(st.booleans()):
        index = data.draw(h.mutated(index))
    small = ["--model", "tiny-causal", "--beams", "2", "--max-tokens", "8"]
    files = {"kb.ergo": index, "g.lark": grammar, "s.json": schema}
    read = b"kb.ergo" in schema + grammar or constraint == ("-i", "kb.ergo")
    may = [] if read else ["kb.ergo"]  # a file like any other, where it is no index of the run
    run(["generate", *small, *times * constraint, *more, "--", prompt], files, stdin, may=may)


@given(
    passage=h.as_file(h.texts), place=st.just("passage") | h.paths, question=h.texts,
    more=options(k=h.numbers, beams=h.small, prompt=h.texts, json=None, o=h.paths,
                 max_length=h.numbers, **MODEL),
)  # fmt: skip
@examples()
def test_read(passage: bytes, place: str, question: str, more: list[str]) -> None:
    small = ["--model", "tiny-causal", "-k", "1", "--beams", "2", "--max-length", "3"]
    run(["read", *small, *more, "--", place, question], {"passage": passage}, passage)


@given(
    model=h.models,
    more=options(check=st.sampled_from(["argmax", ""]), minutes=h.numbers, checkpoint=h.paths,
                 report=h.paths, json=None, device=MODEL["device"], dtype=MODEL["dtype"],
                 threads=h.numbers),
)  # fmt: skip
@examples(0.3)
def test_diagnose(model: str, more: list[str]) -> None:
    run(["diagnose", "--check", "argmax", "--minutes", "0.01", *more, "--", model], {})


LOOKAHEADS = st.sampled_from(["none", "strings", "learned", "auto", ""])
INDEX = st.sampled_from(["kb.ergo", "plain.ergo"])


@given(
    data=st.data(), asked=st.lists(h.texts, min_size=1, max_size=2), stdin=h.as_file(h.texts),
    more=options(k=h.numbers, beams=h.numbers, threshold=h.numbers, lookahead=LOOKAHEADS,
                 anywhere=None, prompt=h.texts, prefixes=h.small, model_probability=None,
                 coverage=h.numbers, temperature=h.numbers, batch_size=h.numbers,
                 limit=h.numbers, json=None,
                 decode=st.sampled_from(["mlm", "beam", "x"]), o=h.paths, i=h.paths, **MODEL),
)  # fmt: skip
@examples()
def test_retrieve(data, asked: list[str], more: list[str], stdin: bytes, good) -> None:
    index = good[data.draw(INDEX)]
    if data.draw(st.booleans()):
        index = data.draw(h.mutated(index))
    small = ["-i", "kb.ergo", "-k", "1", "--beams", "2", "--prefixes", "4"]
    run(["retrieve", *small, *more, "--", *asked], {"kb.ergo": index}, stdin)


@given(
    data=st.data(), asked=h.as_file(h.json_lines),
    more=options(beams=h.small, lookahead=LOOKAHEADS, anywhere=None, prompt=h.texts,
                 model_probability=None, prefixes=h.small, temperature=h.numbers, limit=h.numbers,
                 json=None, plot=h.paths, o=h.paths, i=h.paths, **MODEL),
)  # fmt: skip
@examples()
def test_evaluate(data, asked: bytes, more: list[str], good) -> None:
    made = {"out.jsonl", "out.hits.jsonl", "out.run.toml"}
    files = {name: good[name] for name in data.draw(st.sets(st.sampled_from(sorted(made))))}
    for name in data.draw(st.sets(st.sampled_from(sorted(files)))) if files else ():
        files[name] = data.draw(h.mutated(files[name]) | h.as_file(h.json_lines))
    files["questions.jsonl"] = data.draw(st.sampled_from([asked, ASKED.encode()]))
    files["kb.ergo"] = good["kb.ergo"]
    small = ["-i", "kb.ergo", "-o", "out.jsonl", "--beams", "2"]
    run(["evaluate", *small, *more, "--", "questions.jsonl"], files, may=["out."])


@given(
    data=st.data(), lines=h.as_file(h.tables), command=st.sampled_from(["build", "add", "remove"]),
    more=options(columns=h.texts | st.just("key"), tokenizer=h.models, strict=None),
    target=st.just("kb.ergo") | h.paths,
)  # fmt: skip
@examples()
def test_index_changes(data, lines: bytes, command: str, more, target: str, good) -> None:
    index = good["plain.ergo"]
    if data.draw(st.booleans()):
        index = data.draw(h.mutated(index))
    places = ["-o", target, "--", "lines"] if command == "build" else ["--", target, "lines"]
    run(["index", command, *more, *places], {"lines": lines, "kb.ergo": index}, may=["kb.ergo"])


@given(
    data=st.data(), command=st.sampled_from(["info", "get", "verify"]), prefix=h.texts,
    target=st.just("kb.ergo") | st.just("kb.ergo") | h.paths,
    more=options(json=None, n=h.numbers, tokenizer=h.models),
)  # fmt: skip
@examples(2)
def test_index_looks(data, command: str, prefix: str, target: str, more, good) -> None:
    index = data.draw(h.mutated(good[data.draw(INDEX)]))
    after = [target, prefix] if command == "get" else [target]
    run(
        ["index", command, *(more if command == "get" else more[:0]), "--", *after],
        {"kb.ergo": index},
    )


@given(
    asked=h.as_file(h.json_lines), templates=h.as_file(h.tables), data=st.data(),
    start=st.sampled_from(["new", "tiny-retriever"]),
    more=options(steps=st.just("1"), batch_size=h.small, learning_rate=h.numbers, seed=h.numbers,
                 templated=h.numbers, every=h.numbers, resume=None, start=h.models,
                 lookahead_learning_rate=h.numbers, patience=h.numbers, minutes=h.numbers,
                 only=h.words, o=h.paths, i=h.paths, device=h.texts, threads=h.numbers,
                 synonyms=h.paths, x=h.texts),
)  # fmt: skip
@examples(0.4)
def test_train(asked: bytes, templates: bytes, start: str, data, more, good) -> None:
    # Often good ones, or nothing but the reading of files would be tried.
    two = ASKED + ASKED.replace("How many", "And how many").replace('"id": 0', '"id": 1')
    either = st.sampled_from([asked, two.encode()])
    files = {"questions.jsonl": data.draw(either), "dev.jsonl": data.draw(either),
             "templates.tsv": data.draw(st.sampled_from([templates, TEMPLATES.encode()])),
             "kb.ergo": good["kb.ergo"]}  # fmt: skip
    small = ["-i", "kb.ergo", "-o", "made", "--dev", "dev.jsonl", "--templates", "templates.tsv",
             "--start", start, "--steps", "1", "--lookahead-steps", "1", "--batch-size", "1",
             "--width", "8", "--lookahead-width", "8", "--layers", "1",
             "--dev-limit", "1"]  # fmt: skip
    small += data.draw(st.sampled_from([[], ["--only", "model"], ["--only", "lookahead"]]))
    run(["train", *small, *more, "--", "questions.jsonl"], files)


FROM_FILES = [
    "write", "infill", "paraphrase", "generate", "retrieve", "evaluate", "calibrate", "train",
    "read", "diagnose", "index build",
]  # fmt: skip
NAMES = ["n", "k", "json", "words", "without", "index", "templates", "output", "strict", *h.TOML]


@given(
    command=st.sampled_from(FROM_FILES),
    file=h.as_file(
        h.settings
        | st.lists(st.tuples(st.sampled_from(NAMES), h.literals), max_size=3).map(
            lambda lines: "\n".join(f"{name} = {value}" for name, value in lines)
        )
    ),
    more=options(n=h.numbers, model=h.models, config=h.paths),
)
@examples()
def test_files_of_options(command: str, file: bytes, more: list[str]) -> None:
    arguments = [*command.split(), "--config", "run.toml", *more, "--show-config"]
    run(arguments, {"run.toml": file})


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """A port that nobody else can have, so that no server ever starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@given(
    data=st.data(), token=h.as_file(h.texts),
    more=options(retriever=h.models, host=h.texts | st.just("localhost"), queue=h.numbers,
                 token_file=h.paths | st.just("token"), max_seconds=h.numbers, i=h.paths,
                 **MODEL),
)  # fmt: skip
@examples(0.5)
def test_serve(data, token: bytes, more: list[str], good, taken: str) -> None:
    index = data.draw(h.mutated(good["kb.ergo"]) | st.just(good["kb.ergo"]))
    small = ["--model", "tiny-causal", "-i", "kb.ergo", *more, "--port", taken]
    run(["serve", *small], {"kb.ergo": index, "token": token})


MOONS = ["How many moons has Mars?"]
OF_MODELS = {
    "tiny-causal": ["write", "--particles", "2", "--max-length", "4", "dog"],
    "tiny-masked": [
        "retrieve",
        "-i",
        "kb.ergo",
        "--decode",
        "mlm",
        "-k",
        "1",
        "--beams",
        "1",
        *MOONS,
    ],
    "tiny-retriever": [
        "retrieve",
        "-i",
        "kb.ergo",
        "-k",
        "2",
        "--beams",
        "2",
        "--prefixes",
        "4",
        *MOONS,
    ],
}


@given(data=st.data(), name=st.sampled_from(sorted(OF_MODELS)))
@examples(0.5)
def test_model_folders(data, name: str, good) -> None:
    """One file of the folder is broken; its weights are linked, or broken."""
    source, command = ROOT / "ergotext" / "models" / name, OF_MODELS[name]
    broken = data.draw(st.sampled_from(sorted(p.name for p in source.iterdir() if p.is_file())))
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "model").mkdir()
        for place in source.iterdir():
            (folder / "model" / place.name).symlink_to(place)
        (folder / "model" / broken).unlink()
        if data.draw(st.integers(0, 5)):
            text = (source / broken).read_bytes()
            if broken.endswith(".json") and data.draw(st.booleans()):
                text = json.dumps(data.draw(h.altered(json.loads(text)))).encode()
            else:
                text = data.draw(h.mutated(text))
            (folder / "model" / broken).write_bytes(text)
        (folder / "kb.ergo").write_bytes(good["kb.ergo"])
        check([*command[:1], "--model", "model", *command[1:]], folder)
