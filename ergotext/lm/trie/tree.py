"""Tries as maps: keys in order, by prefix, with their objects; ``TokenTrie`` is one of arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.key_ids import Key, key_ids
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer, TextTokenizer
from ergotext.lm.trie.keys import key_blocks
from ergotext.lm.trie.states import BLOCK, DEAD, ROOT, VALUE_END, VALUES_END, TrieStates
from ergotext.lm.trie.texts import keys_that_begin, places_of
from ergotext.support.arrays import Ints
from ergotext.support.reprs import ROWS, Listing, called, cut, listed, safe
from ergotext.support.words import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ergotext.lm.automata.prefix_function import PrefixFunction
    from ergotext.lm.causal import CausalLM
    from ergotext.lm.seq2seq import Seq2SeqLM

Ids = tuple[int, ...]
SHOWN = 3
"""Keys in the representation of a trie."""


class Keyed(Automaton):
    """A map from keys to lists of objects, in the sorted order of the keys.

    A key is a text, which the trie's tokenizer reads, or token ids. A prefix that is a text means
    the keys whose text begins with it, whatever tokens the tokenizer parts the two into; token
    ids mean the keys that begin with these tokens. Keys are given out as token ids without the
    end token: ``trie.tokenizer.decode(key)`` is the text of one.
    """

    if TYPE_CHECKING:

        @property
        def alphabet(self) -> Alphabet:
            """The ids of keys."""

        @property
        def tokenizer(self) -> TextTokenizer | None:
            """The tokenizer of texts."""

        @property
        def longest(self) -> int:
            """Tokens of the longest key, end token included."""

        def __contains__(self, key: Key) -> bool:
            """Whether there is such a key."""

    @abstractmethod
    def walk(self, prefix: Key) -> int:
        """The state after a prefix; -1 if no key begins with it."""

    @abstractmethod
    def objects(self, key: Key) -> list[str]:
        """The objects of a key, in the order in which they were given; none for a missing key."""

    @abstractmethod
    def _keys(self, prefix: Ids) -> Iterator[Ids]:
        """The keys that begin with these tokens."""

    @abstractmethod
    def _count(self, prefix: Ids) -> int:
        """How many they are."""

    @safe
    def __repr__(self) -> str:
        keys = [self._text(key) for key in islice(self, SHOWN + 1)]
        return called(type(self).__name__, f"{counted(len(self), 'key')}: {listed(keys, SHOWN)}")

    @safe
    def _repr_html_(self) -> str:
        head = f"{type(self).__name__} of {counted(len(self), 'key')}"
        first = [key for key, _ in zip(self, range(ROWS), strict=False)]
        rows = [[self._text(key), cut(" | ".join(self.objects(key)))] for key in first]
        return Listing(head, ["key", "objects"], rows, len(self) - len(rows)).html()

    def _text(self, key: Ids) -> str:
        """A key to look at: its text, or its token ids without a tokenizer."""
        tokenizer = self.tokenizer
        return cut(str(key) if tokenizer is None else repr(tokenizer.decode(key)), 40)

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, key: Key) -> list[str]:
        """The objects of a key; KeyError for a missing one."""
        if key not in self:
            raise KeyError(f"no key {key!r:.200}: check its spelling; keys(prefix) lists keys")
        return self.objects(key)

    def __iter__(self) -> Iterator[Ids]:
        """All keys, as ``keys`` gives them."""
        return self.keys()

    def __eq__(self, other: object) -> bool:
        """Whether both have the same keys and objects, of the same tokenizer."""
        if not isinstance(other, Keyed):
            return NotImplemented
        if self.alphabet != other.alphabet or len(self) != len(other):
            return False
        return all(a == b for a, b in zip_longest(self.items(), other.items()))

    def __hash__(self) -> int:
        return hash(self.alphabet)  # as keys may change

    def keys(self, prefix: Key = ()) -> Iterator[Ids]:
        """The keys that begin with this prefix, token ids without the end, in sorted order."""
        for place in self._places(prefix):
            yield from self._keys(place)

    def items(self, prefix: Key = ()) -> Iterator[tuple[Ids, list[str]]]:
        """The keys that begin with this prefix, each with its objects, in sorted order."""
        return ((key, self.objects(key)) for key in self.keys(prefix))

    def values(self, prefix: Key = ()) -> Iterator[list[str]]:
        """The objects of each key that begins with this prefix, in sorted order of the keys."""
        return (objects for _, objects in self.items(prefix))

    def count(self, prefix: Key = ()) -> int:
        """Number of keys that begin with this prefix."""
        return sum(map(self._count, self._places(prefix)))

    def get(self, prefix: Key) -> Ints:
        """int64 [n]: the tokens that may follow, rising; the end token where a key ends here."""
        state = self.walk(self.ids(prefix))
        return self.candidates(np.array([state]))[1] if state >= 0 else np.empty(0, dtype=np.int64)

    def prefixes(self, key: Key) -> Iterator[Ids]:
        """The keys that this text, or these token ids, begin with: the shortest first."""
        if isinstance(key, str) and not isinstance(self.tokenizer, CharacterTokenizer):
            self.ids("")  # raises where there is no tokenizer
            yield from keys_that_begin(self, key)
            return
        ids, state = self.ids(key), self.start(1)
        for count, token in enumerate(ids, 1):
            state = self.advance(state, np.array([token]))
            if state[0] < 0 or token == self.alphabet.end:
                return
            if self.accepting(state)[0]:
                yield tuple(ids[:count])

    def longest_prefix(self, key: Key) -> Ids | None:
        """The longest key that this text, or these token ids, begin with; None if there is none."""
        longest = None
        for longest in self.prefixes(key):  # noqa: B007 - the last one is wanted
            pass
        return longest

    def ids(self, key: Key) -> list[int]:
        """The token ids of a key or prefix.

        Raises
        ------
        InputError
            A text, for a trie without a tokenizer; or neither a text nor integers.
        """
        if not isinstance(key, str):
            return key_ids(key)
        if self.tokenizer is None:
            raise InputError(
                f"this trie has no tokenizer to encode {key!r}: give token ids, or set a tokenizer"
            )
        return self.tokenizer.encode(key)

    def prefix_fn(
        self,
        model: PreTrainedModel | Seq2SeqLM | CausalLM,
        prompt_length: int | None = None,
        tokenizer: Any = None,
    ) -> PrefixFunction:
        """A ``prefix_allowed_tokens_fn`` for transformers' ``generate`` that allows these keys.

        Parameters
        ----------
        model : transformers.PreTrainedModel, Seq2SeqLM or CausalLM
            The model that generates, or what ``load`` gave.
        prompt_length : int, optional
            Width of ``input_ids``, left padding included; only a causal model needs it.
        tokenizer : transformers tokenizer, optional
            The model's, to be compared with the trie's.

        Raises
        ------
        InputError
            As ``PrefixFunction``.

        Examples
        --------
        >>> allowed = trie.prefix_fn(model)
        >>> model.generate(
        ...     **inputs,
        ...     prefix_allowed_tokens_fn=allowed,
        ...     max_new_tokens=allowed.max_new_tokens,
        ... )
        """
        # Here, as a trie needs neither torch nor transformers for anything else.
        from ergotext.lm.automata.prefix_function import PrefixFunction

        return PrefixFunction(self, model, prompt_length, tokenizer)

    def _places(self, prefix: Key) -> list[Ids]:
        """The tokens below which the keys lie that begin with a prefix; in sorted order."""
        if isinstance(prefix, str):
            return sorted(place.tokens for place in places_of(self, prefix))
        return [tuple(self.ids(prefix))]


class TokenTrie(TrieStates, Keyed):
    """A set of token sequences with objects to each, in about 30 bytes a key.

    Built by ``builder.build``, saved and loaded by ``file``. Arrays and states are
    described in ``TrieStates``.
    """

    __repr__ = Keyed.__repr__

    def __len__(self) -> int:
        return self.size

    def __contains__(self, key: Key) -> bool:
        return self.ordinal(key) is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenTrie):
            return super().__eq__(other)
        if self.alphabet != other.alphabet or self.size != other.size:
            return False
        # Equal keys and objects make equal arrays, however the trie was built.
        return all(np.array_equal(a, b) for a, b in zip(self.arrays, other.arrays, strict=True))

    __hash__ = Keyed.__hash__

    def walk(self, prefix: Key) -> int:
        """The state after a prefix; -1 if no key begins with it."""
        state = ROOT
        for token in self.ids(prefix):
            state = self._after(state, token)
            if state == DEAD:
                break
        return state

    def objects(self, key: Key) -> list[str]:
        """The objects of a key, in the order in which they were given; none for a missing key."""
        ordinal = self.ordinal(key)
        return [] if ordinal is None else self.values_at(ordinal)

    def _count(self, prefix: Ids) -> int:
        state = self.walk(prefix)
        if state >= self.finished:  # after the end token, which is no part of any key
            return 0
        low, high = self.span(np.array([state]))
        return int(high[0] - low[0])

    def _keys(self, prefix: Ids) -> Iterator[Ids]:
        for ids, offsets in key_blocks(self, self.walk(prefix), limit=BLOCK * BLOCK):
            flat = ids.tolist()
            for low, high in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                yield (*prefix, *flat[low : high - 1])

    def ordinal(self, key: Key) -> int | None:
        """The number of a key in sorted order; None where it is not in the trie."""
        state = self._after(self.walk(key), self.alphabet.end)
        return int(self.ordinals(np.array([state]))[0]) if state >= self.finished else None

    def values_at(self, ordinal: int) -> list[str]:
        """The objects of the key with this number."""
        block, place = divmod(ordinal, BLOCK)
        low, high = self.pool_blocks[block : block + 2].clip(0, len(self.pool)).tolist()
        keys = self.pool[low:high].tobytes().split(bytes([VALUES_END]))
        objects = keys[place].split(bytes([VALUE_END]))[:-1] if place < len(keys) else []
        return [o.decode("utf-8", errors="replace") for o in objects]

    def _after(self, state: int, token: int) -> int:
        """``advance`` for one row, without the price of arrays."""
        if state < 0 or not 0 <= token < self.alphabet.size:
            return DEAD
        if state >= self.finished:
            return state if token == self.alphabet.pad else DEAD
        if state >= self.nodes:
            if int(self.tail[state - self.nodes]) != token:
                return DEAD
            return state + (len(self.tail) if token == self.alphabet.end else 1)
        low = min(int(self.first[state]), len(self.token))
        high = max(low, min(int(self.first[state + 1]), len(self.token)))
        edge = low + int(self.token[low:high].searchsorted(self.token.dtype.type(token)))
        if edge >= high or int(self.token[edge]) != token:
            return DEAD
        return int(self.target[edge])


def settled(trie: object) -> TokenTrie:
    """The trie itself; InputError if it is one with changes, or none at all."""
    if not isinstance(trie, TokenTrie):
        raise InputError(
            f"a {type(trie).__name__} has pending changes: merge them with compact() first"
        )
    return trie
