"""Letters that are folded together, and places that stay."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pytest

from ergotext.lm.ragged import take_rows
from ergotext.lm.tokenizers.characters import points_of
from ergotext.lm.tokenizers.folding import alike, fold, fold_points, plain_letters
from tests.faulty import load_with_fault


@pytest.mark.parametrize(
    ("one", "other"),
    [("GUERNICA", "guernica"), ("Ｇｕｅｒ", "guer"), ("Chopin\u2019s", "chopin's"),
     ("Café", "cafe"), ("Cafe\u0301", "café"), ("Moby\u2010Dick", "moby-dick"),
     ("萬里長城", "万里长城"), ("龍", "龙"),
     ("“龍”", '"龙"'), ("a\u00a0 b", "a b"), ("Гёте", "гете"), ("soft\u00adware", "software"),
     ("ﬁn", "fin"), ("ガ", "カ\u3099")],
)  # fmt: skip
def test_what_is_folded_together(one: str, other: str) -> None:
    assert "".join(alike(one)) == "".join(alike(other)) != ""


@pytest.mark.parametrize(("one", "other"), [("カ", "ガ"), ("का", "क"), ("o", "0"), ("龙", "尤")])
def test_what_is_not(one: str, other: str) -> None:
    assert alike(one) != alike(other)


def test_each_character_by_itself() -> None:
    """Offsets rest on it: the folded text is that of its characters, one after the other."""
    text = "Ｄa Vinci’s 龍\u00ad, é e\u0301 ﬁ 한"
    assert alike("") == [] and len(alike(text)) == len(text)
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, text)
        points = points_of(written)
        folded, places = fold_points(points)
        assert len(places) == len(written) + 1
        for number, char in enumerate(written):
            (piece, _) = take_rows(folded, places, np.array([number]))
            assert piece.tobytes().decode("utf-32-le") == fold(char)
    assert not len(fold_points(points_of(""))[0])


def test_a_table_is_read_for_ideographs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError("read")

    monkeypatch.setattr("ergotext.lm.tokenizers.folding._simplified", fail)
    fold.cache_clear()
    assert "".join(alike("Zoë ガ한")) == "zoe カ\u3099" + unicodedata.normalize("NFKD", "한")
    with pytest.raises(AssertionError, match="read"):
        fold("𪚥")
    fold.cache_clear()


def check_plain(plain_letters: Callable[[str], str]) -> None:
    """As long as it was; case, accents, quotes and all signs stay."""
    for one, plain in (
        ("Ｗｈｏ wrote Ｃ３？", "Who wrote C3？"), ("長江有多長？", "长江有多长？"),
        ("“Brasília” is １９ – ½ ﬁ ™ ㍿", "“Brasília” is 19 – ½ ﬁ ™ ㍿"),
        ("著名的李白", "著名的李白"),
        ("", ""), ("plain", "plain"), ("ｶﾅ ＋（）", "ｶﾅ ＋（）"),
    ):  # fmt: skip
        assert plain_letters(one) == plain and len(plain) == len(one)


def test_plain_letters() -> None:
    check_plain(plain_letters)


FAULTS = {
    "signs become narrow": ("narrow.isascii() and narrow.isalnum() and", "narrow.isascii() and"),
    "small forms too": (' and unicodedata.east_asian_width(char) == "F"', ""),
    "traditional ones stay": ("return found if len(found) == 1 else char", "return char"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    faulty = load_with_fault("lm.tokenizers.folding", FAULTS[fault])
    with pytest.raises(AssertionError):
        check_plain(faulty.plain_letters)
