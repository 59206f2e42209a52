"""``python -m ergotext`` is the command line."""

from ergotext.cli import entry

entry()
