"""Use a fast tokenizer of transformers as the tokenizer of an index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice, takewhile
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import Alphabet, joined, points_of
from ergotext.lm.tokenizers.spelling import decoded, misread
from ergotext.support.arrays import Ints

_PROBES = ("a", "1", "的", "A")


class FastTokenizer:
    """Keys as a model is taught to write them: token for token what ``text_target`` gives.

    What the tokenizer puts before every target (the start token of BART, the language of NLLB) is
    part of every key; the one token that it puts after closes the key. A causal model has read
    its start token before the first prompt, so it is no part of the keys that it writes. A text
    that has no tokens of its own has none at all.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
        In the state in which targets are made: target language, added tokens.
    name : str
        By which ``load_tokenizer`` finds it again.
    causal : bool
        Whether a causal model is to write the keys.

    Raises
    ------
    InputError
        It is no fast tokenizer, closes targets with several tokens, or names no end token.

    Notes
    -----
    Padding must be a token that no key holds and that does not close one. Where the tokenizer's
    own is the end token, or there is none, another special token takes its place; where there is
    no other, a number after the last token does, and the alphabet is one larger.
    """

    def __init__(self, tokenizer: Any, name: str = "", causal: bool = False) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise InputError(
                f"{name or type(tokenizer).__name__} is not a fast tokenizer: use one that has a "
                "tokenizer.json"
            )
        self.name = name or str(tokenizer.name_or_path)
        # A copy: padding, truncation and the target language of the original may change.
        self._inner: Tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._inner.no_padding()
        self._inner.no_truncation()
        self._inner.encode_special_tokens = bool(getattr(tokenizer, "split_special_tokens", False))
        before, behind = _around(tokenizer)
        self.before: list[int] = [] if causal else before
        if len(behind) > 1:
            raise InputError(
                f"{self.name} ends targets with {len(behind)} tokens ({behind}), but an index "
                "needs exactly one: use another tokenizer"
            )
        end = behind[0] if behind else tokenizer.eos_token_id
        if end is None:
            raise InputError(
                f"{self.name} has no end token: use a folder whose tokenizer_config.json sets "
                "eos_token"
            )
        self._end = int(end)
        self._pad, self._size = self._padding(tokenizer)
        unknown = tokenizer.unk_token_id
        self.unknown: int | None = None if unknown is None else int(unknown)
        """what stands for characters that are not in the vocabulary, if anything does"""

    @property
    def made(self) -> Tokenizer:
        """The underlying tokenizer of the ``tokenizers`` library."""
        return self._inner

    @cached_property
    def alphabet(self) -> Alphabet:
        return Alphabet(self._size, self._pad, self._end, self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with the vocabulary and all that shapes tokens.

        Of vocabulary, merges, normaliser, pre-tokenizer, added tokens, and what stands around a
        key. Settings that are off do not count, as later versions of tokenizers write down more.
        """
        content = json.loads(self._inner.to_str())
        for other in ("version", "post_processor", "decoder"):
            content.pop(other, None)
        model = content["model"]
        large = [model.pop(part, None) for part in ("vocab", "merges")]
        around = [self.before, self._end, self._pad, self._inner.encode_special_tokens]
        text = json.dumps([_set(content), around, large], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of one text, with what comes before every key, without the end token."""
        return [int(i) for i in self.encode_many([text])[0]]

    def encode_many(self, texts: Sequence[str]) -> tuple[Ints, Ints]:
        """Flat ids [T] and offsets [n + 1]; threads share the texts."""
        points_of(joined(texts))  # raises where a text is no Unicode
        rows = [e.ids for e in self._inner.encode_batch_fast(list(texts), add_special_tokens=False)]
        if self.before:
            rows = [[*self.before, *row] if row else row for row in rows]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        offsets = offsets_of(lengths)
        return np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=offsets[-1]), offsets

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids, without what ``encode`` puts before it.

        End, padding, the token for unknown characters, and ids that are no token are left out. Any
        other special token is part of the text: ``a <mask> b`` is a key like others.
        """
        return self.decode_many([ids])[0]

    def decode_many(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row; threads share the rows."""
        shown = [self._shown(row) for row in rows]
        if not self._misread:
            return list(self._inner.decode_batch(shown, skip_special_tokens=False))
        return [decoded(row, self._misread, self._decode) for row in shown]

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._inner.decode(ids, skip_special_tokens=False))

    def _shown(self, row: Sequence[int]) -> list[int]:
        """The tokens of a row that stand for text."""
        known = zip(row, self.before, strict=False)
        begin = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], known))
        return [int(i) for i in row[begin:] if 0 <= i < self._size and i not in self._silent]

    @cached_property
    def special(self) -> list[int]:
        """The special tokens that a key may hold as part of its text."""
        return sorted(self._all_special - self._silent - set(self.before))

    @cached_property
    def _all_special(self) -> set[int]:
        added = self._inner.get_added_tokens_decoder()
        return {token for token, one in added.items() if one.special}

    @cached_property
    def _silent(self) -> set[int]:
        """End, padding, and what stands for unknown characters, if that is a special token."""
        unknown = set() if self.unknown is None else {self.unknown} & self._all_special
        return {self._end, self._pad} | unknown

    @cached_property
    def _misread(self) -> dict[int, str]:
        return misread(self._inner)

    def _padding(self, tokenizer: Any) -> tuple[int, int]:
        """The token that pads, and the size of the alphabet."""
        size = max(self._inner.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        pad = padding_of(tokenizer, {self._end, *self.before})
        return (size, size + 1) if pad is None else (pad, size)


def padding_of(tokenizer: Any, taken: Container[int]) -> int | None:
    """The padding token, or another special token that can serve as one.

    None of ``taken``, nor what stands for unknown characters.
    """
    added = tokenizer.added_tokens_decoder
    special = sorted(
        (i for i, token in added.items() if token.special),
        key=lambda i: ("pad" not in added[i].content.lower(), i),
    )
    own = tokenizer.pad_token_id
    for token in special if own is None else [own, *special]:
        if token not in taken and token != tokenizer.unk_token_id:
            return int(token)
    return None


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that stand before and after every decoder target."""
    for text in chain(_PROBES, islice(_words(tokenizer), 1000)):
        bare = list(tokenizer(text_target=text, add_special_tokens=False)["input_ids"])
        whole = list(tokenizer(text_target=text)["input_ids"])
        for at in range(len(whole) - len(bare) + 1):
            if bare and whole[at : at + len(bare)] == bare:
                return whole[:at], whole[at + len(bare) :]
    raise InputError(
        f"{tokenizer.name_or_path or 'This tokenizer'} gives no tokens for any text: check its "
        "vocabulary"
    )


def _words(tokenizer: Any) -> Iterator[str]:
    special = set(tokenizer.all_special_tokens)
    return (word for word in tokenizer.get_vocab() if word not in special)


def _set(content: Any) -> Any:
    """JSON without the settings that are off."""
    if isinstance(content, dict):
        return {k: _set(v) for k, v in content.items() if v is not None and v is not False}
    return [_set(v) for v in content] if isinstance(content, list) else content
