"""A model that is a table, and a base in its tokens."""

from __future__ import annotations

import pytest

from ergotext.lm.trie import TokenTrie
from tests.tasks import test_retrieve_table as table
from tests.tasks.table_reader import TableReader
from tests.tasks.test_bounded import made


@pytest.fixture(scope="module")
def reader() -> TableReader:
    return TableReader(table.KEYS)


@pytest.fixture(scope="module")
def trie(reader: TableReader) -> TokenTrie:
    return made(reader)
