"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DtypeName(StrEnum):
    """Number formats of the model."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class WriterName(StrEnum):
    """Samplers that can write."""

    smc = "smc"
    annealing = "annealing"
    mh = "mh"


FLOAT32, SMC = DtypeName.float32, WriterName.smc
Count = Annotated[int, typer.Option("-n", min=1, help="Number of texts to show.")]
Writer = Annotated[
    WriterName,
    typer.Option(
        help="smc grows texts towards what is asked for; annealing edits them for the best; mh "
        "samples by edits."
    ),
]
Particles = Annotated[
    int | None, typer.Option(min=1, help="Particles of smc (48, for paraphrase 64).")
]
EditedChains = Annotated[
    int | None, typer.Option(min=1, help="Chains of annealing and mh (8), run in parallel.")
]
EditSteps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps per chain of annealing and mh (300; infill: 150)."),
]
Context = Annotated[
    str | None,
    typer.Option(
        help="Text to condition on, not shown in the output; '' for none. By default a plain "
        "sentence about a quiet morning."
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Time limit in seconds, for each input.")]
Model = Annotated[
    str,
    typer.Option(
        help="Model: smollm2, tiny-causal, gemma3-270m, a folder, a .gguf file or a hub id."
    ),
]
Dtype = Annotated[
    DtypeName, typer.Option(help="Number format of the model; bfloat16 is faster but approximate.")
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="Number of CPU threads.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed; the same seed gives the same output.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Save a page about the run to this file: the texts, how they were found, and what "
        "the numbers are worth. Needs the extra report.",
    ),
]
OutFile = Annotated[
    Path | None, typer.Option("-o", "--output", help="Output file, instead of standard output.")
]
