"""The options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[
    Path | None,
    typer.Option(help="The store's folder. Default: the nearest .mmsearch upwards.", metavar="DIR"),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="The encoder: builtin, an alias ('mmsearch models' lists them), "
        "architecture:pretrained, hf-hub:…, or a model folder. Default: the store's own.",
        metavar="NAME",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="auto, cpu, cuda, cuda:N or mps. Default: auto.", metavar="NAME"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, schema version 1, to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
