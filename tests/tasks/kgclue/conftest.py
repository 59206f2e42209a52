"""What tests of training share."""

from __future__ import annotations

import pytest

from ergotext.lm.trie.file import load
from ergotext.tasks.candidates import Spotter
from ergotext.tasks.kgclue.choices import Choices
from ergotext.tasks.kgclue.scoring import Coder
from ergotext.tasks.kgclue.spelling import spelling_tokenizer
from tests.tasks.kgclue.little_base import LittleBase, little_base


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory) -> LittleBase:
    return little_base(tmp_path_factory.mktemp("little"))


@pytest.fixture(scope="session")
def little_choices(little: LittleBase) -> Choices:
    tokenizer = spelling_tokenizer([little.lines.read_text(encoding="utf-8")], least=1)
    return Choices(Coder(tokenizer), Spotter(load(little.index), triples=True), 4, 0)
