"""Train a tokenizer: frequent characters as tokens, bytes for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, processors
from transformers import PreTrainedTokenizerFast

PAD, END = "<pad>", "</s>"
_ALWAYS = "\t" + "".join(map(chr, range(0x20, 0x7F)))
"""What parts the fields of a key, and what may be typed anywhere."""


def spelling_tokenizer(texts: Iterable[str], least: int = 3) -> PreTrainedTokenizerFast:
    """Every character that occurs ``least`` times is a token; any other is written in bytes.

    So no text has an unknown character, and ``decode(encode(text))`` is the text: nothing is
    normalised, and what reads like a special token in a text is spelled as well. Token 0 pads and
    starts a decoder, token 1 ends a text.

    Parameters
    ----------
    texts : iterable of str
        What the model is to read and to write.
    least : int
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    counts.update(dict.fromkeys(_ALWAYS, least))
    often = sorted(char for char, count in counts.items() if count >= least)
    names = [PAD, END, *(f"<0x{byte:02X}>" for byte in range(256)), *often]
    vocabulary = {name: number for number, name in enumerate(names)}
    made = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, vocabulary[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        eos_token=END,
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
