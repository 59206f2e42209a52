"""Generate texts that satisfy a schema, type, expression, choice, grammar or index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from typing_extensions import Unpack

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.loading import load_causal
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.generation.options import (
    GenerationKeywords,
    GenerationOptions,
    Method,
    TextEnd,
)
from ergotext.tasks.generation.prompts import Prompt, ReadPrompt, prompts_of, read_as
from ergotext.tasks.generation.results import Generations
from ergotext.tasks.generation.run import GenerationRun
from ergotext.tasks.generation.wanted import Wanted, wanted


@overload
def generate(  # type: ignore[overload-overlap]  # a text is a sequence of texts, too
    lm: str | CausalLM, prompt: Prompt, output_type: Any = ..., **told: Unpack[GenerationKeywords]
) -> Generations: ...
@overload
def generate(
    lm: str | CausalLM,
    prompt: Sequence[Prompt],
    output_type: Any = ...,
    **told: Unpack[GenerationKeywords],
) -> list[Generations]: ...
def generate(
    lm: str | CausalLM,
    prompt: Prompt | Sequence[Prompt],
    output_type: Any = None,
    *,
    schema: str | bool | Mapping[str, Any] | None = None,
    regex: str | None = None,
    choices: Sequence[str] | None = None,
    grammar: str | None = None,
    trie: TokenTrie | str | Path | None = None,
    n: int = 1,
    method: Method = "best",
    seed: int = 0,
    max_tokens: int | None = None,
    chat: bool | None = None,
    end: TextEnd | None = None,
    whitespace: bool = False,
    alternatives: bool = False,
    beams: int | None = None,
    particles: int | None = None,
    prefixes: int = 256,
) -> Generations | list[Generations]:
    """Generate texts under a constraint, as objects with their probabilities.

    Every text satisfies the constraint. Probabilities are those of texts, summed over the ways to
    cut them into tokens, under the model's law given that the whole text satisfies the constraint:
    p(text, its end | prompt) / Z. This is not what a model with masked tokens draws from.

    Parameters
    ----------
    lm : str or CausalLM
        A model, or the name of one (``et.load``).
    prompt : str, messages or a list of these
        Messages, ``[{"role": "user", "content": "…"}]``, go through the model's chat template; a
        text is read as it is. Of a list there is a list of results, each what it is alone.
    output_type : type, optional
        What pydantic has a JSON schema of: a model, a dataclass, ``list[int]``, ``bool``…; values
        are its instances. ``Literal`` of texts, an ``Enum`` of texts and a list of texts are
        choices, a mapping is a schema; an automaton or a trie is itself.
    schema : mapping, bool or str, optional
        JSON schema (``ergotext.lm.automata.json_schema``); values are what JSON holds. A string
        with ``x-index``, the file of an index or ``et.key_of``, is any key of the index.
    regex, grammar : str, optional
        The whole text (``ergotext.lm.automata.regex`` and ``grammar``); values are texts. In a rule
        of a grammar, ``%index "people.ergo"`` or ``et.key_of`` is any key of an index.
    choices : sequence of str, optional
        The whole text is one of these. Spaces at the end of a plain prompt are left for the model
        to write, as the first token of a choice would have them.
    trie : TokenTrie or path, optional
        An index of the model's own tokens. Values are the objects of a key; of an index without
        objects, its texts.
    n : int
        How many texts. There may be fewer.
    method : "best" or "sample"
        ``best`` searches for the most probable texts. ``sample`` draws from the law: exactly where
        all texts can be listed, else by particles (``smc``) whose weights are exact, so that draws
        are as good as their number; then log Z and the probabilities are estimates.
    seed : int
        Of the draws: the same seed gives the same texts on the same machine.
    max_tokens : int, optional
        Maximum number of tokens of a text (128, or less where the window is short). Longer texts
        are not part of the law.
    chat : bool, optional
        True puts a prompt that is a text into the chat template, as the user's message.
    end : "token" or "line", optional
        Where a text ends: at the model's end token, or at this or any token that begins with a
        line break, which then is no part of a text. By default ``line`` for plain prompts, after
        which few models write their end token, and ``token`` for chats, grammars, automata and
        ``whitespace``.
    whitespace : bool
        Whether JSON may have spaces and line breaks around all parts; if not, it has none.
    alternatives : bool
        Also tell, for each field of JSON whose schema lists its values (enum, const, boolean,
        null), the probability of each value where the field stands.
    beams : int, optional
        Beam width of the search (8, or 2n).
    particles : int, optional
        Of ``sample``: 32, or 4n. Of ``best``: so many estimate log Z and probabilities.
    prefixes : int
        Beginnings that are followed at most to list texts and bound probabilities.

    Returns
    -------
    Generations, or a list of them for a list of prompts
        A sequence of ``Generation``; ``value`` and ``probability`` are those of the first.

    Raises
    ------
    InputError
        The constraint is malformed, impossible or several; the prompt is longer than the window
        of the model leaves room for, or the model has no chat template; a number is too small.
    ErgotextError
        No text was found within ``max_tokens``.

    Notes
    -----
    Where all texts of a constraint can be listed in every spelling, as of a few choices, all
    numbers are exact up to the rounding of the network, or within ``bounds``, which are certain.
    Of other constraints the search sums over the spellings that it found, and a text's bounds
    are wide: give ``particles`` for an estimate of its probability.

    Examples
    --------
    >>> told = et.generate("smollm2", "Is the sun hot? Answer: ", choices=["yes", "no"])
    >>> told.value, told.probability, told.alternatives
    """
    options = GenerationOptions(
        n, method, seed, max_tokens, chat, end, whitespace, alternatives, beams, particles, prefixes
    )
    prompts, alone = prompts_of(prompt)
    what = wanted(
        output_type, schema=schema, regex=regex, choices=choices, grammar=grammar, trie=trie
    )
    model = load_causal(lm) if isinstance(lm, str) else lm
    found = PromptGenerator(model, what, options)(prompts)
    return found[0] if alone else found


class PromptGenerator:
    """``generate`` for one prompt after another, with what was checked before.

    The automaton is built once, and what was explored of it is kept.

    Parameters
    ----------
    lm : CausalLM
    what : Wanted
    options : GenerationOptions

    Raises
    ------
    InputError
        The model is not a causal one.
    """

    def __init__(self, lm: CausalLM, what: Wanted, options: GenerationOptions) -> None:
        if not isinstance(lm, CausalLM):
            raise InputError(
                f"a {type(lm).__name__} cannot generate here: use a causal language model"
            )
        self.lm, self.what, self.options = lm, what, options
        self._runs: dict[tuple[bool, str, GenerationOptions], GenerationRun] = {}

    def __call__(self, prompts: Sequence[Prompt]) -> list[Generations]:
        """What is generated for each; prompts that end alike are read side by side."""
        spaces = self.what.kind == "choices"
        read = [read_as(self.lm, one, self.options.chat, spaces) for one in prompts]
        numbered = len(read) > 1
        named = [f"prompt {k + 1}" if numbered else "the prompt" for k in range(len(read))]
        groups: dict[tuple[Any, int], list[int]] = {}
        for place, one in enumerate(read):
            kind = (one.chat, one.spaces, self.options.within(self._left(one, named[place])))
            # A chat template need not begin with the same token for all messages.
            groups.setdefault((kind, one.ids[0]), []).append(place)
        found: dict[int, Generations] = {}
        for (kind, _), places in groups.items():
            if kind not in self._runs:
                self._runs[kind] = GenerationRun.of(self.lm, self.what, *kind)
            some = self._runs[kind].all([read[k] for k in places])
            found |= zip(places, some, strict=True)
        return [found[k] for k in range(len(read))]

    def _left(self, prompt: ReadPrompt, name: str) -> int:
        """Tokens that the window leaves for a text."""
        left, asked = self.lm.max_positions - len(prompt.ids), self.options.max_tokens
        if left < (asked or 1):
            more = "" if left < 1 else f", and {asked} more may follow (max_tokens)"
            advice = "shorten the prompt" + ("" if left < 1 else ", or lower max_tokens")
            raise InputError(
                f"{name} has {len(prompt.ids):,} tokens{more}, but the window of this "
                f"model has {self.lm.max_positions:,}: {advice}"
            )
        return left
