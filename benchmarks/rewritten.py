"""Whether questions that are written otherwise get the same answers.

    python benchmarks/rewritten.py tiny-retriever facts.ergo examples/questions.jsonl --count 200

Every question is rewritten by each rule that changes it: in lower case, without accents, with the
subject in curly quotes, in full-width letters, in traditional characters, with a wrong letter in
the subject, and with a part of it. Of all of these, so many are taken by a hash of their texts.
Counted are those with the first answer of the question as it was, those without an answer, and
wrong answers (another entry than the file says) with a probability above 0.5.
"""

from __future__ import annotations

import argparse
import random
import unicodedata
from collections.abc import Iterator
from functools import cache
from hashlib import sha256

import torch
from opencc import OpenCC

from ergotext import Retriever, load, load_lookahead
from ergotext.tasks.datasets.kgclue.data import Question, read
from ergotext.tasks.retrieval.results import Hits

SURE = 0.5
RULES = (
    "lower case", "no accents", "curly quotes", "full width", "traditional", "wrong letter",
    "part of the name",
)  # fmt: skip
WRONG = "的一是不了人在有我他"


@cache
def _traditional() -> OpenCC:
    return OpenCC("s2t")


def rewritten(text: str, name: str, rule: str, rng: random.Random) -> str:
    """A question by a rule; the same where it changes nothing."""
    if rule == "lower case":
        return text.lower()
    if rule == "no accents":
        apart = unicodedata.normalize("NFD", text)
        return "".join(char for char in apart if not unicodedata.combining(char))
    if rule == "curly quotes":
        return text.replace(name, f"“{name}”")
    if rule == "full width":
        wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
        return text.translate(wide)
    if rule == "traditional":
        return str(_traditional().convert(text))
    if rule == "wrong letter":
        return text.replace(name, misspelt(name, rng))
    return text.replace(name, part(name))


def misspelt(name: str, rng: random.Random) -> str:
    """One letter of a name, not the first, is another; names of less than four stay."""
    places = [at for at, char in enumerate(name) if char.isalpha() and at]
    if len(name) < 4 or not places:
        return name
    at = rng.choice(places)
    others = "abcdefghijklmnopqrstuvwxyz" if name[at].isascii() else WRONG
    return name[:at] + rng.choice([c for c in others if c != name[at]]) + name[at + 1 :]


def part(name: str) -> str:
    """The last word of a name, or the first two thirds of one in a script without spaces."""
    if " " in name:
        return name.rpartition(" ")[2]
    return name if name.isascii() or len(name) < 4 else name[: round(len(name) * 2 / 3)]


def questions(path: str, count: int) -> Iterator[tuple[str, Question, str]]:
    """Rules, questions as they were, and their texts by the rule."""
    rng = random.Random(0)
    found = []
    for one in read(path).asked:
        if one.answer is None:
            continue
        name = one.answer.subject.partition("（")[0]
        for rule in RULES:
            text = rewritten(one.text, name, rule, rng)
            if text != one.text:
                found.append((rule, one, text))
    yield from sorted(found, key=lambda each: sha256(each[2].encode()).digest())[:count]


def first(hits: Hits) -> tuple[str, ...] | None:
    return tuple(hits[0].fields.values()) if hits else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("index")
    parser.add_argument("questions")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--show", action="store_true", help="print what was not answered alike")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ahead = load_lookahead(options.model)
    retriever = Retriever(load(options.model, device="cpu"), options.index)
    asked = list(questions(options.questions, options.count))
    texts = [text for _, _, text in asked]
    now = retriever.retrieve(texts, 1, lookahead=ahead)
    before = retriever.retrieve([one.text for _, one, _ in asked], 1, lookahead=ahead)
    rows: dict[str, list[tuple[bool, bool, bool]]] = {}
    for (rule, one, text), hits, was in zip(asked, now, before, strict=True):
        assert one.answer is not None
        right = first(hits) == (one.answer.subject, one.answer.predicate)
        sure = bool(hits) and not right and hits[0].probability > SURE
        told = (first(hits) == first(was), not hits, sure)
        rows.setdefault(rule, []).append(told)
        if options.show and not (told[0] and right):
            p = f"{hits[0].probability:.3f}" if hits else "no answer"
            print(f"{rule}: {text} → {first(hits)} {p} {hits.notes}")
    print("| rule | questions | answered as before | no answer | wrong, above 0.5 |")
    print("| --- | --- | --- | --- | --- |")
    rows["all"] = [told for each in rows.values() for told in each]
    for rule in (*RULES, "all"):
        if each := rows.get(rule):
            same, none, wrong = (sum(column) for column in zip(*each, strict=True))
            print(f"| {rule} | {len(each)} | {same / len(each):.0%} | {none} | {wrong} |")


if __name__ == "__main__":
    main()
