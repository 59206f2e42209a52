"""A made-up base of triples with 30 questions, small enough to train on in seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ergotext.tasks.index import build

SUBJECTS = ("苹果（水果）", "苹果（公司）", "Mercury", "长江", "红楼梦", "天安门", "李白（诗人）")
PREDICATES = ("产地", "总长", "作者", "颜色", "出生日期", "founder")
ASKED = {
    "产地": "{}产自哪里？",
    "总长": "{}有多长？",
    "作者": "{}的作者是谁？",
    "颜色": "你知道{}是什么颜色吗",
    "founder": "who founded {}?",
}


@dataclass(frozen=True)
class LittleBase:
    questions: Path
    dev: Path
    lines: Path
    index: Path
    templates: Path

    @property
    def arguments(self) -> list[str]:
        """Of ``ergotext train``, but for the output."""
        return [str(self.questions), "--dev", str(self.dev), "-i", str(self.index)]


def little_base(folder: Path) -> LittleBase:
    triples = [
        (s, p, f"{p}{n}") for n, s in enumerate(SUBJECTS) for p in PREDICATES if (n + len(p)) % 4
    ]
    lines = folder / "kb.tsv"
    lines.write_text("".join("\t".join(t) + "\n" for t in triples), encoding="utf-8")
    build(lines, folder / "kb.ergo")
    asked = [
        {
            "id": n,
            "question": ASKED[p].format(s.partition("（")[0]),
            "answer": f"{s} ||| {p} ||| {o}",
        }
        for n, (s, p, o) in enumerate(t for t in triples if t[1] in ASKED)
    ]
    for name, rows in (("train", (asked * 2)[:30]), ("dev", asked[:6])):
        told = [json.dumps({**row, "id": n}, ensure_ascii=False) for n, row in enumerate(rows)]
        (folder / f"{name}.json").write_text("\n".join(told) + "\n", encoding="utf-8")
    templates = folder / "templates.tsv"
    templates.write_text(
        "出生日期\t{subject}是哪天出生的\nborn\twhen was {subject} born?\n", encoding="utf-8"
    )
    return LittleBase(
        folder / "train.json", folder / "dev.json", lines, folder / "kb.ergo", templates
    )
