"""What ``import ergotext as et`` offers."""

from __future__ import annotations

import subprocess
import sys

import ergotext as et


def test_every_name_leads_somewhere() -> None:
    assert {"TokenTrie", "build_trie", "load_trie", "load_tokenizer"} <= set(et.__all__)
    assert {"Alphabet", "AutomatonLogitsProcessor", "BestKey"} <= set(et.__all__)
    rooms = {"automata", "retrieval", "samplers", "testing"}
    assert rooms <= set(et.__all__)
    assert all(callable(getattr(et, name)) for name in et.__all__ if name not in rooms)
    for room in rooms:
        names = getattr(et, room).__all__
        assert names and all(hasattr(getattr(et, room), name) for name in names)
    assert set(et.__all__) <= set(dir(et))


def test_no_room_is_entered_before_it_is_named() -> None:
    code = (
        "import sys, ergotext as et; et.InputError; assert 'torch' not in sys.modules; et.testing"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_tries_do_what_they_say() -> None:
    from ergotext.lm import trie

    assert et.build_trie is trie.build and et.load_trie is trie.load
    assert et.load is not trie.load
    keys = et.build_trie([("北京", "x")], et.CharacterTokenizer("北京"))
    assert isinstance(keys, et.TokenTrie) and keys.objects("北京") == ["x"]
