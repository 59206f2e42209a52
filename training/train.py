"""Train one of the included models on the CPU: ``causal`` or ``masked``.

    python training/train.py causal --work work --steps 4000

Needs the output of ``corpus.py`` and ``tokenizer.py``. The learning rate is constant, then falls to
zero over the last fifth of the steps; create the file ``work/causal/stop`` to start this decay at
once. A run that was stopped resumes from ``checkpoint.pt``; ``log.jsonl`` records the steps.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from pieces import END, LONGEST, MASK, START, batches, padded, pieces
from start import informed, neighbours
from torch import Tensor
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
)

BATCH = 1024  # tokens in a step
WARM_UP, COOL_DOWN = 100, 0.25  # steps; as a share of the steps before the decay
RATE, EMBEDDING_RATE = 3e-3, 3e-3
MASKED = {"held": 0.3, "falling": 0.15}  # share of tokens hidden while the rate is …
SHAPE = {
    "vocab_size": 8192,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "max_position_embeddings": LONGEST,
    "pad_token_id": 0,
    "bos_token_id": START,
    "eos_token_id": END,
    "tie_word_embeddings": True,
}
AROUND = {  # differences of the masked model
    "num_attention_heads": 4,
    "attention_bias": True,
    "classifier_activation": "linear",
    "global_attn_every_n_layers": 1,
    "rope_parameters": {
        kind: {"rope_type": "default", "rope_theta": 1000.0}
        for kind in ("full_attention", "sliding_attention")
    },
    "cls_token_id": START,
    "sep_token_id": END,
}


def fresh(kind: str) -> PreTrainedModel:
    """The model before training."""
    if kind == "causal":
        model: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**SHAPE))
    else:
        model = ModernBertForMaskedLM(ModernBertConfig(**SHAPE | AROUND))
    # The backward pass of the fused attention is several times slower in bfloat16 on a CPU.
    model.set_attn_implementation("eager")
    return model


def hidden_places(ids: Tensor, share: float) -> Tensor:
    """bool [B, L]: tokens to mask, at least one per row, never a special token.

    In a quarter of the rows each token with probability ``share``; in the others every third,
    fourth or fifth token, so that each masked token keeps its neighbours.
    """
    rows, length = ids.shape
    ordinary = ids > MASK
    chance = torch.rand(ids.shape).masked_fill(~ordinary, 2.0)
    scattered = (chance < share) | (chance == chance.min(-1, keepdim=True).values)
    step = torch.randint(3, 6, (rows, 1))
    first = (torch.rand(rows, 1) * step).long()
    spaced = ((torch.arange(length) + first) % step == 0) & ordinary
    free = (torch.rand(rows, 1) < 0.25) | ~spaced.any(-1, keepdim=True)
    return torch.where(free, scattered, spaced)


def loss_of(model: PreTrainedModel, ids: Tensor, share: float) -> Tensor:
    """Mean negative log-likelihood in nats of the tokens (or of the masked ones)."""
    with torch.autocast("cpu", torch.bfloat16):
        if isinstance(model, LlamaForCausalLM):
            states = model.model(ids[:, :-1]).last_hidden_state
            target = ids[:, 1:]
            wanted = target != 0
            logits = model.lm_head(states[wanted])
        else:
            wanted, target = hidden_places(ids, share), ids
            shown = ids.masked_fill(wanted, MASK)
            states = model.model(shown, attention_mask=(ids != 0).long()).last_hidden_state
            logits = model.decoder(model.head(states[wanted]))
    return torch.nn.functional.cross_entropy(logits.float(), target[wanted])


def optimizers(model: PreTrainedModel) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, AdamW for the rest."""
    named = dict(model.named_parameters())
    inner = [p for n, p in named.items() if p.ndim == 2 and ".layers." in n]
    outer = [p for p in named.values() if all(p is not q for q in inner)]
    muon = torch.optim.Muon(inner, lr=RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(outer, lr=EMBEDDING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return [muon, adam]


@torch.no_grad()
def held_out_loss(model: PreTrainedModel, rows: list[list[int]]) -> float:
    """The loss on held-out pieces, with the same tokens masked every time."""
    model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = [
            (float(loss_of(model, batch, 0.15)), len(batch))
            for batch in (padded(rows[i : i + 16]) for i in range(0, len(rows), 16))
        ]
    model.train()
    return sum(loss * n for loss, n in parts) / sum(n for _, n in parts)


def resumed(
    folder: Path, model: PreTrainedModel, steps: list[torch.optim.Optimizer]
) -> tuple[int, int] | None:
    """Restore model, optimizers and random state; return the step, or None without a checkpoint."""
    if not (folder / "checkpoint.pt").exists():
        return None
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, kept in zip(steps, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    torch.set_rng_state(state["random"])
    return state["step"], state["fall_from"]


def keep(
    folder: Path,
    model: PreTrainedModel,
    steps: list[torch.optim.Optimizer],
    counts: dict[str, int],
) -> None:
    """Write a checkpoint, replacing the last one."""
    state = {"model": model.state_dict(), "random": torch.get_rng_state(), **counts}
    state |= {"optimizers": [o.state_dict() for o in steps]}
    torch.save(state, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["causal", "masked"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000, help="steps before the rate decays")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    folder = args.work / args.kind
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = pieces(args.work / "train.jsonl", tokenizer)
    aside = sorted(pieces(args.work / "heldout.jsonl", tokenizer)[::12], key=len)
    tokens = sum(map(len, rows))
    print(f"{len(rows):,} pieces, {tokens:,} tokens; {len(aside)} held-out pieces", flush=True)
    model = fresh(args.kind).train()
    if isinstance(model, ModernBertForMaskedLM):
        neighbours(model, rows, MASK)
    else:
        informed(model, rows)
    steps = optimizers(model)
    feed = batches(rows, BATCH, args.seed)
    step, fall_from = resumed(folder, model, steps) or (0, args.steps)
    for _ in range(step):
        next(feed)
    began, losses = time.process_time(), []
    while step < (last := math.ceil(fall_from * (1 + COOL_DOWN))):
        if step < fall_from and (folder / "stop").exists():
            fall_from = step
        falling = step >= fall_from
        rate = min((step + 1) / WARM_UP, (last - step) / (last - fall_from) if falling else 1.0)
        loss = loss_of(model, next(feed), MASKED["falling" if falling else "held"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in steps:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        losses.append(float(loss.detach()))
        if step % 100 == 0 or step == last:
            line = {
                "step": step,
                "rate": round(rate, 3),
                "loss": round(sum(losses) / len(losses), 3),
            }
            line |= {"held out": round(held_out_loss(model, aside), 3)}
            line |= {"cpu seconds": round(time.process_time() - began)}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            keep(folder, model, steps, {"step": step, "fall_from": fall_from})
            losses.clear()
    model.eval().half().save_pretrained(folder)


if __name__ == "__main__":
    main()
