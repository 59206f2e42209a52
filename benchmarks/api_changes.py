"""What would break for users of the public API since a tag or commit.

``python benchmarks/api_changes.py [REF]`` (``make api REF=v1.2.0``) compares the code with that of
REF, by default the last tag, and lists what griffe finds: names that are gone, arguments that are
gone, moved, renamed or newly needed, other defaults. Public is what the API pages named at REF.
The exit code is 1 if there is anything to list.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def git(*arguments: str) -> str:
    """What git prints; nothing if it fails."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout


def public(pages: str) -> set[str]:
    """The paths that API pages name; of a module with ``members``, these."""
    paths = set()
    for path, options in ENTRY.findall(pages):
        members = re.search(r"members: \[(.*)\]", options)
        module = path.rsplit(".", 1)[-1].islower()
        if members and module:
            paths |= {f"{path}.{name.strip()}" for name in members[1].split(",")}
        else:
            paths.add(path)
    return paths


def concerns(path: str, names: set[str]) -> bool:
    """Whether an object is, holds or belongs to one of the names."""
    return any(f"{path}.".startswith(f"{one}.") or one.startswith(f"{path}.") for one in names)


def main(ref: str = "") -> int:
    """Print what breaks."""
    ref = ref or git("describe", "--tags", "--abbrev=0").strip()
    files = git("ls-tree", "-r", "--name-only", ref, "docs/api", "docs/api.md").split()
    if not files:
        why = f"{ref} has no API pages" if ref else "there is no tag yet"
        raise SystemExit(f"{why}; name a commit: make api REF=…")
    names = public("\n".join(git("show", f"{ref}:{file}") for file in files))
    logging.disable()
    old = griffe.load_git("ergotext", ref=ref, repo=ROOT)
    new = griffe.load("ergotext", search_paths=[ROOT])
    lines = set()
    for change in griffe.find_breaking_changes(old, new):
        if concerns(change.obj.path, names):
            told = COLOUR.sub("", change.explain(griffe.ExplanationStyle.ONE_LINE))
            lines.add(f"{change.obj.path}: {told.partition(': ')[2]}")
    print(*sorted(lines), sep="\n", end="\n" * bool(lines))
    print(f"{len(lines)} changes since {ref} that may break users of {len(names)} public names")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
