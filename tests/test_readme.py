"""The README's commands and snippets, and the examples, as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import DOCS, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands(pattern: str, *pages: str) -> list[str]:
    """The commands in console blocks of the README, or of pages of docs/, that match."""
    texts = [README if page == "README" else (DOCS / f"{page}.md").read_text("utf-8")
             for page in pages]  # fmt: skip
    lines = [
        line for text in texts for block in blocks(text, "console") for line in block.split("\n")
    ]
    return [line[2:] for line in lines if line.startswith("$ ") and re.search(pattern, line)]


COMMANDS = commands("ergotext write (?!--config)", "README", "write")
INDEX = commands("ergotext index", "index-files")
ANSWERS = [
    *commands("ergotext retrieve", "README"), *commands("--json .*长江", "retrieve"),
    *commands(r"evaluate examples/questions\.jsonl", "evaluation"),
]  # fmt: skip
RUNS = [
    *commands(r"ergotext infill .*\{1,3\}", "infill"), *commands("paraphrase", "paraphrase")[:2],
    *commands("ergotext sample (?!.*--report)", "running"),
]  # fmt: skip


def shell(command: str, folder: Path = ROOT, enough_time: bool = True) -> str:
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**os.environ, "PATH": binaries},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (enough_time and complaints(done.stderr)), done.stderr
    return done.stdout


def complaints(stderr: str) -> list[str]:
    """What a command says against its own result, or a library against us."""
    said = re.compile(r"^(warning:|ergotext:|Traceback)|Warning\b|^\[transformers\]")
    return [line for line in stderr.splitlines() if said.search(line)]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str) -> None:
    """As printed, but for fewer particles."""
    out = shell(f"{command} --particles 32")
    words = {"summer": 3, "dog": 5, "dinner": 3}
    for word, count in words.items():
        if f"write {word}" in command:
            assert len([line for line in out.splitlines() if word in line]) == count
    if "--json" in command:
        assert json.loads(out)["keywords"] == ["coffee", "morning"]


def test_index_commands_run(tmp_path: Path) -> None:
    """As printed, one behind the other."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    build, mercury, apple, add, info, verify = (shell(command, tmp_path) for command in INDEX)
    lines = (ROOT / "examples" / "facts.tsv").read_text(encoding="utf-8").splitlines()
    keys = len({line.rpartition("\t")[0] for line in lines})
    assert f"{keys:,} keys" in build and f"{len(lines):,} of {len(lines):,} lines" in build
    assert f"{keys + 1:,} keys" in add
    found = mercury.splitlines()
    assert set(found) == {line for line in lines if line.startswith("Mercury")}
    assert "Mercury（element）\tatomic number\t80" in found
    assert "Mercury（planet）\tmoons\t0" in found
    objects = [json.loads(line)["objects"] for line in apple.splitlines()]
    assert ["史蒂夫·乔布斯", "史蒂夫·沃兹尼亚克"] in objects and len(objects) == 3
    assert "subject,predicate,object" in info and "is intact" in verify


def test_answers_run(tmp_path: Path) -> None:
    """As printed, one behind the other; every one of the questions printed is answered rightly."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    build, three, one, scored = (shell(command, tmp_path) for command in (INDEX[0], *ANSWERS))
    assert "facts.ergo" in build
    assert " ".join(three.split()) in " ".join(README.split()), "the output in the README"
    lines = [line.split("\t") for line in three.splitlines() if "\t" in line]
    assert [line[-1] for line in lines] == [
        "Pablo Picasso", "8849", "史蒂夫·乔布斯 | 史蒂夫·沃兹尼亚克",
    ]  # fmt: skip
    told = json.loads(one)
    first = told["results"][0]
    assert told["question"] == "长江有多长？" and first["values"] == ["约6300公里"]
    assert first["fields"] == {"subject": "长江", "predicate": "长度"}
    assert first["log_prob"] < 0 and 0.5 < first["probability"] <= 1
    (score,) = re.findall(r"^EMF1 ([\d.]+)$", scored, re.MULTILINE)
    assert float(score) > 80


@pytest.mark.slow
def test_runs_run(tmp_path: Path) -> None:
    """As printed, but for smaller budgets."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    infill, paraphrase, several, weighted, chains = RUNS
    out = shell(f"{infill} --particles 16", tmp_path)
    filled = [line for line in out.splitlines() if re.match(r"The \S.* sat on the \S.*\.", line)]
    assert 1 <= len(filled) <= 5
    others = shell(f"{paraphrase} --particles 16", tmp_path)
    assert "[similarity 0." in others and "(smc, 16 particles" in others
    reworded = map(json.loads, shell(f"{several} --particles 16", tmp_path).splitlines())
    assert [one["paraphrase_of"] for one in reworded] == [
        "The shop is closed today.", "We met in Berlin.",
    ]  # fmt: skip
    texts = [json.loads(line)["text"] for line in shell(weighted, tmp_path).splitlines()]
    assert len(texts) == 3
    assert all(re.fullmatch(r"The (cat|dog) (sat|ran) [a-z ,]+\.", text) for text in texts)
    shell(f"{chains} --chains 2 --steps 8", tmp_path, enough_time=False)  # chains so short warn
    assert {p.name for p in tmp_path.iterdir()} == {
        "examples", "out.jsonl", "out.run.toml", "run.ckpt",
    }  # fmt: skip


