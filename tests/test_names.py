"""What ``import ergotext as et`` offers."""

from __future__ import annotations

import ergotext as et


def test_every_name_leads_somewhere() -> None:
    assert {"TokenTrie", "build_trie", "load_trie", "load_tokenizer"} <= set(et.__all__)
    assert {"Alphabet", "AutomatonLogitsProcessor", "BestKey"} <= set(et.__all__)
    assert all(callable(getattr(et, name)) for name in et.__all__)
    assert set(et.__all__) <= set(dir(et))


def test_names_of_tries_do_what_they_say() -> None:
    from ergotext.lm import trie

    assert et.build_trie is trie.build and et.load_trie is trie.load
    assert et.load is not trie.load
    keys = et.build_trie([("北京", "x")], et.CharacterTokenizer("北京"))
    assert isinstance(keys, et.TokenTrie) and keys.objects("北京") == ["x"]
