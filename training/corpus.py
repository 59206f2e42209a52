"""Download and prepare the training text of the included models, split by document.

    python training/corpus.py --work work [--samples samples-1.jsonl samples-2.jsonl]

downloads Debian packages (apt-get download; nothing is installed) and one wheel, and writes
``work/train.jsonl``, ``work/heldout.jsonl`` (one document per line) and ``work/sources.json``
(version and sha256 of every package). A document is held out if the first byte of the sha256 of
its name is below 8 (one in 32), so the split depends on the name alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from readers import (
    Document,
    bible,
    cookies,
    devil,
    dialogue,
    examples,
    graded,
    manual_pages,
    pages,
    sampled,
)

KNOWN = Path(__file__).with_name("sources.json")
"""The packages used for the included models; snapshot.debian.org has older Debian packages."""
HELD_OUT_BELOW = 8
WESNOTH = [f"wesnoth-1.16-{part}" for part in (
    "data", "did", "dm", "dw", "ei", "httt", "l", "low", "nr", "sof", "sota", "sotbe", "thot",
    "trow", "tsg", "ttb", "utbs",
)]  # fmt: skip
DEBIAN = [
    "debian-faq-zh-cn", "debian-handbook", "debian-reference-zh-cn", "dict-devil", "fortunes",
    "fortunes-min", "fortunes-zh", "gnome-user-docs", "installation-guide-amd64",
    "libreoffice-help-zh-cn", "manpages-zh", "sword-text-web", "wordnet-base", *WESNOTH,
]  # fmt: skip
WHEEL = "hsk-sentences-audio==1.0.0"
SHARE = {"sword-text-web": 64}
"""Documents taken out of 256, if not all, so that one source does not dominate."""


def fetch(work: Path) -> dict[str, dict[str, str]]:
    """Download and unpack missing packages; return version and sha256 of each."""
    packages, unpacked = work / "packages", work / "unpacked"
    packages.mkdir(parents=True, exist_ok=True)
    sources = {}
    for name in DEBIAN:
        if not list(packages.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", name], cwd=packages, check=True)
        (file,) = packages.glob(f"{name}_*.deb")
        if not (unpacked / name).exists():
            subprocess.run(["dpkg", "-x", file, unpacked / name], check=True)
        version = file.name.split("_")[1].replace("%3a", ":")
        sources[name] = {"version": version, "sha256": digest(file)}
    wheel, version = WHEEL.split("==")
    if not list(packages.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", packages, WHEEL]
        subprocess.run(command, check=True)
    (file,) = packages.glob("*.whl")
    if not (unpacked / wheel).exists():
        subprocess.run([sys.executable, "-m", "zipfile", "-e", file, unpacked / wheel], check=True)
    sources[wheel] = {"version": version, "sha256": digest(file)}
    return sources


def digest(file: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def documents(unpacked: Path, samples: Iterable[Path]) -> Iterator[tuple[str, Document]]:
    """Every document, with its package."""
    block = "p|li|dd"
    credit = r"<info>.*?</info>|<screen>.*?</screen>|<code>.*?</code>"
    readers = {
        "debian-faq-zh-cn": lambda f: pages(f, "*.html", block),
        "debian-handbook": lambda f: [
            *pages(f, "zh-CN/*.html", "div|p", r"<pre.*?</pre>"),
            *pages(f, "en-US/*.html", "p", r"<pre.*?</pre>"),
        ],
        "debian-reference-zh-cn": lambda f: pages(f, "*.html", block, r"<pre.*?</pre>"),
        "dict-devil": devil,
        "gnome-user-docs": lambda f: [
            *pages(f, "help/zh_CN/gnome-help/*.page", "p|desc|title", r"<screen>.*?</screen>"),
            *pages(f, "help/C/gnome-help/*.page", "p", credit),
        ],
        "installation-guide-amd64": lambda f: pages(f, "zh_CN/*.html", block, r"<pre.*?</pre>"),
        "libreoffice-help-zh-cn": lambda f: pages(f, "text/s[wicmh]*/*.html", "p"),
        "manpages-zh": manual_pages,
        "sword-text-web": bible,
        "wordnet-base": examples,
        "hsk-sentences-audio": graded,
    }
    for name in [*DEBIAN, WHEEL.split("==")[0]]:
        default = cookies if name.startswith("fortunes") else dialogue
        for document in readers.get(name, default)(unpacked / name):
            yield name, document
    for document in sampled(samples):
        yield "smollm2", document


def usable(paragraph: str) -> bool:
    """Running text in English or Chinese: no tables, code, other scripts, or broken bytes."""
    letters = sum(c.isalpha() for c in paragraph)
    chinese = len(re.findall(r"[一-鿿]", paragraph))
    plain_letters = chinese + len(re.findall(r"[A-Za-z]", paragraph))
    odd = len(re.findall(r"[^\w\s.,;:!?'\"()“”‘’—–…、，。；：！？（）《》「」-]", paragraph))
    words = len(re.findall(r"[A-Za-z]+", paragraph))
    return (
        "\ufffd" not in paragraph
        and plain_letters == letters
        and letters > 0.7 * len(re.sub(r"\s", "", paragraph))
        and odd < len(paragraph) / 50
        and (chinese >= 5 if 8 * chinese > letters else words >= 4)
        and (chinese == 0 or chinese > 0.5 * letters)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--samples", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    sources = fetch(args.work)
    for name, known in json.loads(KNOWN.read_text("utf-8")).items():
        if name in sources and sources[name]["sha256"] != known["sha256"]:
            print(f"{name} differs from the version that the models were trained on: {known}")
    sources["smollm2"] = {"samples": ", ".join(digest(file) for file in args.samples)}
    seen: set[str] = set()
    count: dict[str, list[int]] = {}
    with (
        (args.work / "train.jsonl").open("w", encoding="utf-8") as train,
        (args.work / "heldout.jsonl").open("w", encoding="utf-8") as heldout,
    ):
        for source, (name, raw) in documents(args.work / "unpacked", args.samples):
            # Each paragraph is used once, so held-out text never occurs in the training text.
            tidy = [re.sub(r"\s+", " ", paragraph).strip() for paragraph in raw]
            fresh = [p for p in dict.fromkeys(tidy) if p not in seen and usable(p)]
            seen.update(fresh)
            if not fresh:
                continue
            chance = hashlib.sha256(f"{source} {name}".encode()).digest()
            if chance[1] >= SHARE.get(source, 256):
                continue
            held = chance[0] < HELD_OUT_BELOW
            line = {"source": source, "name": name, "paragraphs": fresh}
            (heldout if held else train).write(json.dumps(line, ensure_ascii=False) + "\n")
            characters = count.setdefault(source, [0, 0])
            characters[held] += sum(map(len, fresh))
    for source, (kept, held) in count.items():
        sources[source] |= {"characters": str(kept), "held out": str(held)}
        print(f"{source:28} {kept:9,} characters for training, {held:8,} held out")
    (args.work / "sources.json").write_text(json.dumps(sources, indent=1) + "\n")


if __name__ == "__main__":
    main()
