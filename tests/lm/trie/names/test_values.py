"""Parts of objects: of a block of keys as of each object alone."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from ergotext.lm.tokenizers.characters import points_of
from ergotext.lm.trie.names.values import hash_of, hashed_parts, parts_of
from ergotext.lm.trie.states import VALUE_END

OBJECTS = st.lists(st.text("ab é火、;/ ", max_size=8), min_size=1, max_size=3)


@given(rows=st.lists(OBJECTS, min_size=1, max_size=4))
@example(rows=[[" "]])
@example(rows=[["  ", "abc"], [" abc ;火火火"]])
@example(rows=[["", " "], ["abc"]])
def test_a_block_has_the_parts_of_each_object(rows: list[list[str]]) -> None:
    flat = [b"".join(value.encode() + bytes([VALUE_END]) for value in values) for values in rows]
    pool = np.frombuffer(b"".join(flat), dtype=np.uint8)
    offsets = np.cumsum([0, *map(len, flat)])
    row, value = hashed_parts(pool, offsets)
    wanted = [
        (r, int(hash_of(points, np.array([0]), np.array([len(points)]))[0]))
        for r, values in enumerate(rows)
        for text in values
        for points in map(points_of, parts_of(text))
    ]
    assert sorted(zip(row.tolist(), map(int, value), strict=True)) == sorted(wanted)
