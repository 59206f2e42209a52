"""Options that several commands share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DtypeName(StrEnum):
    """Number formats of the model."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class ChainName(StrEnum):
    """Samplers that can write."""

    annealing = "annealing"
    mh = "mh"


FLOAT32, ANNEALING = DtypeName.float32, ChainName.annealing
Count = Annotated[int, typer.Option("-n", min=1, help="Texts to show.")]
Chains = Annotated[int, typer.Option(min=1, help="Chains run side by side.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of each chain.")]
Sampler = Annotated[ChainName, typer.Option(help="annealing: look for the best; mh: sample.")]
Context = Annotated[
    str | None,
    typer.Option(
        help="Text that stands before and is not shown; '' for none. By default a plain sentence "
        "about a quiet morning."
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Time limit for each.")]
Model = Annotated[
    str, typer.Option(help="smollm2, tiny-causal, gemma3-270m, a folder, .gguf file or hub id.")
]
Dtype = Annotated[DtypeName, typer.Option(help="bfloat16 is faster and approximate.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same output.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
OutFile = Annotated[Path | None, typer.Option("-o", "--output", help="Write here, not to stdout.")]
