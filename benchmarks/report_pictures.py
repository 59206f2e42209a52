"""Pictures of two reports for the docs: ``python benchmarks/report_pictures.py docs/images``.

Needs playwright and an installed Chromium. Writes ``report-write.png`` and ``report-retrieve.png``,
1,000 pixels wide and light, and the same with ``-phone``, 420 pixels wide and dark.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

from ergotext.cli import main

FACTS = Path(__file__).resolve().parents[1] / "examples" / "facts.tsv"
COMMANDS = {
    "write": ["write", "summer", "beach", "ice cream"],
    "retrieve": [
        "retrieve", "-i", "facts.ergo", "-k", "1", "Who painted Guernica?",
        "What is the favourite colour of Marie Curie?",
    ],
}  # fmt: skip
LOOKS = {"": (1000, 1150, "light"), "-phone": (420, 900, "dark")}
"""Width and height in pixels, and the colours."""


def pictures(folder: Path) -> None:
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in COMMANDS:
            for ending, (width, height, scheme) in LOOKS.items():
                size = {"width": width, "height": height}
                page = browser.new_page(viewport=size, color_scheme=scheme)
                page.goto(Path(f"{name}.html").resolve().as_uri())
                file = folder / f"report-{name}{ending}.png"
                if ending and name == "retrieve":  # the question without an answer
                    page.evaluate("document.querySelectorAll('section')[1].scrollIntoView()")
                page.screenshot(path=file)
                # So few colours are enough, and the file is a third.
                Image.open(file).convert("RGB").quantize(128).save(file, optimize=True)
        browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    with TemporaryDirectory() as work:
        os.chdir(work)
        index = ["-o", "facts.ergo", "--tokenizer", "tiny-retriever"]
        assert main(["index", "build", str(FACTS), *index]) == 0
        for name, command in COMMANDS.items():
            assert main([*command, "--report", f"{name}.html"]) == 0
        pictures(target)
