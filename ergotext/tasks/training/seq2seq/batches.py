"""Choose the batch type of a training objective."""

from __future__ import annotations

from collections.abc import Callable

from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie.tree import TokenTrie
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.examples import Example
from ergotext.tasks.training.seq2seq.choices import Choices
from ergotext.tasks.training.seq2seq.initial_model import Started
from ergotext.tasks.training.seq2seq.sampled_keys import KeySampler
from ergotext.tasks.training.seq2seq.scoring import Batch
from ergotext.tasks.training.settings import Settings
from ergotext.tasks.training.sources import in_tokens_of


def maker(
    begun: Started, trie: TokenTrie, settings: Settings
) -> Callable[[list[Example], int], Batch]:
    """The batch maker of the objective in these settings.

    Those of ``policy`` and ``zeroth-order`` hold keys drawn from the model as it is when they are
    made, where a question's keys are not enumerated.
    """
    coder = begun.coder

    def plain(examples: list[Example], _: int) -> Batch:
        return coder.batch([one.question for one in examples], [one.key for one in examples])

    if settings.objective == "cross-entropy":
        return plain
    sampler = None
    if settings.objective != "listwise":
        written = in_tokens_of(trie, FastTokenizer(coder.tokenizer))
        sampler = KeySampler(
            begun.model, coder, Spotter(written, triples=True), settings.rivals - 1, settings.seed
        )
    return Choices(coder, Spotter(trie, triples=True), settings.rivals, settings.seed, sampler)
