"""``ergotext sample`` in process on a small model: what comes out, is kept, is refused."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.samplers import SAMPLERS
from ergotext.samplers.run import Trace
from ergotext.support.words import holds_words
from ergotext.tasks import plot as plots
from ergotext.tasks.config import as_toml, option


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], model_folder: Path):
    def run(*arguments: str) -> tuple[int, str, str]:
        model = [] if "--model" in arguments else ["--model", str(model_folder)]
        code = main(["sample", *model, *arguments])
        return code, *capsys.readouterr()

    return run


SHORT = ("--chains", "2", "--steps", "12", "-n", "4")


def records(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_chains(call) -> None:
    asked = [*SHORT, "--sampler", "mh", "--keyword", "summer", "--keyword", "dog", "--length", "6"]
    code, out, err = call(*asked)
    assert code == 0 and len(records(out)) == 4
    for one in records(out):
        assert list(one) == ["text", "log_prob", "energy", "terms", "chain", "step"]
        assert one["text"].index("summer") < one["text"].index("dog") and one["step"] >= 6
        assert set(one["terms"]) == {"fluency", "length", "keywords"}
        assert sum(one["terms"].values()) == pytest.approx(one["energy"])
    how, *said = err.splitlines()
    assert "mh, 2 chains × 12 steps" in how and "accepted" in how
    assert said and all(line.startswith("warning: ") for line in said)
    assert call(*asked)[1] == out


@pytest.mark.parametrize("sampler", ["importance", "smc"])
def test_weighted(call, sampler: str) -> None:
    code, out, err = call("--sampler", sampler, "-n", "30", "--regex", "[ab]{1,3}")
    assert code == 0 and 0 < len(records(out)) <= 30
    assert all(re.fullmatch("[ab]{1,3}", one["text"]) for one in records(out))
    assert all("log_weight" in one and "chain" not in one for one in records(out))
    assert "log Z" in err and "Warning" not in err


def test_keywords_and_schema_under_a_weighted_sampler(call) -> None:
    schema = '{"enum": ["summer", "dog"]}'
    code, out, _ = call("--sampler", "smc", "-n", "10", "--json-schema", schema)
    assert code == 0 and {json.loads(one["text"]) for one in records(out)} <= {"summer", "dog"}
    code, out, _ = call("--sampler", "smc", "-n", "80", "--keyword", "海", "--max-length", "30")
    assert code == 0 and records(out) and all("海" in one["text"] for one in records(out))


@pytest.mark.parametrize("sampler", ["gibbs", "mlm-gibbs", "mlm-mh"])
def test_chains_that_keep_the_length(call, sampler: str) -> None:
    start = "The sun went down behind the hill."
    code, out, err = call(
        "--model", "tiny-causal", "--masked", "tiny-masked", "--sampler", sampler, "--start",
        start, "--steps", "30", "--chains", "2", "-n", "4",
    )  # fmt: skip
    assert code == 0 and err.startswith(f"({sampler}, 2 chains × 30 steps")
    lines = records(out)
    assert len(lines) == 4 and any(line["text"] != start for line in lines)
    assert all("fluency" in line["terms"] for line in lines)


def test_an_optimiser_shows_its_best(call) -> None:
    code, out, err = call(*SHORT, "--sampler", "annealing", "--option", "hot=2.0")
    energies = [one["energy"] for one in records(out)]
    assert code == 0 and energies == sorted(energies) and "warning" not in err


@pytest.mark.parametrize(
    ("more", "sampler"),
    [
        (["--regex", "[ab]{1,3}", "-n", "20"], "smc"),
        (["--json-schema", '{"enum": [1, 2]}', "-n", "20"], "smc"),
        (["--regex", "[ab]{1,3}", "--steps", "4", "-n", "2"], "mh"),
        (["--regex", "[ab]{1,3}", "--option", "temperature=0.5", "-n", "2"], "mh"),
        (["--regex", "[ab]{1,3}", "--sampler", "importance", "-n", "20"], None),
        (["--steps", "4", "-n", "2"], None),
        (["--keyword", "dog", "--steps", "4", "-n", "2"], "mh"),
        (["--keyword", "dog", "-n", "20"], "smc"),
    ],
)
def test_the_sampler_fits_the_constraint(call, more: list[str], sampler: str | None) -> None:
    """What writes towards a regex or schema, unless chains are asked for; and it is said."""
    code, out, err = call(*more)
    assert code == 0 and records(out), err
    first, *rest = err.splitlines()
    if sampler is None:
        assert "(sampler " not in err
    else:
        assert first.startswith(f"(sampler {sampler}, because ") and rest[0].startswith(
            f"({sampler}, "
        )
        assert (
            sampler == "smc" or "steps needs chains" in first or "temperature needs chains" in first
        )


def test_texts_beyond_the_window_are_found_before_the_start(call, monkeypatch) -> None:
    monkeypatch.setattr(Trace, "record", None)
    for more in ([], ["--sampler", "smc", "--regex", "a+"], ["--context", "A dog ran."]):
        code, out, err = call("--max-length", "96", *more)
        assert code == 2 and out == "" and "context window leaves" in err, err
        assert ("leaves only 9" in err) and err.count("\n") == 1
    code, _, err = call("--model", "tiny-causal", "--masked", "tiny-masked", "--max-length", "200")
    assert code == 2 and "context window leaves" in err


CONFIG = """
sampler = "mh"
chains = 3
steps = 10
n = 5
[energy]
length = {mean = 5, sd = 2.0, weight = 0.5}
keywords = {words = ["dog", "summer"], any_order = true}
custom = ["mine.py:commas"]
[options]
temperature = 0.9
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "def commas(texts):\n    return [text.count(',') + 0.5 for text in texts]\n"
        "def broken(texts):\n    return [float('nan') for text in texts]\n"
    )
    Path("run.toml").write_text(CONFIG)
    return Path("run.toml")


