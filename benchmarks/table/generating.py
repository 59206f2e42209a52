"""The other side of the decoding rows: transformers' ``generate`` with somebody's mask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, set_seed

from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.matches import pieces_of

Masks = Callable[[int], LogitsProcessor]
"""Makes the processor of a run of so many rows; what is compiled was compiled before."""


@dataclass(frozen=True, eq=False)
class Generate:
    """Free draws by ``generate``, kept to what a mask allows.

    Parameters
    ----------
    lm : CausalLM
    prompt : str
    rows, most, least : int
        Texts side by side, and the most and the fewest tokens of each.
    masks : callable, optional
    allowed : callable, optional
        The ``prefix_allowed_tokens_fn`` of the run.
    """

    lm: CausalLM
    prompt: str
    rows: int
    most: int
    masks: Masks | None = None
    allowed: Callable[[int, Tensor], list[int]] | None = None
    least: int = 0

    def __call__(self, number: int) -> float:
        """How many tokens were written, end tokens included."""
        set_seed(number)
        start = [self.lm.start_id, *self.lm.vocabulary.encode(self.prompt)]
        ids = torch.tensor([start] * self.rows)
        processors = LogitsProcessorList([self.masks(self.rows)] if self.masks else [])
        with torch.no_grad():
            out = self.lm.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, top_p=1.0,
                max_new_tokens=self.most, min_new_tokens=self.least or None,
                logits_processor=processors,
                prefix_allowed_tokens_fn=self.allowed,
                eos_token_id=self.lm.end_id, pad_token_id=self.lm.end_id,
            )  # fmt: skip
        new = out[:, ids.shape[1] :]
        return written(new.tolist(), self.lm.end_id)


def written(rows: Sequence[Sequence[int]], end: int) -> float:
    """Tokens of the rows, up to and with the first end token of each."""
    return float(sum(r.index(end) + 1 if end in r else len(r) for r in map(list, rows)))


class LLGuidanceMasks(LogitsProcessor):
    """llguidance's masks, those of all rows filled in one call."""

    def __init__(self, grammar: str, tokenizer: Any, rows: int) -> None:
        import llguidance.numpy

        self._numpy, self._executor = llguidance.numpy, llguidance.LLExecutor()
        first = llguidance.LLMatcher(tokenizer, grammar)
        self._rows = [first.deep_copy() for _ in range(rows)]
        self._mask = llguidance.numpy.allocate_token_bitmask(rows, tokenizer.vocab_size)
        self._begun = False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._begun:
            for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
                if not row.is_stopped():
                    row.consume_token(token)
        self._begun = True
        going = [(row, n) for n, row in enumerate(self._rows) if not row.is_stopped()]
        if going:
            self._numpy.fill_next_token_bitmask_par(self._executor, going, self._mask)
        # Its own ways to apply a mask are compiled when first called, or slower than this.
        bits = np.unpackbits(self._mask.view(np.uint8), axis=1, bitorder="little")
        allowed = torch.from_numpy(bits[:, : scores.shape[1]]).bool()
        return scores.masked_fill_(~allowed, -torch.inf)


def llguidance_masks(grammar: str, lm: CausalLM) -> Masks:
    """Masks of a grammar in llguidance's notation."""
    tokenizer = llguidance_tokenizer(lm)
    return lambda rows: LLGuidanceMasks(grammar, tokenizer, rows)


def llguidance_tokenizer(lm: CausalLM) -> Any:
    """The tokens of a model as llguidance asks for them, the same as for our own automata."""
    from ergotext.lm.automata.grammars import _tokenizer

    return _tokenizer(pieces_of(lm))


class OutlinesMasks(LogitsProcessor):
    """Masks of outlines-core's index: a finite automaton over tokens, compiled beforehand."""

    def __init__(self, index: Any, rows: int, end: int) -> None:
        from outlines_core import Guide

        self._rows, self._end, self._begun = [Guide(index) for _ in range(rows)], end, False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        masked = torch.full_like(scores, -torch.inf)
        for n, guide in enumerate(self._rows):
            if self._begun and not guide.is_finished():
                guide.advance(int(input_ids[n, -1]), return_tokens=False)
            allowed = [self._end] if guide.is_finished() else guide.get_tokens()
            masked[n, allowed] = scores[n, allowed]
        self._begun = True
        return masked


def outlines_masks(pattern: str, lm: CausalLM, folder: Path | None) -> Masks | str:
    """Masks of an expression by outlines-core; why there are none, if it is not there."""
    if not there("outlines_core", folder):
        return "not installed"
    index = outlines_index(pattern, lm)
    return lambda rows: OutlinesMasks(index, rows, lm.end_id)


def outlines_index(pattern: str, lm: CausalLM) -> Any:
    """The index of an expression by outlines-core."""
    from outlines_core import Index, Vocabulary

    pieces = pieces_of(lm)
    known = {pieces.tokens[t]: [t] for t in pieces.text.tolist() if pieces.tokens[t]}
    return Index(pattern, Vocabulary(lm.end_id, known))


class XGrammarMasks(LogitsProcessor):
    """xgrammar's masks, row by row."""

    def __init__(self, compiled: Any, rows: int, size: int) -> None:
        import xgrammar

        self._package = xgrammar
        self._rows = [xgrammar.GrammarMatcher(compiled) for _ in range(rows)]
        self._mask, self._begun = xgrammar.allocate_token_bitmask(rows, size), False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        for n, row in enumerate(self._rows):
            if self._begun and not row.is_terminated():
                row.accept_token(int(input_ids[n, -1]))
            if not row.is_terminated():
                row.fill_next_token_bitmask(self._mask, n)
        self._begun = True
        self._package.apply_token_bitmask_inplace(scores, self._mask)
        return scores


def xgrammar_masks(lm: CausalLM, folder: Path | None, **what: str) -> Masks | str:
    """Masks by xgrammar of ``regex=`` or ``schema=``; why there are none, if it is not there."""
    if not there("xgrammar", folder):
        return "not installed"
    import xgrammar

    pieces, size = pieces_of(lm), len(lm.allowed)
    tokens = [*pieces.tokens, *[b""] * (size - len(pieces.tokens))]
    info = xgrammar.TokenizerInfo(tokens, vocab_size=size, stop_token_ids=[lm.end_id])
    compiler = xgrammar.GrammarCompiler(info)
    if "regex" in what:
        compiled = compiler.compile_regex(what["regex"])
    else:
        compiled = compiler.compile_json_schema(what["schema"], any_whitespace=False)
    return lambda rows: XGrammarMasks(compiled, rows, size)


def there(package: str, folder: Path | None) -> bool:
    """Whether a package can be imported, from the folder if need be."""
    if folder is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))
    return find_spec(package) is not None
