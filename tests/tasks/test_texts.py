"""One text where several are meant, several where one is, and what is no text: refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import ergotext as et
from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.infill import infill, infill_all
from ergotext.tasks.paraphrase import paraphrase
from ergotext.tasks.read import SpanReader
from ergotext.tasks.retrieval.masked_keys import MaskedKeys
from ergotext.tasks.write import write, write_all


@pytest.fixture(scope="module")
def causal() -> Any:
    return et.load("tiny-causal", device="cpu")


@pytest.fixture(scope="module")
def masked() -> Any:
    return et.load("tiny-masked", device="cpu")


@pytest.fixture(scope="module")
def retriever(causal: Any) -> et.Retriever:
    return et.Retriever(causal, et.build_trie(["a", "b"], et.load_tokenizer("tiny-causal")))


SEVERAL: dict[str, Callable[..., object]] = {
    "retrieve": lambda r, c, m, given: r.retrieve(given),
    "retrieve mlm": lambda r, c, m, given: et.Retriever(
        m, et.build_trie(["a"], et.load_tokenizer("tiny-masked")), decode="mlm"
    ).retrieve(given),
    "masked keys": lambda r, c, m, given: MaskedKeys(
        m, et.build_trie(["a"], et.load_tokenizer("tiny-masked"))
    ).best(given),
    "write": lambda r, c, m, given: write(given, c),
    "write all": lambda r, c, m, given: list(write_all([["sun"], given], c)),
    "infill all": lambda r, c, m, given: list(infill_all(given, c)),
    "mark": lambda r, c, m, given: mark([], given),
}
ONE: dict[str, Callable[..., object]] = {
    "infill": lambda c, given: infill(given, c),
    "paraphrase": lambda c, given: paraphrase(given, c),
    "read a passage": lambda c, given: SpanReader(c).read(given, "who?"),
    "read a question": lambda c, given: SpanReader(c).read("the sun", given),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("one text", "must be a list of texts, got the text 'one text': put it into a list"),
        (b"one", "must be a list of texts"),
        ([b"one"], "must be one text, got b'one'"),
        ([{"one": 1}], "must be one text"),
        (["fine", None], "must be one text, got None"),
        ([3], "must be one text, got 3"),
        (["\ud800"], "not valid Unicode"),
    ],
)
def test_several_texts(
    retriever: et.Retriever, causal: Any, masked: Any, name: str, given: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message.split(",")[0]):
        SEVERAL[name](retriever, causal, masked, given)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("given", [["a ___"], b"a ___", None, 3])
def test_one_text(causal: Any, name: str, given: Any) -> None:
    with pytest.raises(InputError, match="must be one text"):
        ONE[name](causal, given)