GENERATED = commands("^. ergotext generate", "README")


@pytest.mark.slow
def test_generated_as_printed() -> None:
    """As printed: the right capital, and a person of the schema."""
    capital, person = map(shell, GENERATED)
    assert capital.startswith("Paris  [p 0.9") and "London 0." in capital
    told = json.loads(person.partition("  [")[0])
    assert [*told] == ["name", "age", "mood"] and 0 <= told["age"] <= 120


PAGES = {
    "generate": "sunny",
    "running": "R-hat", "diagnostics": "R-hat", "infill": "Sample(", "paraphrase": "Sample(",
    "search": "True True", "masked": "pseudo-likelihood", "gumbel": "", "weighted": "tensor(",
    "evaluation": "'EMF1': 70.0, 'EM_All': 50.0",
    "read": "False",
    "retrieve": "France",
    "extending": "the energy of (3,) is 1, and 2 read alone",
}  # fmt: skip
"""Pages whose first snippet stands for itself, and what it prints."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_pages_run(page: str, tmp_path: Path) -> None:
    """As printed, but for a smaller budget."""
    code = blocks((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), "python")[0]
    script = tmp_path / "page.py"
    script.write_text(re.sub(r"chains=\d+, steps=\d+", "chains=2, steps=12", code))
    assert PAGES[page] in shell(f"{sys.executable} {script}")


def test_complaints_are_seen() -> None:
    fine = (
        "(smc, 64 draws, ESS 40.6, 15.8 s, seed 0)\n(sampler smc, as it writes towards the regex)\n"
    )
    assert not complaints(fine)
    for line in ("warning: k-hat is 1.1", "x.py:3: FutureWarning: gone", "[transformers] `old` is"):
        assert complaints(fine + line + "\n") == [line]


def test_there_are_commands_to_run() -> None:
    found = [len(one) for one in (COMMANDS, INDEX, ANSWERS, RUNS, GENERATED)]
    assert found == [6, 6, 3, 5, 2] and "make demo" in README and "make test" in README


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(blocks(README, "python"))))
def test_snippets_run(number: int, tmp_path: Path) -> None:
    """As printed, but for a smaller budget."""
    code = blocks(README, "python")[number]
    smaller = re.sub(r"chains=\d+, steps=\d+", "chains=2, steps=12", code)
    assert smaller != code or 'sampler="smc"' in code  # particles write in seconds
    script = tmp_path / "snippet.py"
    script.write_text(smaller)
    assert shell(f"{sys.executable} {script}").strip()


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted(p.name for p in (ROOT / "examples").glob("*.py")))
def test_examples_run(example: str) -> None:
    assert shell(f"{sys.executable} examples/{example}").strip()


def test_chinese_readme_has_the_same_commands_and_snippet() -> None:
    assert list(blocks(CHINESE, "console")) == blocks(README, "console")
    assert blocks(CHINESE, "python") == blocks(README, "python")


def test_chinese_readme_shows_chinese_sentences() -> None:
    (shown,) = blocks(CHINESE, "text")
    command, *sentences = shown.splitlines()
    words = re.findall("[一-鿿]+", command)
    assert len(words) == 2 and len(sentences) == 3
    assert all(re.match(r"[^。！？]+[。！？]  \[log p -", sentence) for sentence in sentences)
    assert all(word in sentence for word in words for sentence in sentences)


def test_links_lead_somewhere() -> None:
    for text in (README, CHINESE):
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (ROOT / target).is_file(), target


def test_number_of_faults_is_the_one_told() -> None:
    from tests.lm.test_faults import FAULTS as OF_READING
    from tests.samplers.chains.test_faults import FAULTS

    assert len(FAULTS) + len(OF_READING) == 32
    assert "thirty-two known faults" in README and "三十二个已知的错误" in CHINESE
