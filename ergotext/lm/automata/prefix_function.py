"""``prefix_allowed_tokens_fn`` for transformers' ``generate``, from a trie."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from ergotext.errors import InputError
from ergotext.lm.automata.generated_rows import (
    DEAD,
    DeadEndWarning,
    GeneratedRows,
    WrittenRows,
)
from ergotext.lm.automaton_base import check_known
from ergotext.lm.causal import CausalLM
from ergotext.lm.protocols import Automaton
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.support.arrays import Ints

LEFT = (
    "a row of generate left the trie and was closed: beams had more places than ways, or another "
    "option (a minimum length, a forced token) led it there; accepted() tells such rows"
)
"""Said alike each time, so that Python shows it once."""


class KeySet(Automaton, Protocol):
    """Interface of automata that are sets of keys (``TokenTrie``, ``EditableTrie``)."""

    @property
    def alphabet(self) -> Alphabet:
        """The ids of keys."""

    @property
    def longest(self) -> int:
        """Tokens of the longest key, end token included."""

    def __len__(self) -> int:
        """Number of keys."""


class PrefixFunction(GeneratedRows):
    """Keeps ``model.generate(..., prefix_allowed_tokens_fn=this)`` to the keys of a trie.

    ``trie.prefix_fn(model)`` makes one. For greedy search, sampling and beams, in batches, with
    causal and encoder-decoder models. A finished row is padded. A row that has left the trie (other
    options of generate force a token, or beams have more places than ways) is closed with the end
    token and counted in ``dead_ends``, and a ``DeadEndWarning`` is given: it never continues
    unconstrained.

    Give generate ``max_new_tokens=this.max_new_tokens``: a row that is cut off earlier is no key.
    ``accepted`` says which rows of the output are; with fewer keys than beams some are not.

    Parameters
    ----------
    trie : TokenTrie or EditableTrie
        Built with the model's tokenizer.
    model : transformers.PreTrainedModel, Seq2SeqLM or CausalLM
        The model that generates, or what ``load`` gave.
    prompt_length : int, optional
        Of a causal model the width of ``input_ids``, left padding included. Of an encoder-decoder
        found by itself: the start token and, if the keys do not hold it, a forced first token.
    tokenizer : transformers tokenizer, optional
        The model's, to be compared with the trie's. What ``load`` gave has its own.

    Raises
    ------
    InputError
        The trie has no keys, holds tokens that the model lacks, or was built with another tokenizer
        or end token; or ``prompt_length`` is missing for a causal model. In generate: ``input_ids``
        is not as wide as ``prompt_length`` says.

    Notes
    -----
    Generate calls this row by row and wants lists: on a trie whose root has thousands of children
    the first step is slow. ``AutomatonLogitsProcessor`` does the same for all rows at once.

    References
    ----------
    De Cao et al. 2021, "Autoregressive Entity Retrieval", section 3.2.
    """

    def __init__(
        self,
        trie: KeySet,
        model: PreTrainedModel | Seq2SeqLM | CausalLM | Any,
        prompt_length: int | None = None,
        tokenizer: Any = None,
    ) -> None:
        if not len(trie):
            raise InputError("the trie has no keys, so nothing may be generated: add some")
        network = model.model if isinstance(model, (Seq2SeqLM, CausalLM)) else model
        super().__init__(trie, network, prompt_length)
        _check_tokenizer(trie.alphabet, _tokenizer(model, tokenizer))
        self._size = _vocabulary(network)
        check_known(np.array([_highest(trie, self._size)]), self._size)
        self._forced = getattr(network.generation_config, "forced_bos_token_id", None)
        # Of an encoder-decoder, generate counts all tokens after the start token.
        begun = self.prompt_length - 1 if network.config.is_encoder_decoder else 0
        self._begun = max(begun, 0)
        forced = getattr(network.generation_config, "forced_eos_token_id", None)
        self._forces_another = forced not in (None, trie.alphabet.end, [trie.alphabet.end])
        self._trie = trie
        self._width = -1
        self._known: list[dict[bytes, WrittenRows]] = [{}, {}]
        """rows of the last width and of this, by what they have written"""

    @property
    def max_new_tokens(self) -> int:
        """Number of tokens that generate needs for the longest key.

        One more where it would force another token than the end in the last place.
        """
        return self._trie.longest + self._begun + self._forces_another

    def __call__(self, batch_id: int, sent: Tensor) -> list[int]:  # noqa: ARG002 - generate gives it
        """The tokens that may follow ``sent`` (int64 [t]: prompt and what has been written)."""
        ids: Ints = sent.cpu().numpy()[None].astype(np.int64)
        new = ids.shape[1] != self._width
        if new:
            self._width, self._known = ids.shape[1], [self._known[1], {}]
        self._check_prompts(ids, first=new)
        if ids.shape[1] < self.prompt_length:
            return [self._forced] if self._forced is not None else list(range(self._size))
        written = self._row(ids[:, self.prompt_length :])
        if written.finished[0]:
            return [self._padding(self._size)]
        if written.states[0] == DEAD:
            self.dead_ends += 1
            warnings.warn(LEFT, DeadEndWarning, stacklevel=2)
            return [self.automaton.end]
        token = self.automaton.candidates(written.states)[1]
        self._check_size(token, self._size)
        return [int(one) for one in token]

    def _row(self, ids: Ints) -> WrittenRows:
        """Where a row [1, t] stands: one step from a row of the last call."""
        if not ids.shape[1]:  # not kept: the trie may have changed since the last generate
            return WrittenRows.nothing(self.automaton, 1)
        last, now = self._known
        key = ids.tobytes()
        if key not in now:
            before = last.get(ids[:, :-1].tobytes())
            if before is None:
                now[key] = WrittenRows.walk(self.automaton, ids)
            else:
                now[key] = before.read(self.automaton, ids[:, -1])
        return now[key]


def _tokenizer(model: Any, given: Any) -> FastTokenizer | None:
    """The tokenizer of keys that the model writes, if it is known."""
    if given is not None:
        return FastTokenizer(given, causal=_is_causal(model))
    if isinstance(model, Seq2SeqLM):
        return model.keys
    if isinstance(model, CausalLM):
        return FastTokenizer(model.vocabulary.tokenizer, causal=True)
    return None


def _is_causal(model: Any) -> bool:
    if isinstance(model, (Seq2SeqLM, CausalLM)):
        return isinstance(model, CausalLM)
    return not model.config.is_encoder_decoder


def _check_tokenizer(built: Alphabet, own: FastTokenizer | None) -> None:
    # A trie of bare ids has no tokenizer to compare.
    if own is not None and built.fingerprint and own.alphabet != built:
        raise InputError(
            f"the trie was built with another tokenizer ({built.fingerprint}) than the model's "
            f"({own.alphabet.fingerprint}): build it with load_tokenizer and the model's name"
        )


def _vocabulary(model: Any) -> int:
    """Number of tokens the model scores."""
    output = getattr(model, "get_output_embeddings", lambda: None)()
    if output is not None:
        return len(output.weight)
    return int(model.config.get_text_config().vocab_size)


def _highest(trie: KeySet, size: int) -> int:
    """The highest token of the keys, or a bound that is below ``size``."""
    bound = trie.alphabet.size - 1
    if bound < size:
        return bound
    # Padding may be a number after all tokens, and a tokenizer may have more than keys hold. Keys
    # that were added to an ``EditableTrie`` are checked as they are come to.
    arrays = [getattr(getattr(trie, "base", trie), name, None) for name in ("token", "tail")]
    return max((int(one.max(initial=0)) for one in arrays if one is not None), default=0)
