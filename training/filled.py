"""Make questions with answers from triples: fill every template of each predicate.

python training/filled.py examples/facts.tsv training/questions_en.tsv -o facts-en.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

from ergotext.lm.trie.lines import Lines
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.training.lookahead.pairs import parts
from ergotext.tasks.training.sources import Name, Template, read_templates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", type=Path, help="lines of subject, predicate and object")
    parser.add_argument("templates", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    templates: dict[str, list[Template]] = defaultdict(list)
    for one in read_templates([args.templates], Lines()):
        templates[one.predicate].append(one)
    found: dict[tuple[str, str], None] = {}
    for line in filter(None, args.base.read_text(encoding="utf-8-sig").split("\n")):
        triple = Triple(*line.split("\t"))
        for one in templates.get(triple.predicate, ()):
            found[one.asked(Name(parts(triple.subject)[0])), str(triple)] = None
    rows = list(found)
    random.Random(0).shuffle(rows)
    with args.output.open("w", encoding="utf-8") as file:
        for number, (question, answer) in enumerate(rows):
            record = {"id": number, "question": question, "answer": answer}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(f"{args.output}: {len(rows):,} questions")


if __name__ == "__main__":
    main()