def test_flag_before_file_before_default(call, config: Path) -> None:
    code, out, err = call("--config", "run.toml", "--steps", "8", "--option", "temperature=0.7")
    assert code == 0 and len(records(out)) == 5 and "3 chains × 8 steps" in err
    assert set(records(out)[0]["terms"]) == {"fluency", "length", "keywords", "commas"}
    assert all("dog" in one["text"] and one["terms"]["commas"] >= 0.5 for one in records(out))
    assert "seed 0" in err


@pytest.mark.parametrize("sampler", ["smc", "mh"])
def test_keywords_with_alternatives_and_limits(call, config: Path, sampler: str) -> None:
    Path("run.toml").write_text(
        f'sampler = "{sampler}"\nn = 4\nmax_length = 10\n[energy.keywords]\n'
        'words = [["dog", "dogs"], "summer"]\nany_order = true\nwithout = ["the"]\n'
        "words_between = [3, 5]\n"
    )
    code, _, err = call("--config", "run.toml", "-o", "out.jsonl")
    assert code == 0, err
    found = records(Path("out.jsonl").read_text())
    assert set(found[0]["terms"]) == {"fluency", "keywords"}
    asked = [("dog", "dogs"), "summer"], True, ["the"], (3, 5)
    assert found and all(holds_words(one["text"], *asked) for one in found)
    assert call("--config", "out.run.toml", "-o", "again.jsonl")[0] == 0
    assert Path("again.jsonl").read_text() == Path("out.jsonl").read_text()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("words = [[]]", "has no alternatives"),
        ("words = [3]", "must be a list of texts"),
        ('words = "dog"', "must be a list of texts"),
        ("words = [[3]]", "must be one text"),
        ('words = ["dog"]\nwithout = "cat"', "excluded words must be a list"),
        ('words = ["dog"]\nwords_between = "8-15"', "two whole numbers"),
        ('words = ["dog"]\nwords_between = [5, 3]', "smaller number first"),
        ('words = ["dog", "sun"]\nwords_between = [0, 1]', "2 keywords cannot stand in 1 word"),
        ('words = ["hot dog"]\nwithout = ["dog"]', "contains the excluded 'dog'"),
        ("words = []", "no keywords given"),
    ],
)
def test_keywords_that_cannot_be(call, config: Path, keywords: str, message: str) -> None:
    Path("run.toml").write_text(f"[energy.keywords]\n{keywords}\n")
    code, _, err = call("--config", "run.toml")
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1


