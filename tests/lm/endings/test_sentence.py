"""Where a sentence ends, in English and Chinese, and what opens the next one."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.endings.sentence import (
    BEGUN,
    Place,
    SentenceEnd,
    opened_by,
    place_after,
    sentence_end,
)
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from tests.lm.endings.toy import pieces_of

PLACES = {
    Place.INSIDE: (
        "", " ", "\n", "He left", "pi is 3.14", "He paid Mr.", "He paid (Mr.) ", "Dr.", "J.",
        "by J. R.", "e.g.", "(i.e.", "the U.S.", "the U.S.A.", "a Ph.D.", "cf.", "and vs.",
        'He said "No." and', "Well.,", "A, b;", '"', "(", "……我", "“他走了", "他走了。“", "他,",
        "3.14。5", "broken 。".encode()[:-1].decode(errors="replace"),
    ),
    Place.STOP: (
        "in 1990.", "is 3.", "Go!", "Who?!", "Wait...", "Wait…", '"Go!"', "(Go.)", "he left!",
        'He said "No."', "’No.’", 'he said "no."', "Then it was I.", "in 3D.", "He met Ann.",
        "at 5 p.m.", "Say “no.”", "?!", "so...", "bzw.", "the USA.", "Then a.",
        "Go.'\"", "an etc.", "Foo Inc.", "«Non!»", "„Nein.“", ".", "……", "क्या।", "They met Al Mr..",
    ),
    Place.STOP_SPACE: ("He met Ann.\n", 'He left." ', "Go! \n ", "etc. "),
    Place.WORD: ("He left.", "He said no.", "He sat.", "of it.", "a café.", "the plan to re-do."),
    Place.WORD_SPACE: ("He left.\n", "He left. "),
    Place.NUMBER: ("page No.", "see Fig.", "in Dec."),
    Place.NUMBER_SPACE: ("page No. ",),
    Place.WIDE_STOP: (
        "他走了。", "“他走了。”", "「はい。」", "。”", "他走了……", "好！", "好?", "好.", "真的？！",
        "（好。）", "3.14。", "A。", "《书》。", "他走了！」", "好。…", "。…",
    ),
    Place.WIDE_SPACE: ("他走了。\n", "好！ "),
}  # fmt: skip
"""Texts by what they end with."""

OPENED = {
    Place.STOP: {
        True: (
            " A",
            " The",
            " 5",
            " ",
            "\n",
            "\n\n",
            " “",
            ' "',
            " (",
            " é"[:1] + "É",
            " 我",
            " -",
        ),
        False: ("A", "a", "5", "14", " a", " é", "\na", ".", ",", '"', "”", "我", ".\n"),
    },
    Place.STOP_SPACE: {True: ("A", " A", '"', "5", "\n"), False: ("a", " a", "é")},
    Place.NUMBER: {True: (" A", "\n", " (", " No"), False: (" 5", " ", " a", "A", "5")},
    Place.NUMBER_SPACE: {True: ("A", "\n"), False: ("5", " 5", " ", "a")},
    Place.WIDE_STOP: {
        True: ("我", "a", "A", " ", "\n", "，", "“", "「", "我。", "\ufffd", "5"),
        False: ("”", "」", "。", "！", "……", "”，", '"', ")", "）"),
    },
    Place.WIDE_SPACE: {True: ("我", "”", "a"), False: ()},
    Place.WORD: {
        True: (" A", " a", " ", "\n", " 5"),
        False: ("a", "A", ".", ".\n", '"', "-", "com"),
    },
    Place.WORD_SPACE: {True: ("a", "A", '"', "\n"), False: ()},
    Place.INSIDE: {True: (), False: ("A", " A", "a", "\n", "我")},
}
"""Tokens by whether they open a next sentence there."""


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_texts_end_where_they_should(place: Place) -> None:
    assert {text: place_after(text).name for text in PLACES[place]} == dict.fromkeys(
        PLACES[place], place.name
    )


@pytest.mark.parametrize("place", OPENED, ids=lambda place: place.name)
def test_tokens_open_a_next_sentence_or_go_on(place: Place) -> None:
    for opens, texts in OPENED[place].items():
        wrong = [text for text in texts if (int(place) in opened_by(text)) is not opens]
        assert wrong == [], f"opens: {opens}"


def test_places_are_of_whole_characters_and_of_tokens_as_they_are_cut() -> None:
    stop = "。".encode()
    rule = SentenceEnd(
        pieces_of(["我", stop[:1], stop[1:2], stop[2:], ".", ",", ".,", " He", ".\n"]), 10
    )
    he, dot = 8, 5
    rows = [[1, 2, 3, 4], [2], [2, 3], [he, dot], [he, dot, 6], [he, 7], [he, 9], []]
    kinds = rule.kinds(TokenBatch.of(rows))
    assert kinds.tolist() == [
        [0, 0, 0, 0, Place.WIDE_STOP],
        [0] * 5,
        [0] * 5,
        [0, 0, Place.STOP, 0, 0],
        [0, 0, Place.STOP, 0, 0],
        [0] * 5,
        [0, 0, Place.STOP_SPACE, 0, 0],
        [0] * 5,
    ]
    # What goes on with no character opens a next sentence, in a script without spaces.
    assert rule.absorbed[Place.WIDE_STOP].tolist() == [False, True, False, True, True, False,
                                                       True, False, True, False]  # fmt: skip
    assert not rule.absorbed[:, 0].any() and not rule.absorbed[Place.INSIDE].any()
    assert (
        rule.absorbed.shape == (len(Place) + len(BEGUN), 10) and rule.absorbed.dtype == torch.bool
    )


@pytest.mark.parametrize(("stops", "written"), [("", False), ("?", True), ("。", True)])
def test_a_tokenizer_without_a_full_stop(stops: str, written: bool) -> None:
    names = ["<unk>", "</s>", "\u2581", "a", "b", ",", "\u2581a", *stops]
    vocabulary = {name: n for n, name in enumerate(names)}
    inner = Tokenizer(models.BPE(vocabulary, [("\u2581", "a")], unk_token="<unk>"))
    inner.normalizer = normalizers.Replace(" ", "\u2581")
    inner.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    words = Vocabulary(tokenizer, len(names))
    if written:
        assert bool(sentence_end(words, 1).stops[names.index(stops)])
        return
    with pytest.raises(InputError, match="can write no full stop and no other end") as refused:
        sentence_end(words, 1)
    assert 'end="token"' in str(refused.value) and "\n" not in str(refused.value)
