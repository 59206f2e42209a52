"""Sample everyday English from SmolLM2-135M-Instruct (Apache-2.0) as training text.

    python training/sample_smollm2.py --seed 1 --batches 60 -o samples-1.jsonl

Each line is a JSON object with the prompt and the answer, cut after its last complete sentence. A
batch depends only on the seed and its number.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path

import torch

import ergotext as et

TASKS = (
    "Write a short paragraph about {}.",
    "Tell a very short story about {}.",
    "Describe {} in a few simple sentences.",
    "Write three plain sentences about {}.",
    "Write a short diary entry about {}.",
    "Write a short letter to a friend about {}.",
    "Explain {} to a child.",
)
TOPICS = """a day at the beach|ice cream in summer|a cat on the mat|a dog in the park|the first snow
a walk in the forest|breakfast at home|a small town in the morning|a bicycle ride
the old library|a train journey|a rainy day|the school garden|a birthday party|a fishing trip
the night sky|a lost key|cooking soup|baking bread|an apple tree|the farmer's market
a football game|a piano lesson|a visit to the doctor|a new neighbour|a family dinner
the village fair|a broken window|a long road|a boat on the lake|a letter from far away
a cup of tea|the museum|learning to swim|a mountain hut|painting a house|a bird's nest
a busy street|the bus to work|a rainbow|a picnic|the moon|a storm at sea|a wedding
moving to a new city|a shop that sells books|the first day of school|a good friend
a grandmother and her stories|a game of chess|winter evenings|a spring morning|autumn leaves
a bridge over a river|a horse on a farm|a fire in the kitchen|sleep|how rain falls
why we need water|how bread is made|the seasons|how to plant a tree|what a doctor does|the sun
the heart|music|money|time|dreams|honesty|patience|a city at night|an airport|a hotel room
a quiet church|a soldier coming home|a king and a poor man|a fox and a crow|a lion and a mouse
a teacher and her class|two brothers|a thief|a machine that can talk|a computer at work
a phone call|a photograph|a coat with holes|a red balloon|a table and four chairs
a garden in June|the wind|a river in flood|a ship and its captain|a theatre|a newspaper
a carpenter|a baker|a nurse|a policeman|a dancer|a farmer|a singer|a child and a ball
a man who climbs a wall|a woman who runs a race|a dog that catches a frisbee
a group of people at a table|a boy who throws a stone|a girl who reads a book
a player who kicks a ball|a cook who cuts vegetables"""
START, END = "<|im_start|>", "<|im_end|>"


def prompts(seed: int, batch: int, count: int) -> list[str]:
    """``count`` prompts of this batch."""
    chosen = random.Random(f"{seed}/{batch}")
    topics = TOPICS.replace("\n", "|").split("|")
    return [chosen.choice(TASKS).format(chosen.choice(topics)) for _ in range(count)]


def whole_sentences(text: str) -> str:
    """The text up to its last full stop, question or exclamation mark."""
    ends = [match.end() for match in re.finditer(r'[.!?]["”]?(?=\s|$)', text)]
    return text[: ends[-1]].strip() if ends else ""


@torch.inference_mode()
def answers(lm: et.CausalLM, asked: list[str], longest: int) -> list[str]:
    """One sampled answer per prompt (temperature 0.9, top-p 0.95)."""
    tokenizer = lm.vocabulary.tokenizer
    end = tokenizer.convert_tokens_to_ids(END)
    tokenizer.padding_side, tokenizer.pad_token = "left", END
    texts = [f"{START}user\n{ask}{END}\n{START}assistant\n" for ask in asked]
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    rows = lm.model.generate(
        inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=longest,
        do_sample=True,
        temperature=0.9,
        top_p=0.95,
        pad_token_id=end,
        eos_token_id=end,
    )
    found = tokenizer.batch_decode(
        rows[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return [whole_sentences(text) for text in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--longest", type=int, default=96)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    lm = et.load("smollm2", dtype="bfloat16")
    with args.output.open("w", encoding="utf-8") as file:
        for batch in range(args.batches):
            torch.manual_seed(args.seed * 1_000_003 + batch)
            asked = prompts(args.seed, batch, args.rows)
            for ask, answer in zip(asked, answers(lm, asked, args.longest), strict=True):
                file.write(json.dumps({"prompt": ask, "text": answer}, ensure_ascii=False) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
