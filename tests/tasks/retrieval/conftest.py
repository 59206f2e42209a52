"""A model that is a table, and a base in its tokens."""

from __future__ import annotations

import pytest

from ergotext.lm.trie import TokenTrie
from tests.tasks.retrieval import test_retriever_table as table
from tests.tasks.retrieval.table_reader import TableReader
from tests.tasks.retrieval.test_branch_and_bound import made


@pytest.fixture(scope="module")
def reader() -> TableReader:
    return TableReader(table.KEYS)


@pytest.fixture(scope="module")
def trie(reader: TableReader) -> TokenTrie:
    return made(reader)
