"""A real masked model from the registry: rxnmapper's ALBERT, which reads chemical reactions.

Schwaller et al. 2021, https://doi.org/10.1126/sciadv.abe4166. Its weights are a pickle, which
``load`` refuses, so they are made safetensors here; its tokenizer is code of the package, which
needs more packages, so the same tokens are told to a plain one.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AlbertConfig, AlbertForMaskedLM, PreTrainedTokenizerFast

import ergotext as et

# Acylations, esterifications, an oxidation and couplings, written as such datasets write them.
REACTIONS = [
    "CC(=O)Cl.Nc1ccccc1>>CC(=O)Nc1ccccc1",
    "O=C(O)c1ccccc1.CCO>>CCOC(=O)c1ccccc1",
    "CC(=O)OC(C)=O.Oc1ccccc1>>CC(=O)Oc1ccccc1",
    "OCc1ccccc1>>O=Cc1ccccc1",
    "Brc1ccccc1.OB(O)c1ccccc1>>c1ccc(-c2ccccc2)cc1",
    "CC(C)(C)OC(=O)NCc1ccccc1>>NCc1ccccc1",
]
ATOMS = r"\[[^\]]+\]|Br|Cl|>>|%\d\d|[A-Za-z0-9()=#+\-./\\:~@?>*$]"


def weights() -> Path:
    """The model's folder inside the wheel, found without importing it."""
    spec = find_spec("rxnmapper")
    assert spec is not None and spec.submodule_search_locations, (
        "pip install --no-deps rxnmapper==0.4.3"
    )
    (folder,) = Path(spec.submodule_search_locations[0]).glob("models/transformers/albert*")
    return folder


@pytest.fixture(scope="module")
def mlm(tmp_path_factory: pytest.TempPathFactory) -> et.MaskedLM:
    source, folder = weights(), tmp_path_factory.mktemp("rxnmapper")
    tokens = (source / "vocab.txt").read_text("utf-8").splitlines()
    inner = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(ATOMS), "isolated")
    inner.decoder = decoders.Fuse()
    around = [("[CLS]", tokens.index("[CLS]")), ("[SEP]", tokens.index("[SEP]"))]
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=around
    )
    PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]",
        cls_token="[CLS]", sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    model = AlbertForMaskedLM(AlbertConfig.from_pretrained(source))
    state = torch.load(source / "pytorch_model.bin", map_location="cpu", weights_only=True)
    told = model.load_state_dict(state, strict=False)
    assert not [name for name in told.missing_keys if "decoder.bias" not in name], told
    model.tie_weights()
    model.save_pretrained(folder)
    loaded = et.load(str(folder))
    assert isinstance(loaded, et.MaskedLM)
    return loaded


def test_it_is_spelled_token_for_token(mlm: et.MaskedLM) -> None:
    batch = et.TokenBatch.of([mlm.encode(text) for text in REACTIONS])
    assert mlm.decode(batch) == REACTIONS
    assert all(bool(mlm.allowed[list(row)].all()) for row in batch.rows())
    assert int(mlm.allowed.sum()) == 591 - 1 - 10 - 4 and mlm.max_positions == 512


def test_real_reactions_are_likely_and_others_are_not(mlm: et.MaskedLM) -> None:
    rows = [mlm.encode(text) for text in REACTIONS]
    # The same tokens, every second one swapped with its neighbour.
    mixed = [
        [t for a, b in zip(row[::2], [*row[1::2], None], strict=False) for t in (b, a) if t]
        for row in rows
    ]
    real, other = (mlm.pseudo_log_prob(et.TokenBatch.of(batch)) for batch in (rows, mixed))
    lengths = torch.tensor([len(row) for row in rows])
    assert bool((real > other + lengths).all())
    assert 1.0 < float((-real / lengths).mean().exp()) < 1.6


def test_it_knows_what_is_missing(mlm: et.MaskedLM) -> None:
    """Aniline and acetyl chloride give acetanilide: its nitrogen is told by what stands around."""
    row = mlm.encode(REACTIONS[0])
    at = len(row) - 1 - row[::-1].index(mlm.encode("N")[0])
    law = mlm.conditional_log_prob(et.TokenBatch.of([row]), torch.tensor([at]))[0]
    assert mlm.vocabulary.text([int(law.argmax())]) == "N" and float(law.max().exp()) > 0.9


def test_batch_equals_singles(mlm: et.MaskedLM) -> None:
    rows = [mlm.encode(text) for text in REACTIONS]
    together = mlm.pseudo_log_prob(et.TokenBatch.of(rows))
    alone = torch.cat([mlm.pseudo_log_prob(et.TokenBatch.of([row])) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    with torch.inference_mode():
        shown = [mlm.mask_id, *rows[3][1:]]
        logits = mlm.model(torch.tensor([[*mlm.opening, *shown, *mlm.closing]])).logits[0, 1]
    law = logits.double().masked_fill(~mlm.allowed, -torch.inf).log_softmax(-1)
    score = mlm.token_log_prob(et.TokenBatch.of([rows[3]]))[0, 0]
    assert float(score) == pytest.approx(float(law[rows[3][0]]), abs=1e-4)
