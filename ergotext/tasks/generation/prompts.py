"""Plain prompts, and messages in a model's chat template, as the tokens that a model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.support.words import check_text

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[Message]
"""A text, or the messages of a chat: ``[{"role": "user", "content": "…"}]``."""


@dataclass(frozen=True)
class ReadPrompt:
    """A prompt as a model reads it.

    Parameters
    ----------
    ids : tuple of int
        From the start token on.
    chat : bool
        Whether it is a chat, in which the model answers until its end token.
    spaces : str
        Spaces that were cut off its end, for the model to write.
    """

    ids: tuple[int, ...]
    chat: bool
    spaces: str = ""


def prompts_of(given: Prompt | Sequence[Prompt]) -> tuple[list[Prompt], bool]:
    """A list of prompts, and whether there was one alone.

    Raises
    ------
    InputError
        A prompt is neither a text nor messages, or there is none.
    """
    alone = isinstance(given, str) or _is_chat(given)
    found: list[Any] = [given] if alone else list(given) if isinstance(given, Sequence) else []
    if not found:
        raise InputError(f"a prompt must be a text or a list of messages, got {given!r:.60}")
    for one in found:
        if isinstance(one, str):
            check_text(one, "a prompt")
        elif not _is_chat(one):
            raise InputError(
                f"a prompt must be a text or a list of messages such as "
                f'{{"role": "user", "content": "…"}}, got {one!r:.60}'
            )
    return found, alone


def _is_chat(given: object) -> bool:
    return (
        isinstance(given, list | tuple)
        and bool(given)
        and all(isinstance(one, Mapping) and {"role", "content"} <= {*one} for one in given)
    )


def read_as(lm: CausalLM, prompt: Prompt, chat: bool | None, spaces: bool = False) -> ReadPrompt:
    """The tokens of one prompt.

    Parameters
    ----------
    lm : CausalLM
    prompt : str or messages
    chat : bool, optional
        Whether a text is put into the chat template, as the user's message. Messages always are.
    spaces : bool
        Whether spaces at the end of a plain prompt are cut off.

    Raises
    ------
    InputError
        The model has no chat template, or its template refuses the messages; or it has a context
        (``lm.given``), which a chat has no place for.
    """
    if isinstance(prompt, str) and not chat:
        text = prompt.rstrip(" ") if spaces else prompt
        ids = lm.vocabulary.encode(text)
        return ReadPrompt((lm.start_id, *lm.context, *ids), False, prompt[len(text) :])
    if chat is False:
        raise InputError("messages are read in the chat template: drop chat=False, or give a text")
    if lm.context:
        raise InputError(
            f"the context {lm.vocabulary.text(lm.context)!r:.60} of this model has no place in a "
            "chat: put it into the messages, and give the model without it"
        )
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    ids = lm.vocabulary.encode(_rendered(lm.vocabulary.tokenizer, messages))
    return ReadPrompt(tuple(ids) if ids else (lm.start_id,), True)


def _rendered(tokenizer: Any, messages: list[Any]) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            "this model has no chat template: give the prompt as a text, without chat=True (--chat)"
        )
    try:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )
    except Exception as error:  # jinja2's own, and whatever a template raises
        told = " ".join(str(error).split())
        raise InputError(f"the chat template refuses these messages: {told:.200}") from error