def test_what_a_run_was_is_saved_and_runs_again(call, config: Path) -> None:
    code, out, _ = call("--config", "run.toml", "-o", "out.jsonl", "--seed", "3")
    assert code == 0 and out == ""
    told = tomllib.loads(Path("out.run.toml").read_text())
    assert told["seed"] == 3 and told["steps"] == 10 and told["energy"]["fluency"] == 1.0
    assert told["options"] == {"temperature": 0.9} and told["max_length"] == 40
    assert told["versions"]["ergotext"] and told["versions"]["torch"]
    result = told["result"]
    assert result["kind"] == "invariant" and result["stopped"] == "steps" and result["warnings"]
    assert {"r_hat", "ess_bulk", "acceptance", "mcse"} <= set(result)
    before = Path("out.jsonl").read_text()
    assert call("--config", "out.run.toml", "-o", "again.jsonl")[0] == 0
    assert Path("again.jsonl").read_text() == before
    weighted = ("--sampler", "importance", "-n", "20", "-o", "w.jsonl", "--regex", "[ab]+")
    assert call(*weighted)[0] == 0
    told = tomllib.loads(Path("w.run.toml").read_text())
    assert told["n"] == 20 and {"log_z", "log_z_stderr", "ess", "k_hat"} <= set(told["result"])


def test_a_checkpoint_is_gone_on_from(call, config: Path) -> None:
    same = ("--config", "run.toml", "--every", "4", "--checkpoint")
    code, whole, _ = call(*same, "whole", "--steps", "16")
    assert code == 0
    assert call(*same, "part", "--steps", "8")[0] == 0
    code, out, err = call(*same, "part", "--steps", "16", "--resume")
    assert code == 0 and out == whole and "3 chains × 16 steps" in err


def test_what_a_kept_run_was_runs_again_as_it_is(call, config: Path) -> None:
    """To the last digit, though nothing is kept the second time: the models forget all the same."""
    kept = ("--every", "3", "--checkpoint", "kept", "--threads", "1")
    assert call("--config", "run.toml", *kept, "-o", "out.jsonl")[0] == 0
    told = tomllib.loads(Path("out.run.toml").read_text())
    assert told["threads"] == 1 and told["every"] == 3 and "checkpoint" not in told
    assert told["result"]["checkpoint"] == "kept"
    code, _, err = call("--config", "out.run.toml", "-o", "again.jsonl")
    assert code == 0, err
    assert Path("again.jsonl").read_text() == Path("out.jsonl").read_text()
    again = tomllib.loads(Path("again.run.toml").read_text())
    for told_of in (told, again):
        del told_of["result"]
    assert again == told


def test_the_schema_of_a_kept_run_is_compared_by_what_is_in_it(call, config: Path) -> None:
    Path("s.json").write_text('{"enum": ["ab", "cd"]}')
    same = (*SHORT, "--checkpoint", "kept", "--json-schema", "s.json")
    assert call(*same)[0] == 0
    assert call(*same, "--resume")[0] == 0
    Path("s.json").write_text('{"enum": ["ab", "cd", "e"]}')
    code, _, err = call(*same, "--resume")
    assert code == 1 and "is from another run: schema was " in err and err.count("\n") == 1


