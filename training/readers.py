"""Read each package as documents of paragraphs."""

from __future__ import annotations

import gettext
import gzip
import html
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

Document = tuple[str, list[str]]
"""Its name and its paragraphs."""


def text_of(file: Path) -> str:
    """A text file, gzipped or not."""
    raw = file.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")


def plain(markup: str) -> str:
    """Markup without its tags, and with its entities spelled out."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def cookies(folder: Path) -> Iterator[Document]:
    """Fortune files: entries separated by lines with a percent sign."""
    for file in sorted(folder.rglob("games/fortunes/*")):
        if file.is_symlink() or file.suffix in {".dat", ".u8"} or not file.is_file():
            continue
        for entry in re.split(r"^%.*$", text_of(file), flags=re.MULTILINE):
            clean = re.sub(r"\x1b\[[0-9;]*m", "", entry)
            if len(re.findall(r"[─│┌┐└┘=|+*\\/_{}<>#~^]", clean)) < len(clean) / 40:
                yield entry[:200], unwrapped(clean)


def unwrapped(text: str) -> list[str]:
    """Paragraphs of line-wrapped text."""
    parts = re.split(r"\n\s*\n|\n(?=\s*(?:--|作者|\())", text)
    return [re.sub(r"(?<=[⺀-鿿，。、；：？！])\s+(?=[⺀-鿿])", "", part) for part in parts]


def pages(folder: Path, pattern: str, element: str, drop: str = r"$^") -> Iterator[Document]:
    """Help pages: the paragraphs (``element``) of each file."""
    for file in sorted(folder.rglob(pattern)):
        if not file.is_file():
            continue
        body = re.sub(drop, "", text_of(file), flags=re.DOTALL)
        found = re.findall(rf"<(?:{element})(?:\s[^>]*)?>(.*?)</(?:{element})>", body, re.DOTALL)
        yield str(file.relative_to(folder)), [plain(part) for part in found]


def manual_pages(folder: Path) -> Iterator[Document]:
    """Chinese manual pages without roff; later checks keep running text only."""
    for file in sorted((folder / "usr/share/man/zh_CN").rglob("*.gz")):
        if file.is_symlink():
            continue
        text = re.sub(r'^\.\\".*$', "", text_of(file), flags=re.MULTILINE)
        text = re.sub(r"^\.(?:SH|SS|TP|PP|P|LP|IP|HP|RS|RE|br|sp).*$", "\n\n", text, flags=re.M)
        text = re.sub(r"^[.'](?:[BIR]+|[A-Z][a-z])\b", "", text, flags=re.MULTILINE)
        text = re.sub(r"\\f[BIRP1-4]|\\f\(..|\\[&|^]|^[.'].*$", "", text, flags=re.MULTILINE)
        yield file.name, unwrapped(text.replace("\\-", "-").replace("\\e", "\\"))


def bible(folder: Path) -> Iterator[Document]:
    """World English Bible, one document per chapter (SWORD's zText: a zlib block per book)."""
    for testament in ("ot", "nt"):
        (blocks,) = folder.rglob(f"{testament}.bzs")
        packed = blocks.with_suffix(".bzz").read_bytes()
        for at, size, _ in struct.iter_unpack("<III", blocks.read_bytes()):
            book = zlib.decompress(packed[at : at + size]).decode() if size else ""
            book = re.sub(r"<note.*?</note>|<title.*?</title>", "", book, flags=re.DOTALL)
            chapters = re.split(r'<chapter [^>]*sID="([^"]*)"[^>]*>', book)
            for name, chapter in zip(chapters[1::2], chapters[2::2], strict=True):
                prose = re.sub(r"</?lg?\b[^>]*>|<lb[^>]*>", " ", chapter)
                yield name, [plain(p) for p in re.split(r'<div [^>]*type="x-p"[^>]*>', prose)]


def examples(folder: Path) -> Iterator[Document]:
    """WordNet's example sentences, one document per set of synonyms."""
    for file in sorted(folder.rglob("wordnet/data.*")):
        for line in file.read_text("latin-1").splitlines():
            quoted = re.findall(r'"([^"]{12,})"', line.partition("|")[2])
            if quoted:
                yield f"{file.name} {line[:8]}", quoted


def devil(folder: Path) -> Iterator[Document]:
    """The Devil's Dictionary, one document per definition."""
    (file,) = folder.rglob("devil.dict.dz")
    for entry in re.split(r"\n(?=[A-Z]{2})", text_of(file)):
        yield entry[:60], unwrapped(entry)


def dialogue(folder: Path) -> Iterator[Document]:
    """Battle for Wesnoth's stories in English and Chinese, one document per message."""
    for file in sorted(folder.rglob("zh_CN/LC_MESSAGES/*.mo")):
        with file.open("rb") as stream:
            # gettext finds a message by its source and has no public way to list them all.
            catalogue = gettext.GNUTranslations(stream)._catalog
        for source, target in sorted((k, v) for k, v in catalogue.items() if isinstance(k, str)):
            if source:
                both = [source.split("\x04")[-1].partition("^")[2] or source, target]
                yield f"{file.name} {source[:200]}", [plain(p) for t in both for p in t.split("\n")]


def graded(folder: Path) -> Iterator[Document]:
    """Sentences for learners of Chinese, with English translations."""
    (file,) = folder.rglob("sentences.json")
    for card in json.loads(file.read_text("utf-8")):
        yield card["id"], [card["chinese"], card["translation"]["en"]]


def sampled(files: Iterable[Path]) -> Iterator[Document]:
    """Answers sampled from SmolLM2 (training/sample_smollm2.py)."""
    for file in files:
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            yield f"{file.name} {number}", json.loads(line)["text"].split("\n")
