"""Entry point of ``python -m ergotext``."""

from ergotext.cli import entry

entry()