OWN = """import json

def late(texts):
    return [helped(text) for text in texts]

def helped(text):
    if text:
        raise ValueError("no\\nsuch text")
    return 1.0

def inner(texts):
    return json.loads("{")

def leaves(texts):
    raise SystemExit(3)
"""


@pytest.mark.parametrize("sampler", ["mh", "smc"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("late", "late of own.py failed in line 8: ValueError: no such text"),
        ("inner", "in line 12: JSONDecodeError: "),
        ("leaves", "in line 15: SystemExit: 3"),
    ],
)
def test_what_goes_wrong_in_code_of_ones_own_is_told(
    call, config: Path, name: str, message: str, sampler: str
) -> None:
    Path("own.py").write_text(OWN)
    Path("own.toml").write_text(f'[energy]\ncustom = ["own.py:{name}"]')
    Path("out.jsonl").write_text("old")
    code, out, err = call("--config", "own.toml", "--sampler", sampler, "-o", "out.jsonl")
    assert code == 1 and out == "" and err.count("\n") == 1, err
    assert err.startswith("ergotext: ") and message in err
    assert Path("out.jsonl").read_text() == "old"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\ny = x / 0\n", "own.py failed in line 2: ZeroDivisionError"),
        ("x = 1\n\ndef f(:\n", "in line 3: SyntaxError"),
        ("raise SystemExit", "in line 1: SystemExit"),
    ],
)
def test_code_of_ones_own_that_does_not_run(call, config: Path, code: str, message: str) -> None:
    Path("own.py").write_text(code)
    Path("own.toml").write_text('[energy]\ncustom = ["own.py:f"]')
    exit_code, out, err = call("--config", "own.toml")
    assert exit_code == 2 and out == "" and err.count("\n") == 1 and message in err, err


def test_ctrl_c_keeps_what_was_found(call, config: Path, monkeypatch) -> None:
    real = Trace.record

    def record(trace, *about):
        if len(trace.states) == 7:
            raise KeyboardInterrupt
        real(trace, *about)

    monkeypatch.setattr(Trace, "record", record)
    code, _, err = call("--config", "run.toml", "-o", "out.jsonl", "--steps", "1000")
    assert code == 130 and "interrupted; the results so far are kept" in err
    assert len(records(Path("out.jsonl").read_text())) == 5
    assert tomllib.loads(Path("out.run.toml").read_text())["result"]["stopped"] == "interrupt"


