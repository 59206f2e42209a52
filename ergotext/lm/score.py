"""``score``: log-probability or energy of texts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.term import Term
from ergotext.lm.masked import MaskedLM
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.words import check_texts


def score(
    what: CausalLM | MaskedLM | Seq2SeqLM | Term,
    texts: Sequence[str],
    *,
    given: str | Sequence[str] | None = None,
) -> Tensor:
    """Score texts, each as the model's own tokenizer reads it.

    >>> et.score(et.load("tiny-causal"), ["The sun is hot.", "Hot the is sun."])

    Parameters
    ----------
    what : CausalLM, Seq2SeqLM, MaskedLM or energy
    texts : sequence of str
        A text counts in the one tokenisation that the tokenizer gives it, exactly as written: most
        models read a space in front of the first word as part of it.
    given : str or sequence of str, optional
        The context of a causal model, which is not scored; the input of an
        encoder-decoder, which needs one. One for all texts, or one for each.

    Returns
    -------
    float64 [B]
        Of a causal model log p(text, end token | given), of an encoder-decoder log p(text, end
        token | input), in nats. Of a masked model the pseudo-log-likelihood, which is a score and
        no log-probability. Of an energy the energy in nats, +inf where it forbids the text: there
        lower is better.

    Raises
    ------
    InputError
        ``texts`` is one text; the tokenizer reads a special token in one of them (many spell out
        what only looks like one), or a character that the model has no token for; ``given`` is
        missing, not supported, or of another length; the energy has no model whose tokenizer could
        read texts.
    """
    check_texts(texts)
    texts = list(texts)
    if isinstance(what, Seq2SeqLM):
        return _answers(what, texts, given)
    if isinstance(what, CausalLM):
        return _continued(what, texts, given)
    if given is not None:
        raise InputError(
            f"{type(what).__name__} scores texts on their own: drop given=, or condition the model "
            "of an energy, as in fluency(lm, context)"
        )
    if isinstance(what, MaskedLM):
        return what.pseudo_log_prob(_batch(texts, what.vocabulary))
    return _energy(what, texts)


def _energy(term: object, texts: Sequence[str]) -> Tensor:
    if not isinstance(term, Term):
        raise InputError(
            f"{term!r:.60} is neither a model nor an energy: load a model with load(name)"
        )
    vocabulary = getattr(term.scorer or term.masked, "vocabulary", None)
    if vocabulary is None:
        raise InputError(f"the energy {term.name!r} has no tokenizer: add it to fluency(lm)")
    return term(_batch(texts, vocabulary))


def _continued(lm: CausalLM, texts: Sequence[str], given: str | Sequence[str] | None) -> Tensor:
    if given is None:
        return lm.log_prob(_batch(texts, lm.vocabulary))
    result = torch.zeros(len(texts), dtype=torch.float64)
    contexts = _each(given, len(texts))
    for context in dict.fromkeys(contexts):
        at = [n for n, own in enumerate(contexts) if own == context]
        batch = _batch([texts[n] for n in at], lm.vocabulary)
        result[at] = lm.given(context).log_prob(batch)
    return result


def _answers(lm: Seq2SeqLM, texts: Sequence[str], given: str | Sequence[str] | None) -> Tensor:
    """float64 [B]: all answers are scored in one pass over each input."""
    if given is None:
        raise InputError(
            "an encoder-decoder scores outputs given an input: pass the input (given=)"
        )
    inputs = _each(given, len(texts))
    if not texts:
        return torch.zeros(0, dtype=torch.float64)
    alphabet, rows = lm.keys.alphabet, []
    for text in texts:
        ids = lm.keys.encode(text) or lm.keys.before
        if {alphabet.pad, alphabet.end} & set(ids):
            raise InputError(
                f"the text {text!r:.60} contains a special token of this model: remove it"
            )
        rows.append(torch.tensor([*ids, alphabet.end]))
    number = {text: n for n, text in enumerate(dict.fromkeys(inputs))}
    decoding = lm.read([lm.encode(text) for text in number])
    sizes = torch.tensor([len(row) for row in rows])
    offsets = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
    at = torch.tensor([number[text] for text in inputs])
    scores = decoding.rest_log_prob(at, torch.cat(rows), offsets)
    return torch.stack([part.sum() for part in scores.split(sizes.tolist())])


def _each(given: str | Sequence[str], count: int) -> list[str]:
    if isinstance(given, str):
        return [given] * count
    check_texts(given)
    if len(given) != count:
        raise InputError(
            f"given= has {len(given)} texts for {count} outputs: give one, or one for each"
        )
    return list(given)


def _batch(texts: Sequence[str], vocabulary: Vocabulary) -> TokenBatch:
    rows = [vocabulary.encode(text) for text in texts]
    for text, row in zip(texts, rows, strict=True):
        wrong = [token for token in row if not vocabulary.allowed[token]]
        if wrong:
            name = vocabulary.tokenizer.convert_ids_to_tokens(wrong[0])
            raise InputError(
                f"the text {text!r:.60} is tokenised with the special token {name!r}, which no "
                "text may contain: remove it, or use a model whose tokenizer covers its characters"
            )
    return TokenBatch.of(rows)
