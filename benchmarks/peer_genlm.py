"""genlm-control at the other end of a pipe: ``peers.py`` runs this with the Python that has it.

Reads one JSON object a line and answers with one. ``case`` sets prompt and expression, ``run``
draws once and tells CPU seconds, log Z, ESS and the token sequences, ``score`` tells their log p̃.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from genlm.control import AWRS, BoolFSA, PromptedLLM

warnings.simplefilter("ignore")


class Peer:
    """A model, and a condition on its text."""

    def __init__(self, folder: str, end: str, threads: int) -> None:
        torch.set_num_threads(threads)
        options = {"dtype": torch.float32, "device_map": "cpu"}
        self.llm = PromptedLLM.from_name(
            folder, backend="hf", eos_byte_strings=[end.encode()], hf_opts=options
        )

    def case(self, prompt: list[int], expression: str) -> dict[str, Any]:
        self.llm.prompt_ids = prompt
        self.automaton = BoolFSA.from_regex(expression)
        self.condition = self.automaton.coerce(self.llm, f=b"".join)
        return {}

    def run(self, seed: int, particles: int, max_length: int) -> dict[str, Any]:
        """One run from cold, but for the prompt, whose keys and values are kept."""
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - its resampling draws from numpy's own
        self.llm.model.clear_cache()
        self.automaton.clear_cache()
        self.llm.model.cache_kv(self.llm.prompt_ids)
        sampler = AWRS(self.llm, self.condition, seed=seed)
        began = time.process_time()
        found = asyncio.run(
            sampler.smc(
                n_particles=particles,
                ess_threshold=0.5,
                max_tokens=max_length + 1,  # it counts the end token
                resampling_method="systematic",
            )
        )
        seconds = time.process_time() - began
        rows = [[t.token_id for t in c if hasattr(t, "token_id")] for c in found.contexts]
        alive = [row for row, w in zip(rows, found.log_weights, strict=True) if w > -np.inf]
        return {
            "seconds": seconds, "log_z": float(found.log_ml), "ess": float(found.ess), "rows": alive
        }  # fmt: skip

    def score(self, rows: list[list[int]]) -> dict[str, Any]:
        async def all_of() -> list[float]:
            scores = []
            for row in rows:
                tokens = self.llm.decode_tokens(row)
                log_prob = await self.llm.complete(tokens)
                scores.append(log_prob + await self.condition.complete(tokens))
            return scores

        return {"scores": [float(s) for s in asyncio.run(all_of())]}


def main() -> None:
    folder, end, threads = sys.argv[1:]
    peer = Peer(folder, end, int(threads))
    print(json.dumps({"version": version("genlm-control")}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(peer, asked.pop("what"))(**asked)), flush=True)


if __name__ == "__main__":
    main()
