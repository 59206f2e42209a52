"""What a model reads before the texts that it scores."""

from __future__ import annotations

from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.text_scorer import TextScorer


def read_before(scorer: TextScorer) -> str:
    """The context of a causal model, whatever ends its texts."""
    model = scorer.lm if isinstance(scorer, EndingScorer) else scorer
    assert isinstance(model, CausalLM)
    return model.vocabulary.text(model.context)
