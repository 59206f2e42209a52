"""Convert GGUF files once, into a safetensors cache shared between processes."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from logging import Logger, NullHandler, StreamHandler, getLogger
from pathlib import Path
from typing import Any
from uuid import uuid4

from ergotext.errors import InputError, ModelError
from ergotext.support.extras import install
from ergotext.support.files import locked, sweep

CONVERSION = "1"
"""Part of every cache key; raise it when conversion changes."""


def cache_folder() -> Path:
    """Folder of converted models: ``ERGOTEXT_CACHE`` or the user's cache folder."""
    if folder := os.environ.get("ERGOTEXT_CACHE"):
        return expanded(folder)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ergotext"
    except RuntimeError as error:
        raise ModelError(f"no folder for the model cache: {error}; set ERGOTEXT_CACHE") from error


def converted(file: Path) -> Path:
    """The safetensors folder of a GGUF file, made on first use.

    The key is the file's content, so a changed file is converted again. Conversion writes to a
    folder of its own that is renamed when whole; a lock keeps two processes from doing it twice.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    target = cache_folder() / f"{file.stem}-{digest}-v{CONVERSION}"

    def convert(folder: Path) -> None:
        print(f"converting {file.name} once into {target.parent} …", file=sys.stderr)
        folder.mkdir()
        _convert(file, folder)

    if not target.is_dir():
        make_once(target, convert)
    return target


def make_once(target: Path, make: Callable[[Path], object]) -> None:
    """Create ``target`` atomically with ``make``, one process at a time.

    Raises
    ------
    ModelError
        The folder cannot be written, or the disk is full; nothing half-made is left.
    """
    _make(target.parent)
    with ExitStack() as held:
        try:
            held.enter_context(locked(target.with_name(target.name + ".lock")))
        except OSError as error:
            raise _disk_error(error, target.parent) from error
        if not target.exists():
            with _whole(target) as temporary:
                make(temporary)


def _convert(file: Path, folder: Path) -> None:
    """Write a GGUF file's weights, dequantised to float32, and its tokenizer as safetensors."""
    if find_spec("gguf") is None or find_spec("accelerate") is None:
        raise ModelError(f"reading GGUF files needs extra packages; run: {install('gguf')}")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ergotext.lm.checks import check_whole

    elements = _check_gguf(file)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(**where)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                **where, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:
        raise ModelError(f"cannot convert {file}: {first_line(error)}") from error
    model: Any = loaded[0]
    check_whole(loaded[1], str(file))
    if (used := _elements(model)) < elements:
        # What has no place in the model is passed over without a word, and is not in that report.
        raise ModelError(
            f"{file} holds {elements:,} numbers, but the model in its header has {used:,}: it is "
            "damaged, or of a kind that transformers cannot convert"
        )
    # save_pretrained refuses quantised models; the weights are plain float32 by now.
    model.hf_quantizer = None
    model.is_quantized = False
    for owner, name in ((model, "quantization_method"), (model.config, "quantization_config")):
        if hasattr(owner, name):
            delattr(owner, name)
    with quiet():
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)


def _elements(model: Any) -> int:
    """How many numbers a model holds, each once where weights are shared."""
    own = {tensor.data_ptr(): tensor.numel() for tensor in model.state_dict().values()}
    return sum(own.values())


def _check_gguf(file: Path) -> int:
    """How many numbers a file holds; ModelError unless all that the header promises are there."""
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(file).tensors
        whole = bool(tensors)
    except Exception as error:
        # gguf raises whatever its parser trips over: ValueError, IndexError, KeyError, struct.error
        raise ModelError(
            f"{file} is not a complete GGUF file ({first_line(error)}); download or install it "
            "again"
        ) from error
    if not whole:
        raise ModelError(f"{file} contains no tensors; download or install it again")
    # Tables of rotations are computed again from the header.
    return sum(int(t.n_elements) for t in tensors if not t.name.startswith("rope_"))


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A temporary name beside ``target`` that becomes it if all goes well, and goes if not."""
    sweep(target.parent, ".making-*")
    folder = target.parent / f".making-{uuid4().hex}"
    try:
        folder.mkdir()
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


def expanded(name: str) -> Path:
    """A path with ~ resolved; InputError if there is no such user."""
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise InputError(f"the folder {name} does not exist: {error}") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _disk_error(error, folder) from error


def _disk_error(error: Exception, folder: Path) -> ModelError:
    full = "No space left" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
    advice = "free some space" if full else "check the folder"
    return ModelError(
        f"cannot write the model cache {folder} ({first_line(error)}); {advice} or set "
        "ERGOTEXT_CACHE to another folder"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the chatter of libraries from the user: bars, reports on weights, retries, warnings.

    It is their voice that is taken, not their hearing: records still reach handlers of others, and
    a filter that makes errors of warnings still does, so that tests see what users do not. One bar
    (of GGUF tensors) knows no switch; it is shown on a terminal and nowhere else.
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    logging.get_logger()  # transformers' own handler is there from now on
    held = [_mute(getLogger(name)) for name in _LIBRARIES]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda *_, **__: None
            with nullcontext() if sys.stderr.isatty() else redirect_stderr(StringIO()):
                yield
    finally:
        for restore in held:
            restore()
        if shown:
            logging.enable_progress_bar()


_LIBRARIES = ("transformers", "huggingface_hub", "sentence_transformers", "accelerate", "torch")


def _mute(logger: Logger) -> Callable[[], None]:
    """Take a library's logger off stderr; what puts it back."""
    streams = [one for one in logger.handlers if type(one) is StreamHandler]
    nothing = NullHandler()  # without any handler, Python itself would print
    logger.addHandler(nothing)
    for stream in streams:
        logger.removeHandler(stream)

    def restore() -> None:
        logger.removeHandler(nothing)
        for stream in streams:
            logger.addHandler(stream)

    return restore


def first_line(error: BaseException) -> str:
    """The message of an exception in one line, with more of it if the first only announces it."""
    kind = type(error).__name__
    said, *more = [line.strip() for line in str(error).splitlines() if line.strip()] or [kind]
    if "above report" in said:  # which ``quiet`` keeps from the user
        what = "have other shapes than its configuration says"
        return f"its weights {what if 'mismatched' in said else 'cannot be converted'}"
    while said.endswith(":") and more:
        said = f"{said} {more.pop(0)}"
    if isinstance(error, KeyError) and error.args:
        return f"there is no {said} ({kind})"
    return f"{said} {kind}" if said.endswith(":") else said
