"""Would a twist that reads the model's state know more of the words to come than one that does not?

    python benchmarks/heads.py --texts 640 --ahead 6 --epochs 3

The twist of keywords takes every place of a text for an average one. A head is a small network on
the last hidden state, trained on texts that the model writes after the default context of ``write``
to give the mean law of the next ``--ahead`` tokens. Printed on held-out texts: its cross-entropy in
nats beside that of the average law, and how much of the log chance of each of some words, over
places, it explains (R²). About five CPU minutes with the defaults; one thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import ergotext as et
from ergotext.lm.decoding.past import CACHE
from ergotext.tasks.demands import CONTEXT

WORDS = (
    "rain", "dog", "park", "summer", "beach", "river", "bread", "window", "garden", "letter",
    "music", "winter", "road", "friend", "table", "night", "car", "house", "water", "school",
    "tree", "light", "food", "door", "child", "city",
)  # fmt: skip
LONGEST, WIDTH, ROWS = 20, 96, 64


class Head(nn.Module):
    """The law of what is to come, from a state, over the model's own output layer."""

    def __init__(self, output: Tensor, average: Tensor) -> None:
        super().__init__()
        size = output.shape[1]
        self.output = output
        self.narrow, self.wide = nn.Linear(size, WIDTH), nn.Linear(WIDTH, size, bias=False)
        self.share, self.bias = nn.Parameter(torch.zeros(size)), nn.Parameter(average.log())
        nn.init.zeros_(self.wide.weight)  # it begins as the average

    def forward(self, state: Tensor) -> Tensor:
        moved = state * self.share + self.wide(functional.gelu(self.narrow(state)))
        return (moved @ self.output.T + self.bias).log_softmax(-1)


@torch.no_grad()
def written(lm: et.CausalLM, texts: int, seed: int) -> Tensor:
    """States [texts, L, D] after each token of texts that the model writes, without an end."""
    draws, found = torch.Generator().manual_seed(seed), []
    start = [lm.start_id, *lm.vocabulary.encode(CONTEXT)]
    for first in range(0, texts, ROWS):
        ids, past, states = torch.tensor([start] * min(ROWS, texts - first)), None, []
        for _ in range(LONGEST):
            out = lm.model.base_model(ids, use_cache=True, **{CACHE: past})
            past, state = out[CACHE], out.last_hidden_state[:, -1]
            law = lm.model.lm_head(state).softmax(-1)
            law[:, lm.end_id] = 0.0
            ids = torch.multinomial(law, 1, generator=draws)
            states.append(state)
        found.append(torch.stack(states, 1))
    return torch.cat(found).float()


@torch.no_grad()
def coming(states: Tensor, output: Tensor) -> Tensor:
    """[B, V]: the mean law of the tokens after states [B, H, D]."""
    return (states @ output.T).softmax(-1).mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--texts", type=int, default=640)
    parser.add_argument("--ahead", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    began, ahead = time.process_time(), arguments.ahead
    lm = et.load(arguments.model)
    output = lm.model.lm_head.weight.detach().float()
    states = written(lm, arguments.texts, arguments.seed)
    held = max(1, arguments.texts // 5)
    seen, unseen = states[held:], states[:held]
    average = torch.stack([coming(row[None], output)[0] for row in seen[::4]]).mean(0)
    head = Head(output, average.clamp(min=1e-12))
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.01)
    places = [(t, p) for t in range(len(seen)) for p in range(LONGEST - ahead)]
    words = torch.tensor([lm.vocabulary.encode(" " + word)[0] for word in WORDS])

    def batch(of: Tensor, some: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        now = torch.stack([of[t, p] for t, p in some])
        later = torch.stack([of[t, p + 1 : p + 1 + ahead] for t, p in some])
        return now, coming(later, output)

    def told(epoch: int) -> None:
        ours = flat = 0.0
        truth, guess = [], []
        every = [(t, p) for t in range(len(unseen)) for p in range(LONGEST - ahead)]
        with torch.no_grad():
            for first in range(0, len(every), ROWS):
                now, law = batch(unseen, every[first : first + ROWS])
                log_law = head(now)
                ours -= float((law * log_law).sum())
                flat -= float((law * average.clamp(min=1e-12).log()).sum())
                truth.append(law[:, words].clamp(min=1e-12).log().numpy())
                guess.append(log_law[:, words].numpy())
        # Each word about its own mean: that is what the average law does not tell.
        parts = [np.concatenate(part) for part in (truth, guess)]
        real, said = ((part - part.mean(0)).ravel() for part in parts)
        spread = (real * said).sum(), (said * said).sum(), (real * real).sum()
        share = spread[0] ** 2 / (spread[1] * spread[2]) if spread[1] > 0 else 0.0
        print(
            f"after {epoch} epochs, {time.process_time() - began:.0f} CPU s: "
            f"{ours / len(every):.3f} nats, the average law {flat / len(every):.3f}; of the log "
            f"chance of {len(WORDS)} words (sd {real.std():.2f}) R² {share:.3f}",
            flush=True,
        )

    told(0)
    for epoch in range(1, arguments.epochs + 1):
        order = torch.randperm(len(places)).tolist()
        for first in range(0, len(order) - ROWS + 1, ROWS):
            now, law = batch(seen, [places[n] for n in order[first : first + ROWS]])
            loss = -(law * head(now)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        told(epoch)


if __name__ == "__main__":
    main()
