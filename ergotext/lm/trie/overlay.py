"""Changes to a trie: added keys and removed keys, merged on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.key_ids import Key
from ergotext.lm.protocols import Classes
from ergotext.lm.ragged import spread
from ergotext.lm.tokenizers.characters import Alphabet, TextTokenizer
from ergotext.lm.trie.builder import (
    RUN_BYTES,
    Item,
    TrieBuilder,
    build,
    check_keys,
    encoded,
    object_bytes,
    parted,
    several,
)
from ergotext.lm.trie.distance import FAR
from ergotext.lm.trie.names.build import with_names
from ergotext.lm.trie.overlay_arrays import Changes, gone_states, within
from ergotext.lm.trie.states import DEAD
from ergotext.lm.trie.tree import Ids, Keyed, TokenTrie
from ergotext.support.arrays import Ints


class EditableTrie(AutomatonBase, Keyed):
    """A trie and changes to it, which answers like a trie (and is an ``Automaton``).

    The base is never written to. What is added is a trie of its own, and what is removed a set of
    numbers; both are meant to stay small, and ``compact`` merges them into a new base. The trie of
    additions is rebuilt at the first question after a change, so many changes between two
    questions cost as much as one: make them in batches.

    A state is the pair of the states in both tries as one number, (b + 1) + (a + 1)·S - 1 with S
    above every b + 1; so -1 is dead in both. States hold until the next change.

    Parameters
    ----------
    base : TokenTrie
    """

    def __init__(self, base: TokenTrie) -> None:
        self.base = base
        self._added: dict[tuple[int, ...], list[str]] = {}
        self._removed: dict[int, tuple[int, ...]] = {}
        self._settled: Changes | None = None

    __repr__ = Keyed.__repr__

    def add(self, key: Key, *objects: str) -> None:
        """Add a key; objects are appended to those it has.

        Raises
        ------
        InputError
            The key has no tokens, or an id that no key may hold; an object is no text, or has a
            lone surrogate. Nothing is changed then.
        """
        none: list[str | None] = [None]
        self.add_many([(key, o) for o in (objects or none)])

    def add_many(self, pairs: Iterable[Item]) -> None:
        """Add keys with an object, or none, each; as ``builder.build`` takes them.

        Raises
        ------
        InputError
            As ``add``. Nothing is changed then.
        """
        keys, own_objects = parted(several(pairs))
        object_bytes(own_objects)  # found out before anything is changed
        ids, offsets = encoded(keys, self.tokenizer)
        check_keys(self.base.alphabet, ids, offsets)
        flat, bounds = ids.tolist(), offsets.tolist()
        for own, low, high in zip(own_objects, bounds[:-1], bounds[1:], strict=True):
            objects = self._added.setdefault(tuple(flat[low:high]), [])
            if own is not None:
                objects.append(own)
        self._settled = None

    def remove(self, key: Key) -> None:
        """Remove a key with all its objects.

        Raises
        ------
        InputError
            There is no such key.
        """
        ids = self._present(key, "remove")
        self._added.pop(ids, None)
        ordinal = self.base.ordinal(ids)
        if ordinal is not None:
            self._removed[ordinal] = ids
        self._settled = None

    def remove_prefix(self, prefix: Key) -> int:
        """Remove all keys that begin with a prefix; how many there were.

        Raises
        ------
        InputError
            There is none.
        """
        keys = list(self.keys(prefix))
        if not keys:
            raise InputError(f"no key begins with {prefix!r:.60}: check its spelling")
        for key in keys:
            self.remove(key)
        return len(keys)

    def replace(self, key: Key, *objects: str) -> None:
        """Give a key these objects, or none, instead of those that it has.

        Raises
        ------
        InputError
            There is no such key; an object is no text, or has a lone surrogate. Nothing is changed
            then.
        """
        if wrong := [o for o in objects if not isinstance(o, str)]:
            raise InputError(f"the object {wrong[0]!r:.60} is not a text: give a str")
        object_bytes(objects)  # found out before anything is changed
        ids = self._present(key, "replace the objects of")
        self.remove(ids)
        self.add(ids, *objects)

    def _present(self, key: Key, what: str) -> Ids:
        """The ids of a key that is there; InputError for any other."""
        ids = tuple(self.ids(key))
        if ids not in self:
            raise InputError(f"no key {key!r:.200} to {what}: check its spelling")
        return ids

    def compact(self, run_bytes: int = RUN_BYTES) -> TokenTrie:
        """Merge all changes into a new base, in bounded memory (as ``build``), and return it.

        If the base has names, so has the new one (``names``): found anew, as keys have moved.
        """
        removed = self._changes.removed
        chosen = self.tokenizer or self.base.alphabet
        with TrieBuilder(chosen, run_bytes=run_bytes) as builder:
            builder.add_trie(self.base, without=removed)
            builder.add_pairs(self._added_pairs())
            base = builder.finish()
        if self.base.names is not None:
            base = with_names(base)
        self.base, self._added, self._removed, self._settled = base, {}, {}, None
        return base

    @property
    def alphabet(self) -> Alphabet:
        """The ids of keys: those of the base."""
        return self.base.alphabet

    @property
    def tokenizer(self) -> TextTokenizer | None:
        """The tokenizer of the base."""
        return self.base.tokenizer

    @property
    def end(self) -> int:
        """The token that closes a key."""
        return self.base.end

    def start(self, count: int) -> Ints:
        """int64 [count]: the root, once a row."""
        return np.full(count, self.walk(()), dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""
        base, added = self._parted(states)
        # A row that is dead in both asks the base, which allows it padding.
        asking = np.flatnonzero((base != DEAD) | (added == DEAD))
        row, token, to_base = self.base.candidates(base[asking])
        kept = ~self._gone(to_base)
        to_base, code = to_base[kept], self._code(asking[row], token)[kept]
        asking = np.flatnonzero(added != DEAD)
        row, token, to_added = self._changes.added.candidates(added[asking])
        more = self._code(asking[row], token)
        every = np.union1d(code, more)
        following = np.full((2, len(every)), DEAD, dtype=np.int64)
        following[0, np.searchsorted(every, code)] = to_base
        following[1, np.searchsorted(every, more)] = to_added
        size = self.alphabet.size
        return every // size, every % size, self._pair(*following)

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: whether the tokens read are a key, its end token read or yet to be."""
        end = np.full(len(states), self.alphabet.end, dtype=np.int64)
        return self._complete(states) | self._complete(self.advance(states, end))

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        """int64 [B]: each state after one token; -1 where no key continues with it."""
        base, added = self._parted(states)
        base = self.base.advance(base, tokens)
        base[self._gone(base)] = DEAD
        return self._pair(base, self._changes.added.advance(added, tokens))

    def least(self, states: Ints) -> Ints:
        """int64 [B]: lower bound on the remaining tokens."""
        base, added = self._parted(states)
        least = [np.where(base == DEAD, FAR, self.base.least(base))]
        least.append(np.where(added == DEAD, FAR, self._changes.added.least(added)))
        return np.where(states == DEAD, 0, np.minimum(*least))

    def classes(self, states: Ints) -> Classes:
        """The tokens that may follow each state; not kept, as keys come and go."""
        return self._classes_of(states)

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: where only one key continues; ``rest`` gives it."""
        base, added = self._parted(states)
        old, new = self.base.lone(base), self._changes.added.lone(added)
        lone: NDArray[np.bool_] = (old & (added == DEAD)) | (new & (base == DEAD))
        return lone

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        """Flat int64 tokens and offsets [B + 1]: what is left of the one key of each lone state."""
        base, added = self._parted(np.where(self.lone(states), states, DEAD))
        ids, offsets = self.base.rest(base)
        more, its_offsets = self._changes.added.rest(added)
        # A lone state continues in one of the two tries only: their rows fill each other's gaps.
        both = offsets + its_offsets
        flat = np.empty(both[-1], dtype=np.int64)
        flat[spread(both[:-1], np.diff(offsets))] = ids
        flat[spread(both[:-1], np.diff(its_offsets))] = more
        return flat, both

    @property
    def longest(self) -> int:
        """Tokens of the longest key, end token included, or more."""
        return max(self.base.longest, self._changes.added.longest)

    def __contains__(self, key: Key) -> bool:
        ids = tuple(self.ids(key))
        return ids in self._added or self._kept(ids)

    def walk(self, prefix: Key) -> int:
        """The state after a prefix; -1 if no key begins with it."""
        ids = self.ids(prefix)
        base = np.array([self.base.walk(ids)])
        base[self._gone(base)] = DEAD
        return int(self._pair(base, np.array([self._changes.added.walk(ids)]))[0])

    def objects(self, key: Key) -> list[str]:
        """The objects of a key, in the order in which they were given; none for a missing key."""
        ids = tuple(self.ids(key))
        return (self.base.objects(ids) if self._kept(ids) else []) + self._added.get(ids, [])

    def _keys(self, prefix: Ids) -> Iterator[Ids]:
        low = int(self.base.span(np.array([self.base.walk(prefix)]))[0][0])
        changes, end = self._changes, self.alphabet.end
        removed = set(changes.removed.tolist())
        old = (k for o, k in enumerate(self.base.keys(prefix), low) if o not in removed)
        new = (k for k in changes.added.keys(prefix) if not self._kept(k))
        return merge(old, new, key=lambda k: (*k, end))

    def _count(self, prefix: Ids) -> int:
        low, high = self.base.span(np.array([self.base.walk(prefix)]))
        without = within(self._changes.removed, low, high) + within(self._changes.both, low, high)
        old = int((high - low - without)[0]) if self.base.count(prefix) else 0
        return old + self._changes.added.count(prefix)

    @property
    def _changes(self) -> Changes:
        if self._settled is None:
            both = [self.base.ordinal(key) for key in self._added if self._kept(key)]
            removed = np.array(sorted(self._removed), dtype=np.int64)
            self._settled = Changes(
                build(self._added_pairs(), self.alphabet),
                removed,
                gone_states(self.base, list(self._removed.values()), removed),
                np.array(sorted(o for o in both if o is not None), dtype=np.int64),
            )
        return self._settled

    def _added_pairs(self) -> list[tuple[Key, str | None]]:
        none: list[str | None] = [None]
        return [(key, o) for key, objects in self._added.items() for o in (objects or none)]

    def _kept(self, ids: tuple[int, ...]) -> bool:
        """Whether the base has this key and it was not removed."""
        ordinal = self.base.ordinal(ids)
        return ordinal is not None and ordinal not in self._removed

    def _gone(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: states of the base through which only removed keys go."""
        gone = self._changes.gone
        if not len(gone):
            return np.zeros(len(states), dtype=bool)
        nearest = np.searchsorted(gone, states).clip(0, len(gone) - 1)
        found: NDArray[np.bool_] = gone[nearest] == states
        return found

    def _complete(self, states: Ints) -> NDArray[np.bool_]:
        base, added = self._parted(states)
        return (base >= self.base.finished) | (added >= self._changes.added.finished)

    def _code(self, row: Ints, token: Ints) -> Ints:
        return row * self.alphabet.size + token

    @property
    def _scale(self) -> int:
        return self.base.finished + len(self.base.tail) + 1

    def _pair(self, base: Ints, added: Ints) -> Ints:
        return (base + 1) + (added + 1) * self._scale - 1

    def _parted(self, states: Ints) -> tuple[Ints, Ints]:
        added, base = np.divmod(states + 1, self._scale)
        return base - 1, added - 1
