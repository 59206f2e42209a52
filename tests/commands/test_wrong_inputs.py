"""A wrong input is said at once: before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

KB = "Mercury\tplanet\tMessenger\n"
WRONG: dict[str, tuple[list[str], str]] = {
    "words": (["write", "dog", "--words", "15-8"], "the smaller number first"),
    "mean length": (["write", "dog", "--length", "5"], "a mean length goes with"),
    "long": (["write", "a", "--sampler", "mh", "--length", "50"], "above max_length (40)"),
    "both": (["write", "dog", "--without", "dog"], "both demanded and excluded"),
    "budget": (["write", "dog", "--steps", "9"], "steps goes with the sampler annealing"),
    "empty": (["write", ""], "a keyword is empty"),
    "long dash": (["write", "a", "—model", "x"], "'—model' begins with another dash"),
    "braces": (["infill", "a ___｛1,3｝ b"], "has an invalid length"),
    "half": (["write", "a|"], "'a|' has an empty alternative: put a word on both sides"),
    "misspelt model": (["write", "a", "--model", "smolm2"], "did you mean 'smollm2'?"),
    "misspelt reader": (["retrieve", "-i", "kb.ergo", "--model", "tiny-retreiver", "Who?"],
                        "did you mean 'tiny-retriever'?"),
    "no lines": (["index", "add", "kb.ergo", "empty.tsv"], "empty.tsv is empty: give a file"),
    "sets": (["write", "-"], "no keyword sets on standard input"),
    "folder": (["write", "dog", "--model", "./none"], "the folder ./none does not exist"),
    "gguf": (["write", "dog", "--model", "none.gguf"], "the file none.gguf does not exist"),
    "device": (["write", "dog", "--device", "abacus"], "unknown device 'abacus'"),
    "blank": (["infill", "no blank"], "there is no blank in 'no blank'"),
    "lines": (["infill", "-"], "no text on standard input"),
    "no words": (["paraphrase", "  "], "no words to paraphrase"),
    "long text": (["paraphrase", "word " * 61], "at most 60 can be paraphrased at a time"),
    "similar": (["paraphrase", "a dog", "--min-similarity", "2"], "must be from 0 to 1, got 2"),
    "encoder": (["paraphrase", "a dog", "--similarity", "./none"], "no sentence encoder './none'"),
    "sampler": (["sample", "--sampler", "smd"], "did you mean 'smc'?"),
    "regex": (["sample", "--regex", "("], "'(' cannot be read: unclosed group"),
    "schema": (["sample", "--json-schema", "none.json"], "cannot read the schema none.json"),
    "chains": (["sample", "--sampler", "smc", "--plot", "x.png"], "smc runs none"),
    "config": (["sample", "--config", "none.toml"], "cannot read none.toml"),
    "index": (["retrieve", "-i", "none.ergo", "Who?"], "cannot read the index none.ergo"),
    "asked": (["retrieve", "-i", "kb.ergo", "-"], "no questions on standard input"),
    "data": (["evaluate", "none", "-i", "kb.ergo", "-o", "p.jsonl"], "the questions none"),
    "scored": (["evaluate", "none", "--predictions", "none"], "the questions none"),
    "calibrate": (["calibrate", "none", "-i", "kb.ergo"], "the questions none"),
    "few": (["calibrate", "q.jsonl", "-i", "kb.ergo"], "give 49 more"),
    "passage": (["read", "none.txt", "Who?"], "cannot read none.txt"),
    "train": (
        ["train", "none", "--dev", "q.jsonl", "-i", "kb.ergo", "-o", "m"], "the questions none"
    ),
    "dev": (
        ["train", "q.jsonl", "--dev", "none", "-i", "kb.ergo", "-o", "m"], "the questions none"
    ),
    "synonyms": (
        ["train", "q.jsonl", "--synonyms", "none", "-i", "kb.ergo", "-o", "m"], "synonyms none"
    ),
    "diagnose": (["diagnose", "./none"], "the folder ./none does not exist"),
    "no constraint": (["generate", "x"], "give one of --schema, --regex, --choice, "),
    "constraints": (["generate", "x", "--regex", "a", "--choice", "b"], "got --regex and --choice"),
    "impossible": (["generate", "x", "--schema", '{"enum": []}'], "no value satisfies the schema"),
    "bad grammar": (["generate", "x", "--grammar", "kb.tsv"], "the grammar cannot be read"),
    "keys": (["generate", "x", "--index", "none.ergo"], "cannot read the index none.ergo"),
    "prompts": (["generate", "-", "--regex", "a"], "no text on standard input"),
    "no choice": (["write", "dog", "--sampler", "smd"], "'mh'; did you mean 'smc'?"),
    "no number": (["write", "dog", "-n", "0"], "'-n': must be at least 1, got '0'"),
}  # fmt: skip
SCRIPT = """
import io, json, sys
fault, wrong = json.loads(sys.stdin.read())
from ergotext.cli import main
from tests.faulty import load_with_fault
if fault:
    load_with_fault(*fault)
    sys.modules["ergotext." + fault[0]] = sys.modules["faulty." + fault[0]]
told = {}
for name, arguments in wrong.items():
    sys.stdin = io.TextIOWrapper(io.BytesIO(b""))
    sys.stderr = io.StringIO()
    code = main(arguments)
    heavy = [one for one in ("torch", "transformers") if one in sys.modules]
    told[name] = [code, sys.stderr.getvalue(), heavy]
    if heavy:
        break
print(json.dumps(told))
"""


def check_that_errors_come_at_once(folder: Path, fault: tuple[str, tuple[str, str]] | None) -> None:
    """All in one process, which stops where torch comes in."""
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    (folder / "empty.tsv").write_text("", encoding="utf-8")
    question = {"id": 0, "question": "What is Mercury?", "answer": "Mercury ||| planet ||| x"}
    (folder / "q.jsonl").write_text(json.dumps(question), encoding="utf-8")
    given = {"build": ["index", "build", "kb.tsv", "-o", "kb.ergo"]}
    given |= {name: arguments for name, (arguments, _) in WRONG.items()}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, text=True, capture_output=True, check=True,
        input=json.dumps([fault, given]), env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    for name, (code, err, heavy) in told.items():
        assert not heavy, f"{name}: {heavy} imported before it was said"
        if name == "build":
            continue
        assert code == 2 and WRONG[name][1] in err, (name, err)
        assert err.startswith("ergotext: ") and err.count("\n") == 1, (name, err)
        assert "Value error" not in err and "Input should" not in err
    assert told.keys() == {"build", *WRONG}


def test_errors_come_at_once(tmp_path: Path) -> None:
    check_that_errors_come_at_once(tmp_path, None)


def test_an_early_import_of_torch_is_caught(tmp_path: Path) -> None:
    line = "from ergotext.samplers.options import check_whole\n"
    with pytest.raises(AssertionError, match="imported before it was said"):
        check_that_errors_come_at_once(tmp_path, ("tasks.budget", (line, f"{line}import torch\n")))
