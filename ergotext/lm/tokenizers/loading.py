"""Load the tokenizer of a model by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ergotext.errors import InputError, ModelError
from ergotext.lm.tokenizers.fast import FastTokenizer


def load_tokenizer(name: str, *, offline: bool = False) -> FastTokenizer:
    """The tokenizer of a model, for an index whose keys that model writes.

    Parameters
    ----------
    name : str
        A ``tokenizer.json``, a folder, a bundled name (``smollm2``), a ``.gguf`` file or a hub id.
    offline : bool
        Look no further than this machine.

    Raises
    ------
    InputError
        The name leads nowhere, or to a tokenizer that cannot make keys.
    ModelError
        What it leads to cannot be read.
    """
    found, source = pretrained(name, offline=offline)
    return FastTokenizer(found, name, _is_causal(source, offline))


def pretrained(name: str, *, offline: bool = False) -> tuple[Any, Path | str]:
    """transformers' own tokenizer of this name, and where it lies; errors as ``load_tokenizer``."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    from ergotext.lm.checks import check_tokenizer
    from ergotext.lm.conversion import first_line, quiet
    from ergotext.lm.sources import tell_of_hub

    source = _source(name)
    if not offline:
        tell_of_hub(source)
    try:
        with quiet():
            found: Any
            if isinstance(source, Path) and source.is_file():
                found = PreTrainedTokenizerFast(tokenizer_file=str(source))
            else:
                found = AutoTokenizer.from_pretrained(
                    source, trust_remote_code=False, local_files_only=offline
                )
    except Exception as error:
        # A broken file makes transformers raise whatever it trips over.
        if isinstance(source, Path) or not isinstance(error, (OSError, ValueError)):
            raise ModelError(f"cannot read the tokenizer {name}: {first_line(error)}") from error
        where = "this machine holds none" if offline else "the hub gave none"
        raise InputError(
            f"no tokenizer {name!r}: not a tokenizer.json, a folder or a bundled name, and {where} "
            f"({first_line(error)})"
        ) from error
    check_tokenizer(found, name)
    return found, source


def _is_causal(source: Path | str, offline: bool) -> bool:
    """Whether the model that the tokenizer comes with is a causal one; False if none does."""
    from transformers import AutoConfig

    from ergotext.lm.conversion import quiet

    if isinstance(source, Path) and source.is_file():
        return False
    try:
        with quiet():
            config = AutoConfig.from_pretrained(
                source, trust_remote_code=False, local_files_only=offline
            )
    except (OSError, ValueError, KeyError):
        return False
    names = config.architectures or []
    return not config.is_encoder_decoder and any("CausalLM" in n or "LMHead" in n for n in names)


def _source(name: str) -> Path | str:
    """A tokenizer.json that stands alone, a folder, or a hub id."""
    from ergotext.lm.conversion import expanded
    from ergotext.lm.sources import BUNDLED, source_of

    if not name.strip():
        raise InputError("the tokenizer name is empty; give a folder or a hub id")
    path = expanded(name)
    if path.suffix.lower() == ".json":
        if not path.is_file():
            raise InputError(f"the file {name} does not exist")
        whole = path.name == "tokenizer.json" and (path.parent / "tokenizer_config.json").is_file()
        return path.parent if whole else path
    if name in BUNDLED or not path.is_dir():
        return source_of(name)
    return path
