"""Faults of masked scoring, put into our code one at a time: each must be caught.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from ergotext.errors import ModelError
from ergotext.lm import masked
from ergotext.lm.batch import TokenBatch
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from tests.faulty import load_with_fault
from tests.lm.masked_worlds import FAMILIES, SIZE, masked_tokenizer, reference, reference_scores

FAULTS = {
    "2: special tokens are candidates": ("logits[:, ~self.allowed] = -torch.inf", "pass"),
    "4: a mean for a sum": (
        "return self.token_log_prob(batch, whole_words).sum(-1)",
        "return self.token_log_prob(batch, whole_words).sum(-1) / batch.length.clamp(min=1)",
    ),
    "17: padding is read": ("[1] * len(row) + [0]", "[1] * len(row) + [1]"),
    "17: scores of rows change places": ("scores[group] =", "scores[sorted(group)] ="),
    "17: laws of rows change places": ("result[group] = log_p", "result[sorted(group)] = log_p"),
    "19: the law of another place": ("len(self.opening) + asked[query][2]", "asked[query][2]"),
    "19: the law of another row": ("states[of, at]", "states[of.flip(0), at]"),
    "the token sees itself": ("self.mask_id if p in places else t", "t"),
    "words are masked to the left": ("range(p, len(row))", "range(p + 1)"),
    "nothing stands around a text": (
        "self._logits([[*self.opening, *row, *self.closing] for",
        "self._logits([[*self.closing, *row, *self.opening] for",
    ),
}


def check_scores(module: ModuleType, tokenizer: PreTrainedTokenizerFast) -> None:
    """Rows of differing lengths, alone and together, against the plain computation."""
    torch.manual_seed(1)
    mlm = module.MaskedLM(FAMILIES["bert"](), Vocabulary(masked_tokenizer(tokenizer), SIZE))
    words = tuple(mlm.encode("The summery dog"))
    rows = [(10, 20), (30, 40, 50, 60, 70), (), (80,), words]
    batch = TokenBatch.of(rows)
    expected = [sum(reference_scores(mlm, row)) for row in rows]
    assert mlm.pseudo_log_prob(batch).tolist() == pytest.approx(expected, abs=1e-4)
    filled, at = batch.select([0, 1, 3]), torch.tensor([1, 3, 0])
    law = mlm.conditional_log_prob(filled, at)
    plain = [reference(mlm, r, [p], p) for r, p in zip(filled.rows(), at.tolist(), strict=True)]
    torch.testing.assert_close(law, torch.stack(plain), atol=1e-4, rtol=0)
    blank = torch.tensor([[1, 0, 0, 0, 0], [1, 0, 1, 1, 0], [0] * 5, [1] + [0] * 4]).bool()
    law = mlm.blank_log_prob(batch.select([0, 1, 2, 3]).padded(5), blank)
    asked = [(rows[0], [0], 0), *((rows[1], [0, 2, 3], p) for p in (0, 2, 3)), (rows[3], [0], 0)]
    plain = [reference(mlm, *one) for one in asked]
    torch.testing.assert_close(law, torch.stack(plain), atol=1e-4, rtol=0)
    numbers = masked.word_numbers(words, mlm.vocabulary)
    later = [[q for q in range(p, len(words)) if numbers[q] == n] for p, n in enumerate(numbers)]
    scores = [float(reference(mlm, words, q, q[0])[words[q[0]]]) for q in later]
    found = mlm.token_log_prob(TokenBatch.of([words]), whole_words=True)[0].tolist()
    assert found == pytest.approx(scores, abs=1e-4)


def test_the_code_as_it_is_passes(tokenizer: PreTrainedTokenizerFast) -> None:
    check_scores(masked, tokenizer)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(tokenizer: PreTrainedTokenizerFast, fault: str) -> None:
    faulty = load_with_fault("lm.masked", FAULTS[fault])
    # Some are caught before any test is: the model is tried when a MaskedLM is made of it.
    with pytest.raises((AssertionError, ModelError)):
        check_scores(faulty, tokenizer)