def test_a_plot_is_drawn(call, tmp_path: Path) -> None:
    target = tmp_path / "trace.png"
    assert call(*SHORT, "--plot", str(target))[0] == 0
    assert target.read_bytes().startswith(b"\x89PNG") and target.stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "nothere.toml"], "cannot read nothere.toml"),
        (["--config", "bad.toml"], "not TOML"),
        (["--config", "unknown.toml"], "unknown name 'stepz'"),
        (["--config", "type.toml"], "steps must be an integer, got 'many'"),
        (["--config", "threads.toml"], "threads must be at least 1, got 0"),
        (["--config", "term.toml"], "[energy]: unknown name 'rhyme'"),
        (["--config", "mean.toml"], "length must be a mean"),
        (["--config", "words.toml"], "keywords must be a list"),
        (["--config", "code.toml"], "mine.py:nothing"),
        (["--config", "file.toml"], "no Python file"),
        (["--sampler", "gibs"], "no sampler 'gibs'"),
        (["--option", "temperature=0"], "positive"),
        (["--option", "temperature=-1.5"], "positive"),
        (["--option", "temperature"], "NAME=VALUE"),
        (["--option", "heat=3"], "has no option heat"),
        (["--regex", "a("], "cannot be read"),
        (["--regex", "[a&&b]"], "no text"),
        (["--json-schema", "nothere.json"], "cannot read the schema nothere.json"),
        (["--json-schema", "{nothing}"], "not valid JSON"),
        (["--masked", "tiny-causal", "--sampler", "mlm-mh"], "is not a masked language model"),
        (
            ["--model", "tiny-causal", "--masked", "tiny-masked", "--sampler", "mlm-mh"],
            "give texts of the wanted length",
        ),
        (["--sampler", "smc", "--start", "The sun"], "drop start"),
        (["--resume"], "needs a checkpoint"),
        (["--config", "good.toml", "-o", "good.toml"], "is used twice"),
        (["--checkpoint", "new.ckpt", "-o", "new.ckpt"], "is used twice"),
        (["--plot", "new.png", "-o", "new.png"], "is used twice"),
        (["--config", "good.run.toml", "-o", "good.txt"], "is used twice"),
        (["--option", "seed=3"], "seed is not a sampler option"),
        (["--option", "temperature='hot'"], "cannot make the sampler"),
        (["--sampler", "smc", "--option", "resampling='residual'"], "no resampling scheme"),
        (["--option", "moves=3"], "cannot make the sampler"),
        (["--sampler", "ais", "--option", "levels=2.5"], "at least one level"),
        (["--checkpoint", "mine.py"], "already"),
        (["--checkpoint", "."], "is a folder"),
        (["--checkpoint", "run\0"], "no file can be named 'run\\x00'"),
        (["--checkpoint", "run\ud800"], "no file can be named 'run\\ud800'"),
        (["--plot", "trace.xyz"], "cannot save a plot as .xyz"),
        (["--plot", "/no/such/folder/trace.png"], "cannot be written"),
        (["--sampler", "smc", "--plot", "trace.png"], "runs none"),
        (["--sampler", "smc", "--steps", "5"], "drop steps"),
        (["--r-hat", "0.9"], "R-hat needs"),
        (["--max-seconds", "0"], "max_seconds must be positive"),
        (["-n", "500", *SHORT[:4]], "the 26 states that the chains visit, got 500"),
        (["-n", "25", *SHORT[:4]], "states to draw from"),
        (["--dtype", "float8"], "--dtype"),
        (["-o", "/no/such/folder/out.txt"], "/no/such/folder does not exist"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(call, config: Path, arguments, message) -> None:
    tables = {
        "bad": "steps = ", "unknown": "stepz = 3", "type": 'steps = "many"',
        "threads": "threads = 0",
        "term": "[energy]\nrhyme = 1", "mean": "[energy]\nlength = {sd = 1}",
        "words": '[energy]\nkeywords = [1]', "code": '[energy]\ncustom = ["mine.py:nothing"]',
        "good": "steps = 3", "good.run": "steps = 3", "file": '[energy]\ncustom = ["nothere.py:f"]',
    }  # fmt: skip
    for name, text in tables.items():
        Path(f"{name}.toml").write_text(text)
    code, out, err = call(*arguments)
    assert code == 2 and out == "", (code, out)
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [
                "--sampler",
                "smc",
                "--regex",
                "q?xz[^a-z]z",
                "--max-length",
                "5",
                "-n",
                "1",
                "--option",
                "proposal=model",
            ],
            "weight zero",
        ),
        (["--sampler", "rejection", "--option", "log_bound=-900", "-n", "2"], "above log_bound"),
        (["--checkpoint", "other", "--resume", "--seed", "1", *SHORT], "seed was 0 and is 1"),
        (["--checkpoint", "other", "--resume", "--length", "9", *SHORT], "run: energy was"),
        (["--checkpoint", "mine.py", "--resume", *SHORT], "not a checkpoint"),
        (["--checkpoint", "/no/such/folder/run", *SHORT], "cannot be written"),
    ],
)
def test_failures_are_one_line_and_exit_1(call, config: Path, arguments, message) -> None:
    assert call(*SHORT, "--checkpoint", "other")[0] == 0
    kept = Path("other").read_bytes()
    Path("out.jsonl").write_text("old")
    code, out, err = call(*arguments, "-o", "out.jsonl")
    assert code == 1 and out == "", err
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err
    assert message in err
    assert Path("out.jsonl").read_text() == "old" and Path("other").read_bytes() == kept


