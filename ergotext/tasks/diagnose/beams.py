"""When beam search over a model comes to an answer that has ended."""

from __future__ import annotations

import math

import torch

from ergotext.lm.protocols import Decoding
from ergotext.tasks.diagnose.laws import next_log_prob

Open = list[tuple[float, int]]
"""(log p, row of the decoding) of the texts that a search still writes."""


def beam_ends(decoding: Decoding, width: int, length: int) -> list[int | None]:
    """Tokens, the end token counted, after which the search behind each row has its answer.

    Each step keeps the ``width`` likeliest ways on; those that end are set aside and take their
    place with them (Welleck et al. 2020). The answer, the likeliest of those that have ended, is
    final when no open text is likelier, for these can only fall. None where that takes more than
    ``length`` tokens. A width of 1 is greedy decoding.
    """
    beams: dict[int, Open] = {n: [(0.0, n)] for n in range(len(decoding))}
    ended: dict[int, list[float]] = {n: [] for n in beams}
    final: list[int | None] = [None] * len(decoding)
    for step in range(1, length + 1):
        best = next_log_prob(decoding).topk(min(width, decoding.size), -1)
        values, tokens = best.values.tolist(), best.indices.tolist()
        rows: list[int] = []
        written: list[int] = []
        for n, held in list(beams.items()):
            ways = [
                (score + value, row, token)
                for score, row in held
                for value, token in zip(values[row], tokens[row], strict=True)
                if value > -math.inf
            ]
            kept = sorted(ways, key=lambda way: -way[0])[: width - len(ended[n])]
            ended[n] += [score for score, _, token in kept if token == decoding.end]
            going = [way for way in kept if way[2] != decoding.end]
            if not going or max(ended[n], default=-math.inf) >= going[0][0]:
                final[n] = step
                del beams[n]
                continue
            beams[n] = [(score, len(rows) + i) for i, (score, _, _) in enumerate(going)]
            rows += [row for _, row, _ in going]
            written += [token for _, _, token in going]
        if step == length or not beams:
            break
        decoding = decoding.advance(torch.tensor(rows), torch.tensor(written))
    return final
