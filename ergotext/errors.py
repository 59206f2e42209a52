"""Exceptions raised by ergotext."""


class ErgotextError(Exception):
    """Base of the errors that ergotext raises on purpose; the message says what to do."""


class InputError(ErgotextError, ValueError):
    """Invalid input from the caller (a usage error)."""


class ModelError(ErgotextError, RuntimeError):
    """A model could not be found, read, converted or run."""
