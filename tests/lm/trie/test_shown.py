"""Tries by their size and first keys; a key in brackets gives its objects."""

from __future__ import annotations

import pytest

import ergotext as et

PAIRS = [(f"{name}\tmoons", str(n)) for n, name in enumerate(("Mars", "Earth", "Venus", "<Sun>"))]


@pytest.fixture
def trie() -> et.TokenTrie:
    return et.build_trie(PAIRS, et.CharacterTokenizer.of(key for key, _ in PAIRS))


def test_size_and_first_keys(trie: et.TokenTrie) -> None:
    shown = repr(trie)
    assert shown.startswith("TokenTrie(4 keys: '") and shown.endswith(", …)") and len(shown) < 90
    assert shown.count("moons") == 3 and "array" not in shown
    changed = et.EditableTrie(trie)
    changed.add("Io\tmoons", "0")
    assert repr(changed).startswith("EditableTrie(5 keys: '")
    assert (
        repr(trie.tokenizer) == f"CharacterTokenizer({len(trie.tokenizer.characters)} characters)"
    )
    assert "nodes, cpu)" in repr(et.DeviceTrie(trie))
    assert repr(object.__new__(et.TokenTrie)) == "<TokenTrie>"


def test_ids_where_there_is_no_tokenizer() -> None:
    assert repr(et.build_trie([((3, 4), "x")], et.Alphabet(9, 0, 1))) == "TokenTrie(1 key: (3, 4))"


def test_a_table_for_notebooks(trie: et.TokenTrie) -> None:
    html = trie._repr_html_()
    assert "TokenTrie of 4 keys" in html and "&lt;Sun&gt;" in html and "<Sun>" not in html
    more = et.build_trie(
        [(f"{n:03}", None) for n in range(300)], et.CharacterTokenizer("0123456789")
    )
    assert "… and 295 more" in more._repr_html_() and more._repr_html_().count("<tr>") == 6


def test_a_key_in_brackets(trie: et.TokenTrie) -> None:
    assert trie["Venus\tmoons"] == ["2"] and et.EditableTrie(trie)["Mars\tmoons"] == ["0"]
    with pytest.raises(KeyError, match="no key 'Pluto': check its spelling"):
        trie["Pluto"]
    assert dict(trie) == {key: trie.objects(key) for key in trie}