def test_an_energy_that_is_no_number_is_named(call, config: Path) -> None:
    Path("nan.toml").write_text('[energy]\ncustom = ["mine.py:broken"]')
    for sampler in ("mh", "smc"):
        code, out, err = call("--config", "nan.toml", "--sampler", sampler)
        assert code in (1, 2) and out == "" and "NaN" in err and err.count("\n") == 1


def test_a_plot_takes_matplotlib(call, monkeypatch) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    code, _, err = call(*SHORT, "--plot", "trace.png")
    assert code == 2 and "run: pip install 'matplotlib" in err


def test_toml_reads_back() -> None:
    told = {
        "text": 'a "b"\n\\ \x7f 海滩', "whole": 3, "number": 0.1 + 0.2, "yes": True,
        "big": float("inf"), "list": [1, "two", [3.5]], "none": None,
        "table": {"inner": {"a b": 1, "x": None}, "key with ü": "v"}, "empty": {},
    }  # fmt: skip
    back = tomllib.loads(as_toml(told))
    del told["none"], told["table"]["inner"]["x"]
    assert back == told


def test_options_of_the_command_line() -> None:
    assert option("temperature=0.5") == ("temperature", 0.5)
    assert option("proposal=model") == ("proposal", "model")
    assert option("a = [1, 2]") == ("a", [1, 2])


@pytest.mark.parametrize("sampler", ["importance", "smc"])
def test_keywords_are_written_within_the_length(call, sampler: str) -> None:
    words = ("--keyword", "summer", "--keyword", "dog", "--max-length", "12")
    code, out, _ = call("--sampler", sampler, "-n", "12", *words)
    # What is known of the tokens still needed is a lower bound: a few draws end without room.
    assert code == 0 and len(records(out)) >= 8
    assert all(one["text"].index("summer") < one["text"].rindex("dog") for one in records(out))


def test_ctrl_c_on_weighted_samplers(call, tmp_path: Path, monkeypatch) -> None:
    from ergotext.samplers.weighted import rollout

    done = []

    def until(*about):
        if done:
            raise KeyboardInterrupt
        done.append(rollout.grown(*about))
        return done[-1]

    monkeypatch.setattr("ergotext.samplers.weighted.importance.grown", until)
    out = tmp_path / "out.jsonl"
    code, _, err = call("--sampler", "importance", "-n", "100", "--regex", "[ab]+", "-o", str(out))
    assert code == 130 and "interrupted; the results so far are kept" in err
    assert 0 < len(records(out.read_text())) <= 64 and "of the 100 requested" in err

    def stop(*_about):
        raise KeyboardInterrupt

    monkeypatch.setattr("ergotext.samplers.weighted.smc.look", stop)
    code, out, err = call("--sampler", "smc", "-n", "10", "--regex", "[ab]+")
    assert (code, out) == (130, "")
    assert (
        err
        == "ergotext: interrupted: smc finishes all its draws together, so there are no results\n"
    )


def test_the_help_names_every_sampler(capsys) -> None:
    assert main(["sample", "--help"]) == 0
    shown = " ".join(re.sub(r"-\n\s+", "-", capsys.readouterr().out).split())
    shown = shown.split("--sampler ", 1)[1].split(" -n ", 1)[0]
    names = {name: sampler for name, sampler in SAMPLERS.items() if f" {name}" in shown}
    assert set(map(id, names.values())) == set(map(id, SAMPLERS.values()))


@pytest.mark.parametrize(
    ("more", "told"), [((), True), (("--length", "5"), False), (("--context", "So"), False)]
)
def test_texts_of_which_nothing_is_asked_are_told(
    more: tuple[str, ...], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sample", "--model", "tiny-causal", "--chains", "1", "--steps", "2", *more]
    assert main(arguments) == 0
    assert ("nothing is asked of these texts" in capsys.readouterr().err) == told
