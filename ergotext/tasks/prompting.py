"""Condition a model on a request, after examples of such requests and what answers them."""

from __future__ import annotations

from collections.abc import Sequence

from ergotext.lm.text_scorer import TextScorer


def prompted(
    examples: Sequence[str], request: str, lm: TextScorer, room: int, short: str | None = None
) -> TextScorer:
    """The model after some examples and a request, a blank line between them.

    Examples are left out, the first ones first, where the context window is too short.

    Parameters
    ----------
    examples : sequence of str
    request : str
        It ends where the model goes on.
    lm : CausalLM
    room : int
        Tokens that the window must leave.
    short : str, optional
        What the model is given where not even the request fits.

    Raises
    ------
    InputError
        The request does not fit, and there is nothing shorter.
    """
    contexts = ["\n\n".join([*examples[n:], request]) for n in range(len(examples) + 1)]
    most = int(getattr(lm, "max_positions", 1 << 20)) - 1 - room
    fits = (each for each in contexts if len(lm.vocabulary.encode(each)) <= most)
    return lm.given(next(fits, request if short is None else short))
