"""What tests of training share."""

from __future__ import annotations

import pytest

from ergotext.lm.trie.file import load
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.seq2seq.choices import Choices
from ergotext.tasks.training.seq2seq.scoring import Coder
from ergotext.tasks.training.seq2seq.tokenizer import spelling_tokenizer
from tests.tasks.little_base import LittleBase, little_base


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory) -> LittleBase:
    return little_base(tmp_path_factory.mktemp("little"))


@pytest.fixture(scope="session")
def little_choices(little: LittleBase) -> Choices:
    tokenizer = spelling_tokenizer([little.lines.read_text(encoding="utf-8")], least=1)
    return Choices(Coder(tokenizer), Spotter(load(little.index), triples=True), 4, 0)
